"""A delivery's data in the database is written exactly as FORMAT.md says, because other versions read it."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import msgspec
import pytest

from store.authority.settings import Settings
from store.delivery import leases
from store.delivery.orders import seal_reply
from store.delivery.queue import release
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.sealing.sealed import hpke_open
from store.sealing.statements import statement
from store.space.changing_settings import change_settings
from store.terms.dsn import Dsn, RecipientDsn
from store.terms.records import CopyRecord
from store.vault.vault import Vault

RAW = b"Subject: x\r\n\r\nbody\r\n"
TO = ("a@x.example", "b@x.example")


@pytest.fixture
def delivery(vault: Vault) -> Any:
    """Make the row of a release to two recipients that was tried once."""
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1"))
    copy_id = vault.put(RAW, CopyRecord(envelope_sender="s@x.example", envelope_recipients=TO))
    [delivery_id] = release(vault, [copy_id], original=True, operator="ada").queued
    with vault.write():
        [claim] = leases.claim(vault, 1, "w", 1, now_ms(), 1000)
        leases.settle(vault, claim, dict.fromkeys(claim.live, Outcome(State.DEFERRED, "451 später")), now_ms())
    return vault.models.Delivery.get_by_id(delivery_id)


def recipients(vault: Vault, delivery: Any) -> list[Any]:
    table = vault.models.DeliveryRecipient
    return list(table.select().where(table.delivery_id == delivery.id).order_by(table.id))


def test_recipients_and_replies_are_sealed_under_their_roles(vault: Vault, delivery: Any) -> None:
    for place, row in enumerate(recipients(vault, delivery)):
        opened = vault.unseal("delivery recipient", bytes(row.sealed_address))
        assert msgspec.msgpack.decode(opened) == [delivery.id, place, TO[place], "ada"]
        reply = bytes(row.sealed_reply)
        assert reply[:1] == b"\0"
        assert vault.unseal(f"delivery reply {row.id}", reply[1:]).decode() == "451 später"


def test_a_gateways_reply_is_sealed_to_the_read_key(
    vault: Vault, delivery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, key = recipients(vault, delivery)[0], vault.keys.read_private
    monkeypatch.setattr(vault, "keys", dataclasses.replace(vault.keys, private_key=None))
    reply = seal_reply(vault, row.id, "550 no")
    assert reply[:1] == b"\1"
    info = statement("delivery reply", vault.store_id, row.id)
    assert hpke_open(key, info, reply[1:], "it") == b"550 no"


def test_an_order_holds_what_the_format_names_in_its_order(vault: Vault, delivery: Any) -> None:
    info = statement("delivery order", vault.store_id, delivery.id, delivery.gateway_id)
    opened = hpke_open(vault.keys.gateway.delivery, info, bytes(delivery.order_blob), "it")
    *fields, nonce, not_before, dsn = msgspec.msgpack.decode(opened)
    ordered_at = delivery.created_at
    assert fields == [
        delivery.id,
        delivery.copy_id,
        hashlib.sha256(RAW).digest(),
        "s@x.example",
        [[0, TO[0]], [1, TO[1]]],
        False,
        "ada",
        ordered_at,
        ordered_at + 5 * 24 * 3600 * 1000,
    ]
    assert len(nonce) == 16 and not_before == 0 and dsn is None


def test_an_order_holds_what_was_asked_for_its_recipients(vault: Vault) -> None:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1", hold=20))
    dsn = Dsn(
        "HDRS", "id+2B", (RecipientDsn(TO[0], "NEVER", "rfc822;x@y.example"), RecipientDsn("gone@x.example", "DELAY"))
    )
    copy_id = vault.put(RAW, CopyRecord(envelope_sender="s@x.example", envelope_recipients=TO, dsn=dsn))
    [delivery_id] = release(vault, [copy_id], original=True).queued
    row = vault.models.Delivery.get_by_id(delivery_id)
    info = statement("delivery order", vault.store_id, delivery_id, 1)
    *_, not_before, asked = msgspec.msgpack.decode(hpke_open(vault.keys.gateway.delivery, info, row.order_blob, "it"))
    assert not_before == row.next_attempt_at == row.created_at + 20_000
    assert asked == ["HDRS", "id+2B", [[TO[0], "NEVER", "rfc822;x@y.example"]]]
