"""`summarise`: what the record takes from headers and structure, compared with the standard library if that works."""

from __future__ import annotations

import email.header
import email.message
import email.policy
import email.utils
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.message.dates import parse_date
from store.message.headers import decode_addresses, decode_field
from store.message.message import ADDRESSES_LIMIT, SUBJECT_LIMIT, summarise
from store.terms.records import Attachment
from tests.amounts import amount
from tests.store.message.hostile import messages


def _summary(head: bytes) -> tuple[str, str]:
    record = summarise(head)
    return record.from_, record.subject


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?caf=C3=A9?=", "café"),
        (b"=?UTF-8?B?Y2Fmw6k=?=", "café"),
        (b"=?iso-8859-1*fr?Q?caf=E9?=", "café"),
        (b"=?iso-8859-1?Q?Essai_accentu=E9?=", "Essai accentué"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?= c", "ab c"),
        (b"=?utf-8?q?caf=C3?= =?utf-8?q?=A9?=", "café"),
        (b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?two words?=", "two words"),
        (b"=?gb2312?B?1tC5+g==?=", "中国"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?koi8-r?B?8NLJ18XU?=", "Привет"),
        (b"=?x-unknown?q?caf=C3=A9?=", "café"),
        (b"=?x-unknown?q?caf=E9?=", "café"),
        (b"=?us-ascii?q?caf=C3=A9?=", "café"),
        (b"=?zlib?q?x?=", "x"),
        (b"=?idna?q?xn--a?=", "xn--a"),
        (b"=?unicode_escape?q?=5Cx41?=", "\\x41"),
        (b"=?utf-8?b?not base64!?=", "\ufffd"),
        (b"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        (b"=?utf-8?q?=1B[31m?=", "\x1b[31m"),
        ("café".encode(), "café"),
        ("café".encode("latin-1"), "café"),
        (b"quote \x93x\x94", "quote “x”"),
        ("日本".encode("iso2022_jp"), "日本"),
    ],
)
def test_fields_are_decoded_in_any_charset(value: bytes, text: str) -> None:
    if text == "\ufffd":
        assert decode_field(value)
    else:
        assert decode_field(value) == text


def test_raw_fields_are_read_in_the_charset_of_the_body() -> None:
    head = "Subject: Привет\nContent-Type: text/plain; charset=koi8-r\n\n".encode("koi8-r")
    assert summarise(head).subject == "Привет"


def test_the_fields_of_a_message() -> None:
    raw = (
        b"Received: from a by b; Tue, 24 Nov 2026 08:10:47 +0100\r\n"
        b"Received: from x by a; Mon, 23 Nov 2026 00:00:00 +0000\r\n"
        b"FROM : Ann <ann@example.org>\r\nTo: b@example.net,\r\n\tc@example.net\r\nTo: d@example.net\r\n"
        b"Cc: e@example.net\r\nBcc: f@example.net\r\nSubject: folded\r\n  subject\r\nSubject: second\r\n"
        b"Message-ID: <1@example.org>\r\nDate: Tue, 24 Nov 2026 07:00:00 GMT\r\n\r\nSubject: body\r\n"
    )
    record = summarise(raw, envelope_sender="", envelope_recipients=["b@example.net"])
    assert record.from_ == "Ann <ann@example.org>"
    assert record.to == "b@example.net, c@example.net, d@example.net"
    assert (record.cc, record.bcc) == ("e@example.net", "f@example.net")
    assert record.subject == "folded subject"
    assert record.message_id == "<1@example.org>"
    assert record.sent_at == int(datetime(2026, 11, 24, 7, tzinfo=UTC).timestamp() * 1000)
    assert record.received_at == int(datetime(2026, 11, 24, 7, 10, 47, tzinfo=UTC).timestamp() * 1000)
    assert record.envelope_sender == ""
    assert record.envelope_recipients == ("b@example.net",)


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"From a@b Tue Nov 24 08:10:47 2026\nSubject: mbox\n\nx", "mbox"),
        (b">From a@b Tue\r\nSubject: quoted mbox\r\n\r\nx", "quoted mbox"),
        (b"Subject: mac\rFrom: a@b\r\rbody", "mac"),
        (b"\nSubject: body\n", ""),
        (b"no header at all\nSubject: body\n", ""),
        (b"Subject: x\nnot a field\nFrom: a@b\n", "x"),
        (b": empty name\nSubject: after it\n\n", "after it"),
        (b" continuation first\nSubject: body\n\n", ""),
        (b"From : a@b.example\nSubject: x\n\n", "x"),
        (b"Subject:\n\n", ""),
        (b"Subject", ""),
        (b"", ""),
        (b"Subject: no end", "no end"),
        (b"subject\t: odd name\n\n", "odd name"),
    ],
)
def test_the_header_block_is_found_in_odd_messages(raw: bytes, subject: str) -> None:
    assert summarise(raw).subject == subject


def test_attachments_are_listed_with_their_decoded_size() -> None:
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content("body")
    message.add_attachment(b"x" * 1000, maintype="application", subtype="pdf", filename="Häsen.pdf")
    message.add_attachment("text " * 100, filename="notes.txt")
    inner = EmailMessage()
    inner["Subject"] = "the inner one"
    inner.set_content("inner body")
    inner.add_attachment(b"123", maintype="image", subtype="png", filename="../a.png")
    message.add_attachment(inner)
    record = summarise(message.as_bytes())
    assert record.attachments[0] == Attachment("Häsen.pdf", "application/pdf", 1000)
    assert record.attachments[1] == Attachment("notes.txt", "text/plain", 501)
    assert record.attachments[2].name == "the inner one"
    assert record.attachments[2].content_type == "message/rfc822"
    assert record.attachments[3] == Attachment("../a.png", "image/png", 3)


def test_limits_are_kept() -> None:
    record = summarise(b"Subject: " + b"s" * 1_000_000 + b"\nTo: " + b"a@b, " * 100_000 + b"\n\nbody")
    assert len(record.subject) == 1000
    assert record.subject.endswith("…")
    assert len(record.to) <= ADDRESSES_LIMIT
    assert set(record.to.split(", ")) == {"a@b", "…"}
    assert summarise(b"To: " + b"a" * 70_000 + b"@b.example\n\n").to.endswith("a…")
    hidden = b"X: " + b"x\n x" * 5000 + b"\nX: " + b"x" * 1_000_000 + b"\nSubject: still there\n\nbody"
    assert summarise(hidden).subject == "still there"
    many = b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\nContent-Type: a/b\n\ndata\n" * 5000
    assert len(summarise(many).attachments) == 100


def test_an_encoded_word_cannot_pose_as_an_address() -> None:
    shown = decode_addresses(b"=?utf-8?q?evil=40example.net=2C?= <ann@example.org>")
    assert email.utils.getaddresses([shown]) == [("evil@example.net,", "ann@example.org")]
    shown = decode_addresses(b'"=?utf-8?q?a=22=2C_evil=40example.net=2C_=22b?=" <ann@example.org>')
    assert [address for _, address in email.utils.getaddresses([shown])] == ["ann@example.org"]


_names = st.text(st.sampled_from("aé字 ,;<>@\"\\()[]'.=?_"), min_size=1, max_size=12)
_addresses = st.from_regex(r"\A[a-z]{1,8}@[a-z]{1,8}\.example\Z")


@given(st.lists(st.tuples(_names, _addresses), min_size=1, max_size=5))
def test_decoded_address_fields_keep_exactly_their_addresses(people: list[tuple[str, str]]) -> None:
    field = ", ".join(f"{email.header.Header(name, 'utf-8').encode()} <{address}>" for name, address in people)
    shown = decode_addresses(field.encode())
    assert [address for _, address in email.utils.getaddresses([shown])] == [address for _, address in people]


@given(
    st.datetimes(datetime(1970, 1, 3), datetime(2200, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    st.integers(-14 * 60, 14 * 60),
)
def test_dates_are_those_of_the_standard_library(moment: datetime, offset: int) -> None:
    zoned = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_date(email.utils.format_datetime(zoned).encode()) == int(zoned.timestamp() * 1000)
    assert parse_date(zoned.isoformat().encode()) == int(zoned.timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        (b"Tue, 24 Nov 2026 08:10:47 +0100 (CET)", "2026-11-24T07:10:47"),
        (b"24 Nov 26 08:10 EST", "2026-11-24T13:10:00"),
        (b"Tue Nov 24 08:10:47 2026", "2026-11-24T08:10:47"),
        (b"Tue, 24-Nov-2026 08:10:47 GMT", "2026-11-24T08:10:47"),
        (b"Tue,  4 Nov 97 8:10:47 -0800", "1997-11-04T16:10:47"),
    ],
)
def test_dates_as_people_wrote_them(text: bytes, iso: str) -> None:
    assert parse_date(text) == int(datetime.fromisoformat(iso + "+00:00").timestamp() * 1000)


@pytest.mark.parametrize(
    "text",
    [b"", b"yesterday", b"32 Nov 2026 08:10:47", b"24 Foo 2026 08:10:47", b"24 Nov 99999 08:10:47", b"\xff" * 900],
)
def test_what_is_no_date_is_zero(text: bytes) -> None:
    assert parse_date(text) == 0


@given(messages)
@settings(max_examples=amount(130, 400))
def test_any_bytes_have_a_summary(raw: bytes) -> None:
    summarise(raw)


def test_the_corpus_agrees_with_the_standard_library(corpus_files: list[Path]) -> None:
    compared = 0
    for path in corpus_files:
        raw = path.read_bytes()
        record = summarise(raw)
        parsed = email.message_from_bytes(raw, policy=email.policy.compat32)
        wanted = parsed.get("Subject", "")
        if not isinstance(wanted, str) or not wanted.isascii() or any(part.defects for part in parsed.walk()):
            continue
        try:
            pieces = email.header.decode_header(wanted)
            text = "".join(
                piece.decode(charset or "ascii") if isinstance(piece, bytes) else piece for piece, charset in pieces
            )
            date = email.utils.mktime_tz(email.utils.parsedate_tz(parsed.get("Date", ""))) * 1000
        except (LookupError, UnicodeError, ValueError, TypeError, AttributeError):
            continue
        compared += 1
        shown = record.subject.removesuffix("…") if len(record.subject) == SUBJECT_LIMIT else record.subject
        assert "".join(text.split()).startswith("".join(shown.split())), path
        assert len(shown) >= min(len(" ".join(text.split())), SUBJECT_LIMIT) - 5, path
        assert record.sent_at == max(0, date), path
        assert record.message_id == " ".join(str(parsed.get("Message-ID", "")).split()), path
    assert compared > 400
