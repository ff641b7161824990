"""Traits of messages: present for each strand, reproducible, and small."""

from __future__ import annotations

import subprocess
import sys
from array import array
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.campaigns.in_child import packed_in_child, spelled_in_child
from store.campaigns.keys import Kind, Strand, key_of, kind_of
from store.campaigns.making import Context, drawn
from store.campaigns.packing import packed, unpacked
from store.campaigns.traits import Made
from store.message.parser import parse_message
from store.terms.errors import TamperedError

BODY = (
    "Dear customer,\n\nyour parcel could not be delivered because the address was not complete. "
    "Please confirm your address within two days. The fee is 1.99 EUR.\n\nCall +49 30 1234567 for help.\n"
)
NOTHING = Context()
LINK = "http://{host}/track/{token}/confirm.php?id={token}"


def made(raw: bytes, context: Context = NOTHING) -> Made:
    markups: list[str] = []
    return drawn(parse_message(raw, enter=False, markups=markups), context, markups)[0]


def texts(raw: bytes, kind: Kind, context: Context = NOTHING) -> list[str]:
    markups: list[str] = []
    found = drawn(parse_message(raw, enter=False, markups=markups), context, markups)[1]
    return [text for each, text in found if each is kind]


def mail(body: str = BODY, *, html: str = "", subject: str = "Your parcel waits", **fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = fields.pop("from_", "Parcel Service <info@parcel.example.net>")
    message["Subject"] = subject
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    if html:
        message.add_alternative(html, subtype="html")
    return message


def test_every_message_of_the_corpus_has_small_traits_and_always_the_same(corpus_files: list[Path]) -> None:
    sizes = []
    for path in corpus_files:
        raw = path.read_bytes()
        first = made(raw, Context("192.0.2.7", ("example.com",)))
        data = packed(first)
        assert unpacked(data, "it") == first, path
        assert packed(made(raw, Context("192.0.2.7", ("example.com",)))) == data, path
        for strand, keys in zip(Strand, first.traits[:3], strict=True):
            assert list(keys) == sorted(set(keys)), path
            assert all(kind_of(key).strand is strand for key in keys), path
        sizes.append(len(data))
    assert max(sizes) < 3000 and sum(sizes) / len(sizes) < 700


def test_the_child_makes_the_same(corpus_files: list[Path]) -> None:
    context = Context("2001:db8::1", ("example.com",))
    for path in corpus_files[::25]:
        raw = path.read_bytes()
        assert packed_in_child(raw, context) == packed(made(raw, context)), path


def test_the_child_knows_no_store_and_no_key() -> None:
    code = "import sys, store.campaigns.child; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for name in (
        "store.vault",
        "store.database",
        "store.sealing",
        "store.authority",
        "peewee",
        "sqlite3",
        "cryptography",
    ):
        assert not any(module == name or module.startswith(f"{name}.") for module in told), name


def test_keys_can_be_read_again(corpus_files: list[Path]) -> None:
    context = Context("192.0.2.7", ("example.com",))
    for path in corpus_files[::40]:
        raw = path.read_bytes()
        traits = made(raw, context).traits
        told = spelled_in_child(raw, context)
        assert sorted(told) == sorted([*traits.content, *traits.payload, *traits.origin]), path
        assert all(key_of(kind_of(key), text) == key for key, text in told.items()), path
    assert "please confirm your address within two days" in spelled_in_child(mail().as_bytes(), context).values()


def test_keys_are_the_same_in_every_process_and_release() -> None:
    code = "from store.campaigns.keys import *; print(key_of(Kind.WORDS, 'your parcel waits'))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(told) == key_of(Kind.WORDS, "your parcel waits") == 0x1345977A115E5EEF
    assert key_of(Kind.SENTENCE, "your parcel waits") & (1 << 56) - 1 != 0x1345977A115E5EEF & (1 << 56) - 1
    assert kind_of(int(told)) is Kind.WORDS and Kind.WORDS.strand is Strand.CONTENT


