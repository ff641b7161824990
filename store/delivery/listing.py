"""What operators see of the queue: deliveries with their recipients, its length, and which copies were released."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from peewee import Case, fn

from store.delivery.orders import unseal_recipient, unseal_reply
from store.delivery.outcome import State
from store.errors import DeliveryError, TamperedError

if TYPE_CHECKING:
    from store.vault import Vault

_CHUNK = 500


class RecipientState(NamedTuple):
    """A recipient of a delivery and where it stands. `address` and `reply` are NOT safe for a terminal."""

    address: str
    state: State
    reply: str


class Delivery(NamedTuple):
    """One delivery. Times are Unix ms; `next_attempt_at` counts only while `state` is queued or deferred."""

    id: int
    copy_id: int
    state: State
    created_at: int
    attempts: int
    next_attempt_at: int
    recipients: list[RecipientState]


def deliveries(vault: Vault, limit: int | None = None) -> list[Delivery]:
    """The deliveries, newest first. Raises TamperedError where one was changed."""
    table = vault.models.Delivery
    with vault.reading():
        return _with_recipients(vault, list(table.select().order_by(table.id.desc()).limit(limit)))


def delivery_of(vault: Vault, delivery_id: int) -> Delivery:
    """One delivery. Raises DeliveryError where there is none of that id."""
    return _with_recipients(vault, [row_of(vault, delivery_id)])[0]


def row_of(vault: Vault, delivery_id: int) -> Any:
    """The row of a delivery. Raises DeliveryError where there is none of that id."""
    with vault.reading():
        row = vault.models.Delivery.get_or_none(id=delivery_id) if abs(delivery_id) < 1 << 63 else None
    if row is None:
        raise DeliveryError(f"There is no delivery {delivery_id}: look at the message queue for those there are.")
    return row


def queue_length(vault: Vault) -> int:
    """How many deliveries are not finished."""
    table = vault.models.Delivery
    with vault.reading():
        return int(table.select().where(table.finished_at.is_null()).count())


def live_copies(vault: Vault) -> frozenset[int]:
    """The copies that have a delivery which is not finished."""
    table = vault.models.Delivery
    with vault.reading():
        rows = list(table.select(table.copy_id).where(table.finished_at.is_null()).tuples())
    return frozenset(copy_id for (copy_id,) in rows)


def released_token(vault: Vault) -> object:
    """Something cheap that differs whenever `released_copies` does; compare for equality."""
    table = vault.models.Delivery
    cancelled = fn.SUM(Case(None, ((table.state == State.CANCELLED, 1),), 0))
    with vault.reading():
        return table.select(fn.COUNT(table.id), fn.MAX(table.id), cancelled).tuples().get()


def released_copies(vault: Vault) -> dict[int, tuple[str, int]]:
    """The copies that were released: who last did, and when (Unix ms). One whose delivery was cancelled does not count.

    Raises TamperedError.
    """
    table, recipients = vault.models.Delivery, vault.models.DeliveryRecipient
    first = recipients.select(fn.MIN(recipients.id)).group_by(recipients.delivery_id)
    query = (
        recipients.select(recipients, table.copy_id, table.created_at)
        .join(table, on=(table.id == recipients.delivery_id))
        .where(recipients.id.in_(first) & (table.state != State.CANCELLED))
        .order_by(table.id)
    )
    with vault.reading():
        rows = list(query.objects())
    return {row.copy_id: (unseal_recipient(vault, row).operator, row.created_at) for row in rows}


def _with_recipients(vault: Vault, rows: Iterable[Any]) -> list[Delivery]:
    rows = list(rows)
    table = vault.models.DeliveryRecipient
    recipients: defaultdict[int, list[RecipientState]] = defaultdict(list)
    for at in range(0, len(rows), _CHUNK):
        ids = [row.id for row in rows[at : at + _CHUNK]]
        with vault.reading():
            found = list(table.select().where(table.delivery_id.in_(ids)).order_by(table.id))
        for each in found:
            recipient = unseal_recipient(vault, each)
            if recipient.place != len(recipients[each.delivery_id]):
                raise TamperedError(f"delivery {each.delivery_id}", "its recipients are not the ones it was made with")
            state = _state(each.state, each.delivery_id)
            recipients[each.delivery_id].append(RecipientState(recipient.address, state, unseal_reply(vault, each)))
    return [
        Delivery(
            row.id,
            row.copy_id,
            _state(row.state, row.id),
            row.created_at,
            row.attempts,
            row.next_attempt_at,
            recipients[row.id],
        )
        for row in rows
    ]


def _state(text: str, delivery_id: int) -> State:
    try:
        return State(text)
    except ValueError:
        raise TamperedError(f"delivery {delivery_id}", "it is in a state that there is not") from None
