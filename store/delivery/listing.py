"""What operators see of the queue: deliveries with their recipients, its length, and which copies were released.

A row that was altered hides none of the others: its delivery is listed with what is wrong with it as `damage`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from store.database import run, sound
from store.delivery.orders import unseal_recipient, unseal_reply, verify_order
from store.delivery.outcome import State
from store.errors import DeliveryError, TamperedError
from store.orm import Case, fn

if TYPE_CHECKING:
    from store.vault import Vault

_CHUNK = 500
_OTHER_RECIPIENTS = "its recipients are not the ones it was made with"
_ABSURD = "a field holds a value that it cannot have"
#: The state of a row as text, "" where it is none that there is: SQLite gives out no text that is not UTF-8.
KNOWN_STATE = f"CASE WHEN state IN ({', '.join(repr(state.value) for state in State)}) THEN state ELSE '' END"
_DELIVERY = (
    f"SELECT id, copy_id, {KNOWN_STATE}, created_at, attempts, next_attempt_at, gateway_id, order_blob, "  # noqa: S608 - made of constants alone
    "order_signature, sealed_body_key, finished_at FROM delivery "
)
_RECIPIENT = f"SELECT id, delivery_id, {KNOWN_STATE}, sealed_address, sealed_reply FROM delivery_recipient "  # noqa: S608 - made of constants alone


class RecipientState(NamedTuple):
    """A recipient of a delivery and where it stands. `address` and `reply` are NOT safe for a terminal.

    `damage` is what is wrong with its row, or "". An address that does not verify is "", and so is such a reply.
    """

    address: str
    state: State
    reply: str
    damage: str = ""


class Delivery(NamedTuple):
    """One delivery. Times are Unix ms; `next_attempt_at` counts only while `state` is queued or deferred.

    `live` ones are not finished: they keep their copy, and can be cancelled. `damage` is what is wrong with the rows,
    or "". Numbers that a damaged row cannot have are 0, and so a state that there is not is `UNKNOWN`.
    """

    id: int
    copy_id: int
    state: State
    created_at: int
    attempts: int
    next_attempt_at: int
    recipients: list[RecipientState]
    live: bool
    damage: str = ""


class _Row(NamedTuple):
    id: int
    copy_id: int
    state: str
    created_at: int
    attempts: int
    next_attempt_at: int
    gateway_id: int
    order_blob: bytes
    order_signature: bytes
    sealed_body_key: bytes | None
    finished_at: int | None


class RecipientRow(NamedTuple):
    """A row of `delivery_recipient` as read, its state as `KNOWN_STATE` gives it."""

    id: int
    delivery_id: int
    state: str
    sealed_address: bytes
    sealed_reply: bytes | None


def deliveries(vault: Vault, limit: int | None = None) -> list[Delivery]:
    """The deliveries, newest first; damaged ones say so."""
    with vault.reading():
        if limit is None:
            rows = run(vault.db, _DELIVERY + "ORDER BY id DESC").fetchall()
        else:
            rows = run(vault.db, _DELIVERY + "ORDER BY id DESC LIMIT ?", limit).fetchall()
    return _with_recipients(vault, [_Row(*row) for row in rows])


def delivery_of(vault: Vault, delivery_id: int) -> Delivery:
    """One delivery; a damaged one says so. Raises DeliveryError where there is none of that id."""
    with vault.reading():
        known = abs(delivery_id) < 1 << 63
        row = run(vault.db, _DELIVERY + "WHERE id = ?", delivery_id).fetchone() if known else None
    if row is None:
        raise DeliveryError(f"There is no delivery {delivery_id}: look at the message queue for those there are.")
    return _with_recipients(vault, [_Row(*row)])[0]


def row_of(vault: Vault, delivery_id: int) -> Any:
    """The row of a delivery that is there. Raises TamperedError for values that it cannot have."""
    with vault.reading(), sound(f"delivery {delivery_id}"):
        return vault.models.Delivery.get_by_id(delivery_id)


def queue_length(vault: Vault) -> int:
    """How many deliveries are not finished."""
    table = vault.models.Delivery
    with vault.reading():
        return int(table.select().where(table.finished_at.is_null()).count())


def live_copies(vault: Vault) -> frozenset[int]:
    """The copies that have a delivery which is not finished."""
    with vault.reading():
        rows = run(vault.db, "SELECT copy_id FROM delivery WHERE finished_at IS NULL").fetchall()
    return frozenset(copy_id for (copy_id,) in rows)


def released_token(vault: Vault) -> object:
    """Something cheap that differs whenever `released_copies` does; compare for equality."""
    table = vault.models.Delivery
    cancelled = fn.SUM(Case(None, ((table.state == State.CANCELLED, 1),), 0))
    with vault.reading():
        return table.select(fn.COUNT(table.id), fn.MAX(table.id), cancelled).tuples().get()


def released_copies(
    vault: Vault, *, on_error: Callable[[int, TamperedError], None] | None = None
) -> dict[int, tuple[str, int]]:
    """The copies that were released: who last did, and when (Unix ms). One whose delivery was cancelled does not count.

    A damaged delivery is left out; `on_error` is told its id.
    """
    sql = (
        "SELECT r.id, r.delivery_id, '', r.sealed_address, NULL, d.copy_id, d.created_at "
        "FROM delivery_recipient r JOIN delivery d ON d.id = r.delivery_id WHERE d.state <> ? "
        "AND r.id IN (SELECT MIN(id) FROM delivery_recipient GROUP BY delivery_id) ORDER BY d.id"
    )
    with vault.reading():
        rows = run(vault.db, sql, State.CANCELLED.value).fetchall()
    found: dict[int, tuple[str, int]] = {}
    for *recipient, copy_id, created_at in rows:
        row = RecipientRow(*recipient)
        try:
            found[copy_id] = (unseal_recipient(vault, row).operator, whole(created_at))
        except TamperedError as error:
            if on_error is not None:
                on_error(row.delivery_id, error)
    return found


def _with_recipients(vault: Vault, rows: list[_Row]) -> list[Delivery]:
    recipients: defaultdict[int, list[RecipientRow]] = defaultdict(list)
    for at in range(0, len(rows), _CHUNK):
        ids = [row.id for row in rows[at : at + _CHUNK]]
        with vault.reading():
            found = run(vault.db, _RECIPIENT + "WHERE delivery_id = ANY(?) ORDER BY id", ids).fetchall()
        for each in map(RecipientRow._make, found):
            recipients[each.delivery_id].append(each)
    return [_delivery(vault, row, recipients[row.id]) for row in rows]


def _delivery(vault: Vault, row: _Row, rows: list[RecipientRow]) -> Delivery:
    recipients = [_recipient(vault, each, place) for place, each in enumerate(rows)]
    return Delivery(
        row.id,
        whole(row.copy_id),
        state_of(row.state),
        whole(row.created_at),
        whole(row.attempts),
        whole(row.next_attempt_at),
        recipients,
        row.finished_at is None,
        _damage(vault, row, recipients),
    )


def _damage(vault: Vault, row: _Row, recipients: list[RecipientState]) -> str:
    """What is wrong with a delivery's row or its recipients, or "". Only a live one has an order that still counts."""
    end = 0 if row.finished_at is None else row.finished_at
    numbers = (row.copy_id, row.created_at, row.attempts, row.next_attempt_at, end)
    if any(whole(number) != number for number in numbers):
        return _ABSURD
    if not row.state:
        return "it is in a state that there is not"
    if state_of(row.state).live != (row.finished_at is None):
        return "its state and its end contradict each other"
    try:
        if row.finished_at is None:
            verify_order(vault, row)
            if row.sealed_body_key is None:
                return "it holds no key of its copy"
            with sound(f"delivery {row.id}"):
                vault.verify_release(row)
    except TamperedError as error:
        return error.why
    if not recipients:
        return _OTHER_RECIPIENTS
    return next((recipient.damage for recipient in recipients if recipient.damage), "")


def _recipient(vault: Vault, row: RecipientRow, place: int) -> RecipientState:
    address, state = "", state_of(row.state)
    try:
        recipient = unseal_recipient(vault, row)
        address = recipient.address
        if recipient.place != place:
            return RecipientState(address, state, "", _OTHER_RECIPIENTS)
        if not row.state:
            return RecipientState(address, state, "", "a recipient is in a state that there is not")
        with sound(f"a reply of delivery {row.delivery_id}"):
            return RecipientState(address, state, unseal_reply(vault, row))
    except TamperedError as error:
        what = "a reply" if address else "a recipient"
        return RecipientState(address, state, "", f"{what} does not verify: {error.why}")


def state_of(text: str) -> State:
    """Return the state that `KNOWN_STATE` gave, `UNKNOWN` for ""."""
    return State(text) if text else State.UNKNOWN


def whole(value: Any) -> int:
    """Return a column's number that is not negative, or 0 where somebody put something else there."""
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0
