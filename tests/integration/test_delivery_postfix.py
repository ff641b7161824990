"""Releases through a real Postfix to a real mailbox: identical except for trace fields, and refusals per recipient."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from store.authority.settings import Settings
from store.delivery.queue import deliveries, delivery_of, queue_length, release, retry
from store.delivery.worker import DeliveryWorker
from store.mail.header_fields import header_of
from store.mail.outcome import State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.integration.mailbox_form import PREPENDED, is_malformed, mailbox_form
from tests.integration.postfix import DEFERRED, DEFERRED_REPLY, DOMAIN, REFUSED, REFUSED_REPLY, Postfix, postfix

__all__ = ["postfix"]
pytestmark = pytest.mark.integration

PUT_ON = [b"resent-date", b"resent-from", b"resent-message-id"]


class Received(NamedTuple):
    """A parsed mailbox file: the relay's own fields by name, and the message below the fields that a release adds."""

    relay: dict[bytes, bytes]
    message: bytes

    @property
    def to(self) -> str:
        return self.relay[b"delivered-to"].decode()


def taken_apart(content: bytes) -> Received:
    fields = list(header_of(content).fields())
    values = [(each.name, content[each.value : each.end].strip()) for each in fields]
    first = next(at for at, (name, _) in enumerate(values) if name not in PREPENDED)
    assert [name for name, _ in values[first : first + 3]] == PUT_ON
    return Received(dict(values[:first]), content[fields[first + 2].end :])


@pytest.fixture
def mailbox(postfix: Postfix) -> Iterator[Postfix]:
    """Empty the mailbox of the module's Postfix."""
    postfix.wait_until_empty()
    for path in postfix.maildir.glob("*/*"):
        path.unlink()
    yield postfix


def deliver(vault: Vault, relay: str, ids: list[int], **choice: object) -> list[int]:
    change_settings(vault, Settings(relay=relay))
    queued = release(vault, ids, original=True, operator="op", **choice).queued
    asyncio.run(asyncio.wait_for(DeliveryWorker(vault, owner="test").run_until_idle(), 120))
    return queued


def record(*to: str, sender: str | None = f"sender@{DOMAIN}") -> CopyRecord:
    return CopyRecord(envelope_sender=sender, envelope_recipients=to)


NASTY = (
    b"Return-Path: <old@x.example>\r\nDelivered-To: old@x.example\r\nX-Quarantine-ID: <abc>\r\n"
    b"Received: from somewhere (kept)\r\n\tby somewhere else\r\nSubject: =?utf-8?q?=C3=BC?= raw \xc3\xbc\r\n"
    b"To: undisclosed-recipients:;\r\nBcc: kept@x.example\r\nContent-Length: 3\r\nX-Amavis-Alert: BANNED\r\n\r\n"
    b".\r\n..dots\r\n.\r\nFrom mbox-like\r\n8-bit \xff\xfe\x80, NUL \x00.\r\n" + b"long" * 3000 + b"\r\n\r\n \t \r\n"
)


def test_a_message_arrives_byte_for_byte_but_for_trace_fields(vault: Vault, mailbox: Postfix) -> None:
    copy_id = vault.put(NASTY, record(f"bob@{DOMAIN}", f"carol@{DOMAIN}"))
    [delivery_id] = deliver(vault, f"smtp://127.0.0.1:{mailbox.port}", [copy_id])
    found = delivery_of(vault, delivery_id)
    assert found.state is State.SENT and all("queued as" in each.reply for each in found.recipients)
    received = [taken_apart(content) for content in mailbox.wait_for(2)]
    assert sorted(each.to for each in received) == [f"bob@{DOMAIN}", f"carol@{DOMAIN}"]
    for each in received:
        assert each.message == mailbox_form(NASTY)
        assert each.relay[b"return-path"] == f"<sender@{DOMAIN}>".encode()


@pytest.mark.parametrize("sender", ["", None])
def test_the_null_sender_stays_null_and_an_unknown_one_is_null(
    vault: Vault, mailbox: Postfix, sender: str | None
) -> None:
    copy_id = vault.put(b"Subject: bounce\r\n\r\nx\r\n", record(f"bob@{DOMAIN}", sender=sender))
    deliver(vault, f"smtp://127.0.0.1:{mailbox.port}", [copy_id])
    [content] = mailbox.wait_for(1)
    assert taken_apart(content).relay[b"return-path"] == b"<>"