def test_what_each_strand_holds() -> None:
    message = mail(
        BODY + LINK.format(host="a8k3x9.parcel.example.org", token="8f14e45fceea167a"),
        List_Id="Weekly <weekly.lists.example.net>",
        X_Mailer="BulkMail 3.1",
        Message_ID="<20261126.1@x.example>",
    )
    message.add_attachment(b"%PDF-1.7 x", maintype="application", subtype="pdf", filename="Invoice_4711.pdf")
    raw = message.as_bytes()
    context = Context("192.0.2.77", ("corp.example",))
    assert texts(raw, Kind.SUBJECT) == ["your parcel waits"]
    assert texts(raw, Kind.SUBJECT_PAIR) == ["your parcel", "parcel waits"]
    assert "please confirm your address within two days" in texts(raw, Kind.SENTENCE)
    assert texts(raw, Kind.CONTACT) == ["phone 01234567"]
    assert texts(raw, Kind.LINK_DOMAIN) == ["example.org"]
    assert texts(raw, Kind.HOST) == ["#.parcel.example.org"]
    assert texts(raw, Kind.PATH) == ["/track/#/confirm.php?id"]
    assert texts(raw, Kind.FILE_NAME) == ["invoice_#.pdf"] and texts(raw, Kind.FILE_SIZE) == ["10"]
    assert texts(raw, Kind.ADDRESS, context) == ["info@parcel.example.net"]
    assert texts(raw, Kind.DOMAIN, context) == ["example.net"]
    assert texts(raw, Kind.NETWORK, context) == ["192.0.2.0/24"]
    assert texts(raw, Kind.LIST) == ["weekly.lists.example.net"]
    assert "program bulkmail 0" in texts(raw, Kind.KIT)
    found = made(raw, context)
    assert found.traits.listed and not found.traits.threaded and found.traits.sender == "info@parcel.example.net"
    assert found.texts.links == ("example.org",) and found.texts.kit == "BulkMail 3.1"
    assert found.texts.list_id == "weekly.lists.example.net"
    [file] = found.texts.files
    assert (file.name, file.content_type, file.size, len(file.sha256)) == (
        "Invoice_4711.pdf",
        "application/pdf",
        10,
        32,
    )


def test_own_domains_are_no_evidence() -> None:
    raw = mail(from_="Colleague <anna@mail.corp.example>").as_bytes()
    own = Context("", ("corp.example",))
    assert texts(raw, Kind.ADDRESS) and not texts(raw, Kind.ADDRESS, own) and not texts(raw, Kind.DOMAIN, own)
    assert made(raw, own).traits.sender == "anna@mail.corp.example"
    assert texts(mail(from_="x <a@notcorp.example>").as_bytes(), Kind.ADDRESS, own)


def test_hidden_html_is_no_evidence() -> None:
    hidden = '<div style="display:none">%s<a href="http://hidden.example.com/x">y</a></div>'
    shown = '<p>Please confirm your address within two days.</p><a href="http://shown.example.org/go">here</a>'
    plain, changed = (
        mail(html=hidden % text + shown).as_bytes() for text in ("one two three four", "five six seven eight")
    )
    assert made(plain).traits.content == made(changed).traits.content
    assert made(plain).texts.links == ("example.org",)


def test_an_attached_message_is_not_entered() -> None:
    inner = mail("The secret plan of the meadow is here and nowhere else.\nhttp://inner.example.org/x", subject="inner")
    outer = mail("See what I got.", subject="Report")
    outer.add_attachment(inner)
    found = made(outer.as_bytes())
    assert not found.texts.links
    assert not any("meadow" in text for text in texts(outer.as_bytes(), Kind.WORDS))


@pytest.mark.parametrize(
    ("fields", "body", "reply", "quotes"),
    [
        ({}, BODY, False, False),
        ({"subject": "AW: Angebot"}, BODY, False, False),
        ({"subject": "Fwd: Angebot"}, BODY, False, False),
        ({"In_Reply_To": "<1@x>"}, BODY, True, False),
        ({"References": "<1@x>"}, BODY, True, False),
        ({}, "Yes.\n\n> Shall we meet?\n> Tom\n", False, True),
        ({}, "Yes.\n\nOn Mon, 2 Nov 2026 at 10:00, Tom Example <t@x.example> wrote:\nShall we meet?\n", False, True),
        ({}, "Ja.\n\nVon: Tom\nGesendet: Montag\nAn: Ann\n\nSehen wir uns?\n", False, True),
        ({}, "Oui.\n\n-----Message d'origine-----\nBonjour\n", False, True),
        ({}, "2 > 1, and so on\n", False, False),
    ],
)
def test_threads(fields: dict[str, str], body: str, reply: bool, quotes: bool) -> None:
    traits = made(mail(body, **fields).as_bytes()).traits
    assert (traits.reply, traits.quotes, traits.threaded) == (reply, quotes, reply or quotes)


