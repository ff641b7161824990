"""Writing a release order into a delivery's row. Functions of one open transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.delivery.orders import Addressee, Order, SealedRecipient, new_nonce, seal_order, seal_recipient
from store.mail.outcome import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.sealing.keys import Target
    from store.terms.records import Copy
    from store.vault.vault import Vault

#: How long an order is good (ms): what is not sent by then has failed.
ORDER_LIFE = 5 * 24 * 3600 * 1000
INFECTED = "it is infected or probably infected, and Backup settings do not allow the delivery of infected messages"


def place(vault: Vault, copy: Copy, addresses: Sequence[str], target: Target, operator: str, now: int) -> int:
    """Queue a copy for delivery to `addresses`, which are checked and each mailbox once; returns the delivery's id."""
    models = vault.models
    delivery_id = models.Delivery.insert(
        copy_id=copy.id,
        created_at=now,
        gateway_id=target.gateway_id,
        state=State.QUEUED,
        next_attempt_at=now,
        order_blob=b"",
        order_signature=b"",
        expires_at=now + ORDER_LIFE,
    ).execute()
    models.DeliveryRecipient.insert_many(
        [
            {
                "delivery_id": delivery_id,
                "sealed_address": seal_recipient(vault, SealedRecipient(delivery_id, index, address, operator)),
                "state": State.QUEUED,
                "changed_at": now,
            }
            for index, address in enumerate(addresses)
        ]
    ).execute()
    addressees = tuple(Addressee(index, address) for index, address in enumerate(addresses))
    write_order(vault, delivery_id, copy, addressees, target, operator, now)
    return int(delivery_id)


def write_order(
    vault: Vault,
    delivery_id: int,
    copy: Copy,
    addressees: tuple[Addressee, ...],
    target: Target,
    operator: str,
    now: int,
) -> None:
    """Write a fresh signed order into the row of a delivery, and what it needs to be sent from the beginning."""
    order = Order(
        delivery_id=delivery_id,
        copy_id=copy.id,
        sha256=copy.record.sha256,
        sender=copy.record.envelope_sender or "",
        addressees=addressees,
        dangerous=copy.record.dangerous,
        operator=operator,
        ordered_at=now,
        expires_at=now + ORDER_LIFE,
        nonce=new_nonce(),
    )
    blob, signature = seal_order(vault, order, target.gateway_id, target.key)
    table = vault.models.Delivery
    table.update(
        order_blob=blob,
        order_signature=signature,
        sealed_body_key=vault.release_body_key(copy.id, delivery_id, target),
        gateway_id=target.gateway_id,
        expires_at=order.expires_at,
    ).where(table.id == delivery_id).execute()
