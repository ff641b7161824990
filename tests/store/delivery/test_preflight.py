"""The prediction before a release equals what it does; the facts stated about messages equal what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.authority.settings import Settings
from store.delivery.choosing import IN_HEADER, Choice
from store.delivery.hello import hello_of, write_hello
from store.delivery.marker import find_marker
from store.delivery.preflight import (
    Content,
    Preflight,
    content_of,
    dressed,
    dressing_of,
    look,
    look_at_relay,
    tally,
)
from store.delivery.queue import delivery_of, release
from store.delivery.trace import MBOX_LINE
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.mail.addresses import mailbox
from store.mail.client import Timeouts, local_host_name
from store.mail.dkim import Holds
from store.mail.header_fields import header_of
from store.mail.wire import wire_form
from store.opening.opening import create_store
from store.sealing.keys import LOCAL_ID
from store.space.changing_settings import change_settings
from store.terms.errors import AddressError, NoRecipients, NoRelay
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer

QUICK = Timeouts(connect=5, command=5, message=5)
NOW = 1_700_000_000_000
RELAY = "smtp://127.0.0.1:9"
ADDRESSES = ("a@in.example", "A@in.example", "b@in.example", "c@out.example", "ü@in.example", "<x", "d@out.example")
INFECTED = Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar")


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """Make one store for all examples: each puts its own copies."""
    vault, _recovery = create_store(str(tmp_path_factory.mktemp("preflight") / "s"), passphrase="x")
    yield vault
    vault.close()


def some(*, most: int = 3) -> Any:
    return st.lists(st.sampled_from(ADDRESSES), max_size=most, unique=True)


RECORDS = st.builds(
    lambda envelope, to, bcc, sender, infected: CopyRecord(
        envelope_recipients=tuple(envelope),
        envelope_sender=sender,
        to=", ".join(to),
        bcc=", ".join(bcc),
        verdicts=(INFECTED,) if infected else (),
        reason=INFECTED if infected else None,
    ),
    some(),
    some(most=2),
    some(most=1),
    st.sampled_from(["", "s@x.example", "ü@x.example", None]),
    st.sampled_from([False, False, False, True]),
)
GOOD = st.lists(st.sampled_from([each for each in ADDRESSES if each != "<x"]), max_size=2, unique=True)
CHOICES = st.builds(Choice, st.booleans(), GOOD, some(), st.booleans(), some(), st.one_of(st.booleans(), some()))


@settings(max_examples=60)
@given(
    st.lists(RECORDS, min_size=1, max_size=5),
    st.lists(CHOICES, min_size=1, max_size=3),
    st.sampled_from([(), ("in.example",)]),
    st.booleans(),
    st.data(),
)
def test_what_is_said_is_what_is_done(
    crowded: Vault,
    records: list[CopyRecord],
    choices: list[Choice],
    local_domains: tuple[str, ...],
    allowed: bool,
    data: st.DataObject,
) -> None:
    """Covers consecutive releases (some recipients have a copy already), missing copies, and copies named twice."""
    change_settings(crowded, Settings(relay=RELAY, local_domains=local_domains, allow_infected=allowed))
    ids = crowded.put_many((b"Subject: x\r\n\r\nx\r\n", record, None) for record in records)
    gone = data.draw(st.lists(st.sampled_from(ids), max_size=1))
    crowded.delete(gone)
    for choice in choices:
        asked = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=6))
        if not choice.original and not choice.additional:
            with pytest.raises(NoRecipients):
                look(crowded, asked, choice)
            continue
        found = look(crowded, asked, choice)
        done = release(crowded, asked, **choice._asdict(), operator="op")
        queued = [delivery_of(crowded, each) for each in done.queued]
        assert {copy_id: going.addresses for copy_id, going in found.going.items()} == {
            each.copy_id: tuple(recipient.address for recipient in each.recipients) for each in queued
        }
        reached = {mailbox(recipient.address) for each in queued for recipient in each.recipients}
        assert found.addresses == len(reached)
        assert sorted(found.refused) == sorted(done.refused)
        assert sorted(found.left_out) == sorted(done.left_out)
        assert sorted(found.withheld) == sorted(done.withheld)


def test_it_says_who_sends_and_what_it_heard_of_the_relay_that_is_set(
    any_vault: Vault, tmp_path: Path, sql: Callable[..., Any]
) -> None:
    [copy_id] = any_vault.put_many(
        [(b"Subject: x\r\n\r\nx\r\n", CopyRecord(envelope_recipients=("a@x.example",)), None)]
    )
    with pytest.raises(NoRelay):
        look(any_vault, [copy_id], Choice(True))
    change_settings(any_vault, Settings(relay="smtps://user:secret@mx.example"))
    with pytest.raises(AddressError):
        look(any_vault, [copy_id], Choice(True, ["<x"]))
    found = look(any_vault, [copy_id], Choice(True))
    assert (found.gateway_id, found.gateway, found.relay) == (LOCAL_ID, "", "smtps://user@mx.example:465")
    assert (found.heard, found.unheard, found.offers) == (None, "", None)
    assert look_at_relay(any_vault) == Preflight(gateway_id=LOCAL_ID, relay="smtps://user@mx.example:465")
    enroll(any_vault, "mx1", tmp_path / "mx1.credentials")
    with closing(open_with_credentials(any_vault.location, tmp_path / "mx1.credentials")) as gateway:
        beat(gateway)
        with gateway.write():
            write_hello(gateway, hello_of("smtps://user@mx.example:465", {"size": "9"}), NOW)
        found = look(any_vault, [copy_id], Choice(True))
        assert found.gateway == "mx1" and found.heard is not None and found.heard.at == NOW
        assert found.offers is not None and found.offers.limit == 9 and tally(found, {}).too_large == 1
        sql(any_vault, "UPDATE hello SET at = at + 1")
        forged = look(any_vault, [copy_id], Choice(True))
        assert forged.heard is None and forged.offers is None and "gateway" in forged.unheard
        with gateway.write():
            write_hello(gateway, hello_of("smtp://other.example:25", {"size": "9"}), NOW)
        assert look(any_vault, [copy_id], Choice(True)).heard is None


RAW = (
    b"From old@x.example Mon Jan  1 00:00:00 2026\r\nReturn-Path: <r@x.example>\r\nX-QUARANTINE-id: <q>\r\n"
    b"Subject: x\r\nBcc: b@x.example\r\n\r\nbody \xc3\xbc\r\n.\r\n"
)


@pytest.mark.parametrize("loops", [False, True])
async def test_what_is_said_of_a_message_is_what_the_relay_gets(vault: Vault, loops: bool) -> None:
    async with ScriptedServer(extensions=("8BITMIME",)) as server:
        changed = Settings(relay=f"smtp://127.0.0.1:{server.port}", release_loops=loops)
        change_settings(vault, changed)
        record = CopyRecord(envelope_sender="s@x.example", envelope_recipients=("a@x.example",))
        copy_id = vault.put(RAW, record)
        content = content_of(vault, copy_id, dressing_of(changed, await local_host_name()), NOW)
        release(vault, [copy_id], original=True, operator="op")
        await asyncio.wait_for(DeliveryWorker(vault, owner="test", timeouts=QUICK).run_until_idle(), 60)
        [taken] = server.taken
    assert content.size == len(taken.content) and content.eight_bit and not content.unmarked and not content.problem
    assert content.taken_off == (MBOX_LINE, "Return-Path", "X-QUARANTINE-id", "Bcc")
    names = [field.name for field in header_of(taken.content, mbox=False).fields()]
    assert [name.lower().encode() for name in content.put_on] + [b"subject"] == names
    assert (find_marker(taken.content).token != b"") if loops else ("X-Mailhold-Delivery" not in content.put_on)


def test_a_message_that_cannot_be_sent_or_marked_or_read_is_told(vault: Vault, sql: Callable[..., Any]) -> None:
    dressing = dressing_of(Settings(release_loops=True), "host.example")
    assert dressed(b"Subject: x\r\n\r\nCR \r on its own\r\n", dressing, NOW).unmarked == "it has a CR without LF"
    assert "CR, dot, CR" in dressed(b"Subject: x\n\na\r.\r\nb\n", dressing, NOW).problem
    copy_id = vault.put(b"Subject: x\r\n\r\n" + b"x" * 100, CopyRecord())
    sql(vault, "DELETE FROM body")
    assert "its body is missing" in content_of(vault, copy_id, dressing, NOW).problem
    assert "There is no message copy" in content_of(vault, copy_id + 1, dressing, NOW).problem


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"x", b"\r\n"]), max_size=8).map(b"".join))
def test_what_would_be_taken_for_the_end_is_told_of_every_message(body: bytes) -> None:
    raw = b"Subject: x\n\n" + body
    try:
        wire_form(raw)
        fails = False
    except ValueError:
        fails = True
    assert bool(dressed(raw, dressing_of(Settings(), "host.example"), NOW).problem) is fails


def test_body_hashes_are_of_the_message_as_it_is_sent() -> None:
    dressing = dressing_of(Settings(), "host.example")
    bh = b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="  # The digest of an empty body.
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=x.example; h=From; bh=%s; b=a\r\n" % bh
    assert dressed(field + b"\r\n", dressing, NOW).signed is None
    for body, holds in ((b"", Holds.YES), (b"\n\n", Holds.YES), (b"x", Holds.NO)):
        [signed] = dressed(field + b"\r\n" + body, dressing, NOW, hashes=True).signed or ()
        assert signed.holds is holds


def test_the_tally(vault: Vault) -> None:
    change_settings(vault, Settings(relay=RELAY))
    to = [("a@x.example",), ("ü@x.example", "a@x.example"), ("a@x.example", "b@x.example")]
    senders = ["s@x.example", "s@x.example", "ü@x.example"]
    ids = vault.put_many(
        (b"x" * size, CopyRecord(envelope_recipients=each, envelope_sender=sender), None)
        for size, each, sender in zip((100, 200, 300), to, senders, strict=True)
    )
    with vault.write():
        write_hello(vault, hello_of(RELAY, {"size": "250"}), NOW)
    found = look(vault, ids, Choice(True))
    assert found.addresses == 3
    assert tally(found, {})[:6] == (0, 300, 1, 0, 2, 3)
    contents = {
        ids[0]: Content(900, True, ("Bcc", "BCC"), ("Resent-From",)),
        ids[1]: Content(10, False, ("bcc", "Return-Path"), ("Resent-From",), unmarked="why"),
        ids[2]: Content(problem="it is damaged"),
        99: Content(10_000, True),
    }
    summed = tally(found, contents)
    assert summed[:6] == (3, 900, 2, 1, 2, 3)
    assert summed.taken_off == {"Bcc": 2, "Return-Path": 1} and summed.put_on == {"Resent-From": 2}
    assert summed.unmarked == 1 and summed.problems == [(ids[2], "it is damaged")]


def test_a_header_s_addresses_that_were_not_asked_for_are_left_out(vault: Vault) -> None:
    change_settings(vault, msgspec.structs.replace(Settings(), relay=RELAY))
    copy_id = vault.put(b"x", CopyRecord(to="a@x.example"))
    found = look(vault, [copy_id], Choice(True, ["b@x.example"]))
    assert found.going[copy_id].addresses == ("b@x.example",)
    assert [(each.address, each.reason) for each in found.left_out] == [("a@x.example", IN_HEADER)]
