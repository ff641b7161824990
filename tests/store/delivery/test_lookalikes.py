"""Senders that only look like another: own and known domains, the answered thread, the first sender of a subject."""

from __future__ import annotations

import msgspec
import pytest

from store.authority.settings import read_settings
from store.delivery.choosing import Choice
from store.delivery.lookalikes import LOOKALIKE, Found, Lookalike, Why, base_subject, lookalikes
from store.delivery.preflight import look
from store.delivery.queue import delivery_of, release
from store.helpers.clock import DAY_MS, now_ms
from store.message.message import summarise
from store.sealing.counting import DOMAIN
from store.space.changing_settings import change_settings
from store.terms.findings import Authentication, KnownSender
from store.vault.known import Known
from store.vault.vault import Vault


def letter(sender: str, subject: str = "Invoice 4711 of March", text: str = "Please pay.", **fields: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    head = f"From: {sender}\r\nTo: ap@corp.example\r\nSubject: {subject}\r\n{more}"
    return f"{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()


def put(
    vault: Vault, raw: bytes, known: KnownSender | None = None, authentication: tuple[Authentication, ...] = ()
) -> int:
    record = summarise(raw, envelope_sender="s@x.example", envelope_recipients=("ap@corp.example",))
    return vault.put(raw, msgspec.structs.replace(record, known=known, authentication=authentication))


@pytest.fixture
def ready(vault: Vault) -> Vault:
    """Make a store with an own domain and a relay that is never contacted."""
    changed = msgspec.structs.replace(
        read_settings(vault), relay="smtp://127.0.0.1:9", local_domains=("corp-holding.example",)
    )
    change_settings(vault, changed)
    Known(vault).add({(DOMAIN, "riosol.example"): (9.0, 0.0)}, now_ms() // DAY_MS)
    return vault


def test_own_and_known_domains(ready: Vault) -> None:
    own = put(ready, letter("ceo@corp-ho1ding.example"))
    known = put(ready, letter("ap@rioso1.example", "Other"))
    fine = [put(ready, letter(f"a@{name}")) for name in ("riosol.example", "mail.riosol.example", "other.example")]
    assert lookalikes(ready, [own, known, *fine, 999]) == Found(
        {
            own: Lookalike("corp-ho1ding.example", "corp-holding.example", Why.OWN),
            known: Lookalike("rioso1.example", "riosol.example", Why.KNOWN),
        }
    )


QUOTED = "Yes, but to the new account.\r\n\r\nOn Monday Zoe <zoe@fernpay.example> wrote:\r\n> the account as always\r\n"


@pytest.mark.parametrize(
    ("raw", "like"),
    [
        (letter("zoe@fempay.example", "Re: Rent", QUOTED), "fernpay.example"),
        (letter("zoe@fempay.example", "Rent", QUOTED, In_Reply_To="<1@mail.example>"), "fernpay.example"),
        (
            letter("zoe@fempay.example", "Rent", "Yes.", References="<1@x.example>\r\n <2@fernpay.example>"),
            "fernpay.example",
        ),
        (letter("zoe@fempay.example", "Rent", QUOTED), ""),
        (letter("zoe@fernpay.example", "Re: Rent", QUOTED), ""),
        (letter("zoe@other.example", "Re: Rent", QUOTED), ""),
        (letter("nobody", "Re: Rent", QUOTED), ""),
    ],
    ids=["quoted", "quoted by header", "by Message-ID", "no answer", "the partner", "another", "no sender"],
)
def test_the_thread_that_it_answers(ready: Vault, raw: bytes, like: str) -> None:
    copy = put(ready, raw)
    found = lookalikes(ready, [copy])
    assert {each.like for each in found.copies.values()} == ({like} if like else set()) and not found.unread


def test_an_own_address_in_the_thread_does_not_hide_the_other(ready: Vault) -> None:
    copy = put(ready, letter("zoe@fempay.example", "Re: Rent", f"{QUOTED}\r\nzoe@fempay.example\r\n"))
    assert lookalikes(ready, [copy]).copies[copy].like == "fernpay.example"


def test_a_sender_who_is_known_looks_like_nobody_of_his_thread(ready: Vault) -> None:
    copy = put(ready, letter("zoe@fempay.example", "Re: Rent", QUOTED), KnownSender(address_other=3))
    assert not lookalikes(ready, [copy]).copies


def test_the_first_of_a_subject_is_imitated_by_later_ones(ready: Vault) -> None:
    first = put(ready, letter("zoe@fernpay.example", "Invoice 4711 of March"))
    later = put(ready, letter("zoe@fempay.example", "AW: Re: Invoice 4711 of  March"))
    asked: list[str] = []

    def same(subject: str) -> list[tuple[int, str]]:
        asked.append(subject)
        return [(later, "Zoe <zoe@fempay.example>"), (first, "Zoe <zoe@fernpay.example>")]

    found = lookalikes(ready, [first, later], same_subject=same)
    assert found.copies == {later: Lookalike("fempay.example", "fernpay.example", Why.SUBJECT, first)}
    assert found.reasons == {later: f"{LOOKALIKE}: fempay.example ~ fernpay.example, same subject as copy {first}"}
    assert asked == ["Invoice 4711 of March"]


def test_where_a_known_one_wrote_the_subject_that_is_told_as_well(ready: Vault) -> None:
    first = put(ready, letter("zoe@riosol.example"))
    later = put(ready, letter("zoe@rioso1.example"))
    found = lookalikes(ready, [later], same_subject=lambda _subject: [(first, "zoe@riosol.example")])
    assert found.copies[later].reason == f"rioso1.example ~ riosol.example, known here, same subject as copy {first}"


def test_what_cannot_be_read_is_counted(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.delivery.lookalikes._READ", 1)
    ids = [put(ready, letter(f"zoe@a{number}.example", "Re: Rent", QUOTED)) for number in range(3)]
    assert lookalikes(ready, ids) == Found({}, unread=2)
    monkeypatch.setattr("store.delivery.lookalikes._SUBJECTS", 1)
    others = [put(ready, letter(f"zoe@a{number}.example", f"Rent of flat {number}")) for number in range(3)]
    assert lookalikes(ready, others, same_subject=lambda _subject: []) == Found({}, unread=2)
    assert lookalikes(ready, ids, cancelled=lambda: True) == Found({})


def test_they_are_left_out_with_the_reason_unless_chosen(ready: Vault) -> None:
    ids = [put(ready, letter("ap@rioso1.example")), put(ready, letter("ap@riosol.example"))]
    spared = lookalikes(ready, ids).reasons
    choice = Choice(original=True, spared=spared)
    reason = f"{LOOKALIKE}: rioso1.example ~ riosol.example, known here"
    assert look(ready, ids, choice).refused == [(ids[0], reason)]
    assert list(look(ready, ids, choice._replace(lookalikes=True)).going) == ids
    result = release(ready, ids, original=True, spared=spared)
    assert result.refused == [(ids[0], reason)]
    assert [delivery_of(ready, each).copy_id for each in result.queued] == ids[1:]
    assert len(release(ready, ids[:1], original=True, spared=spared, lookalikes=True).queued) == 1


@pytest.mark.parametrize(
    ("subject", "base"),
    [("Re: Rent", "Rent"), ("AW: RE[2]: Fwd: Rent  of\tMay", "Rent of May"), ("Rent: re", "Rent: re"), ("", "")],
)
def test_a_subject_without_its_answers(subject: str, base: str) -> None:
    assert base_subject(subject) == base
