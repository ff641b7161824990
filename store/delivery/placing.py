"""Write release orders into delivery rows. All functions run in one open transaction."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from store.database.connection import StoreDatabase, run, run_many
from store.database.orm import SqliteDatabase
from store.delivery.orders import Addressee, Order, SealedRecipient, new_nonce, seal_order, seal_recipient
from store.helpers.runs import ranges
from store.mail.outcome import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.sealing.keys import Target
    from store.terms.records import Copy
    from store.vault.vault import Vault

#: How long an order is valid (ms). If it is not sent by then, it fails.
ORDER_LIFE = 5 * 24 * 3600 * 1000
INFECTED = "it is infected or probably infected, and Backup settings do not allow the delivery of infected messages"

_DELIVERIES = "deliveries"
_RECIPIENT = "INSERT INTO delivery_recipient (delivery_id, sealed_address, state, changed_at) VALUES (?, ?, ?, ?)"
_RAISE = "SELECT setval('delivery_id_seq', GREATEST(?, (SELECT last_value FROM delivery_id_seq)))"
_ORDER = (
    "UPDATE delivery SET order_blob = ?, order_signature = ?, sealed_body_key = ?, gateway_id = ?, expires_at = ? "
    "WHERE id = ?"
)


def place(
    vault: Vault, copy: Copy, addresses: Sequence[str], target: Target, operator: str, now: int, hold: int = 0
) -> int:
    """Queue a copy for delivery to `addresses` (checked, each mailbox once). Returns the delivery's id.

    It is not sent before `hold` ms have passed. `now` is Unix ms by the deciding clock.
    """
    delivery = vault.models.Delivery.create(
        copy_id=copy.id,
        created_at=now,
        gateway_id=target.gateway_id,
        state=State.QUEUED,
        next_attempt_at=now + hold,
        order_blob=b"",
        order_signature=b"",
        expires_at=now + ORDER_LIFE,
    )
    vault.witness.count_delivery()
    delivery_id = int(delivery.id)
    sealed = [
        seal_recipient(vault, SealedRecipient(delivery_id, index, address, operator))
        for index, address in enumerate(addresses)
    ]
    run_many(vault.db, _RECIPIENT, [(delivery_id, each, State.QUEUED.value, now) for each in sealed])
    addressees = tuple(Addressee(index, address) for index, address in enumerate(addresses))
    write_order(vault, delivery_id, copy, addressees, target, operator, now, hold)
    return delivery_id


def raise_next_delivery(db: StoreDatabase, next_delivery_id: int) -> None:
    """Let new deliveries have ids of at least `next_delivery_id`. In the caller's transaction."""
    if next_delivery_id <= 1:
        return
    if not isinstance(db, SqliteDatabase):
        run(db, _RAISE, next_delivery_id - 1)
    elif not run(db, "SELECT 1 FROM sqlite_sequence WHERE name = 'delivery'").fetchone():
        run(db, "INSERT INTO sqlite_sequence (name, seq) VALUES ('delivery', ?)", next_delivery_id - 1)
    else:
        sql = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'delivery' AND seq < ?"
        run(db, sql, next_delivery_id - 1, next_delivery_id - 1)


def write_order(
    vault: Vault,
    delivery_id: int,
    copy: Copy,
    addressees: tuple[Addressee, ...],
    target: Target,
    operator: str,
    now: int,
    hold: int = 0,
) -> None:
    """Write a new signed order, with all that is needed to send it, into a delivery's row.

    `now` is Unix ms by the deciding clock; the order is not sent before `hold` ms have passed.
    """
    order = Order(
        delivery_id=delivery_id,
        copy_id=copy.id,
        sha256=copy.record.sha256,
        sender=copy.record.envelope_sender or "",
        addressees=addressees,
        dangerous=copy.record.dangerous,
        operator=operator,
        # At least the newest acceptance, so that the order is not taken for older than a restored store.
        ordered_at=max(now, vault.witness.generation),
        expires_at=now + ORDER_LIFE,
        nonce=new_nonce(),
        not_before=now + hold if hold else 0,
        dsn=copy.record.dsn and copy.record.dsn.only(each.address for each in addressees),
    )
    blob, signature = seal_order(vault, order, target.gateway_id, target.key)
    body_key = vault.release_body_key(copy.id, delivery_id, target)
    run(vault.db, _ORDER, blob, signature, body_key, target.gateway_id, order.expires_at, delivery_id)


def placed_words(ids: Iterable[int]) -> str:
    """Format delivery ids for the event that they were queued: ``deliveries 17-41, 43``."""
    return f"{_DELIVERIES} {ranges(sorted(ids))}"


def placed_ids(detail: str) -> list[int]:
    """Parse the delivery ids from such an event; [] if an earlier release wrote it."""
    _, named, listed = detail.partition(f"{_DELIVERIES} ")
    found = re.findall(r"([0-9]+)(?:-([0-9]+))?", listed) if named else []
    return [each for first, last in found for each in range(int(first), int(last or first) + 1)]