HEAD = "On Mon, 2 Nov 2026 at 10:00, Tom Example <t@x.example> wrote:"
OWN = "Please look at the attached list before noon."


@pytest.mark.parametrize(
    "quoted",
    [
        f"{OWN}\n\n{HEAD}\n> The secret plan of the meadow\n> is here.\n",
        f"{HEAD}\n> The secret plan of the meadow\n> is here.\n\n{OWN}\n",
        f"{OWN}\n\n{HEAD}\nThe secret plan of the meadow is here.\n",
        f"{OWN}\n\nVon: Tom\nGesendet: Montag\nAn: Ann\n\nThe secret plan of the meadow is here.\n",
    ],
)
def test_what_is_quoted_makes_no_keys_where_there_are_own_words(quoted: str) -> None:
    assert made(mail(quoted).as_bytes()).traits.content == made(mail(f"{OWN}\n").as_bytes()).traits.content


def test_where_nothing_else_is_said_what_is_quoted_makes_the_keys() -> None:
    quoted = f"Hi\n\n{HEAD}\n> The secret plan of the meadow\n> is here.\n"
    assert any("meadow" in text for text in texts(mail(quoted).as_bytes(), Kind.WORDS))


@pytest.mark.parametrize(("subject", "claims"), [("AW: Angebot", True), ("Fwd: Angebot", False), ("Angebot", False)])
def test_a_subject_that_claims_to_answer_is_told_from_an_answer(subject: str, claims: bool) -> None:
    traits = made(mail(subject=subject).as_bytes()).traits
    assert (traits.claims, traits.threaded) == (claims, False)
    assert unpacked(packed(Made(traits)), "it").traits == traits


TOKEN = st.text("0123456789abcdef", min_size=12, max_size=32)


@given(TOKEN, TOKEN, st.integers(1, 9999), st.booleans())
def test_what_a_campaign_changes_leaves_the_keys_as_they_are(one: str, other: str, number: int, upper: bool) -> None:
    first = mail(BODY + LINK.format(host="go.example.org", token=one), subject="Your parcel 17 waits").as_bytes()
    body = BODY.replace("parcel could", "pаrcеl соuld").replace("1.99", f"{number}.50").replace("fee", "f\u200bee")
    subject = f"Re-delivery: {'YOUR' if upper else 'Your'} pаrcel {number} waits"
    again = mail(body + LINK.format(host="GO.example.org", token=other), subject=subject.partition(": ")[2]).as_bytes()
    left, right = made(first).traits, made(again).traits
    assert left.content == right.content
    assert left.payload == right.payload


@given(st.sampled_from(["refund", "loan", "lottery", "webinar"]))
def test_another_letter_has_other_keys(word: str) -> None:
    one = made(mail().as_bytes()).traits
    other = made(mail(f"We offer you a {word} with {word} and {word} for your {word}.", subject=f"A {word}").as_bytes())
    assert not set(one.content) & set(other.traits.content)


def test_a_changed_sentence_leaves_the_others() -> None:
    one, other = made(mail().as_bytes()).traits, made(mail(BODY.replace("two days", "one week")).as_bytes()).traits
    shared = set(one.content) & set(other.content)
    assert len(shared) > len(one.content) / 2 and one.content != other.content


def test_packed_traits_that_are_cut_are_refused() -> None:
    data = packed(made(mail().as_bytes()))
    for end in range(0, len(data), 7):
        with pytest.raises(TamperedError):
            unpacked(data[:end], "the traits of copy 1")
    assert isinstance(unpacked(data, "it").traits.content, array)


def test_a_text_without_an_encoding_is_packed() -> None:
    raw = b"From: \xff\xfe <a\xed\xa0\x80@x.example>\nList-Id: \xed\xb0\x80\n\nx"
    assert unpacked(packed(made(raw)), "it").traits.sender