def test_a_partial_refusal_shows_per_recipient(vault: Vault, mailbox: Postfix) -> None:
    copy_id = vault.put(b"Subject: x\r\n\r\nx\r\n", record(f"bob@{DOMAIN}", REFUSED, DEFERRED, "out@elsewhere.test"))
    [delivery_id] = deliver(
        vault,
        f"smtp://127.0.0.1:{mailbox.port}",
        [copy_id],
        additional=[f"δοκιμή@{DOMAIN}"],
        left_out=["out@elsewhere.test"],
    )
    states = {each.address: each for each in delivery_of(vault, delivery_id).recipients}
    assert states[f"bob@{DOMAIN}"].state is State.SENT and states[f"δοκιμή@{DOMAIN}"].state is State.SENT
    assert states[REFUSED].state is State.FAILED and states[REFUSED].reply.startswith(REFUSED_REPLY[:9])
    assert states[DEFERRED].state is State.DEFERRED and states[DEFERRED].reply.startswith(DEFERRED_REPLY[:9])
    assert "policy refusal" in states[REFUSED].reply and "try again later" in states[DEFERRED].reply
    assert delivery_of(vault, delivery_id).state is State.DEFERRED and queue_length(vault) == 1
    assert sorted(taken_apart(content).to for content in mailbox.wait_for(2)) == sorted(
        [f"bob@{DOMAIN}", f"δοκιμή@{DOMAIN}"]
    )
    retry(vault, delivery_id)
    asyncio.run(DeliveryWorker(vault, owner="test").run_until_idle())
    mailbox.wait_until_empty()
    assert len(mailbox.received()) == 2


def test_over_starttls_with_the_relays_own_authority(vault: Vault, mailbox: Postfix) -> None:
    copy_id = vault.put(b"Subject: x\r\n\r\nx\r\n", record(f"bob@{DOMAIN}"))
    url = f"smtp://127.0.0.1:{mailbox.port}?starttls=1"
    [delivery_id] = deliver(vault, url, [copy_id])
    assert delivery_of(vault, delivery_id).state is State.DEFERRED
    [delivery_id] = deliver(vault, f"{url}&ca={mailbox.ca}", [copy_id], again=True)
    assert delivery_of(vault, delivery_id).state is State.SENT
    [content] = mailbox.wait_for(1)
    assert b"with ESMTPS" in taken_apart(content).relay[b"received"]


def test_real_messages_arrive_byte_for_byte(
    vault: Vault, mailbox: Postfix, corpus_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Postfix repairs malformed headers and stray CR (`is_malformed`); every other message is identical."""
    raws = [raw for path in corpus_files if (raw := path.read_bytes()) and len(raw) < 4_000_000]
    ids = vault.put_many((raw, record(f"u{number}@{DOMAIN}"), None) for number, raw in enumerate(raws))
    deliver(vault, f"smtp://127.0.0.1:{mailbox.port}", ids)
    found = deliveries(vault)
    unsent = [each for each in found if each.state is not State.SENT]
    received = {}
    for content in mailbox.wait_for(len(found) - len(unsent), timeout=120):
        each = re.search(rb"^Delivered-To: u(\d+)@", content, re.MULTILINE)
        assert each
        assert int(each[1]) not in received, "delivered twice"
        received[int(each[1])] = content
    assert all("takes for its end" in each.recipients[0].reply for each in unsent)
    assert len(received) + len(unsent) == len(raws)
    identical = [number for number, content in received.items() if content.endswith(mailbox_form(raws[number]))]
    mended = sorted(set(received) - set(identical))
    with capsys.disabled():
        print(
            f"\n{len(raws)} real messages released, {len(received)} arrived: {len(identical)} identical, "
            f"{len(mended)} mended by Postfix, {len(unsent)} refused as unsafe"
        )
    for number in identical:
        taken = taken_apart(received[number])
        assert taken.message == mailbox_form(raws[number]) or not any(header_of(raws[number]).fields())
    assert all(is_malformed(raws[number]) for number in mended), [corpus_files[number] for number in mended]
    assert len(identical) > 0.9 * len(raws)
