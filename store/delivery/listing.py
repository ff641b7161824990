"""The queue as operators see it: deliveries with their recipients, and the queue's length.

An altered row does not hide others: its delivery is listed, with the problem in `damage`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from store.database.connection import run, sound
from store.delivery.leases import LONGEST_WAIT, leased
from store.delivery.orders import unseal_recipient, unseal_reply, verify_order
from store.helpers.clock import TOLERANCE_MS
from store.mail.outcome import State
from store.sealing.keys import LOCAL_ID
from store.terms.errors import DeliveryError, TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

_CHUNK = 500
_OTHER_RECIPIENTS = "its recipients were changed"
_LONG_EXPIRED = (
    "its order expired before it could be sent (or this machine's clock is ahead): send it again, or cancel it"
)
_AHEAD = "its time is in the future (another machine's clock was ahead, or this one's is behind); the time is ignored"
_ABSURD = "a field holds an impossible value"
#: The state column, or "" if it is not a known State (decoding a non-UTF-8 value would raise).
KNOWN_STATE = f"CASE WHEN state IN ({', '.join(repr(state.value) for state in State)}) THEN state ELSE '' END"
_DELIVERY = (
    f"SELECT id, copy_id, {KNOWN_STATE}, created_at, attempts, next_attempt_at, gateway_id, order_blob, "  # noqa: S608 - made of constants alone
    "order_signature, sealed_body_key, finished_at, expires_at, lease_until FROM delivery "
)
_RECIPIENT = f"SELECT id, delivery_id, {KNOWN_STATE}, sealed_address, sealed_reply FROM delivery_recipient "  # noqa: S608 - made of constants alone

_ODD = (
    "SELECT COUNT(*) FROM delivery WHERE finished_at IS NULL AND state IN (?, ?) "
    "AND (expires_at <= ? OR created_at > ? OR next_attempt_at > ?)"
)


_STATES = f"SELECT id, {KNOWN_STATE}, finished_at IS NULL FROM delivery WHERE id = ANY(?)"  # noqa: S608 - made of constants alone


class RecipientState(NamedTuple):
    """A recipient of a delivery and its state. `address` and `reply` are NOT safe for a terminal.

    `damage` is what is wrong with its row, or "". An address or a reply that does not verify is "".
    """

    address: str
    state: State
    reply: str
    damage: str = ""


class Delivery(NamedTuple):
    """One delivery. Times are Unix ms; `next_attempt_at` counts only while `state` is queued or deferred.

    A `live` delivery is not finished: it keeps its copy, and can be cancelled. `gateway_id` is the gateway that sends
    it. `damage` is what is wrong with its rows, or "". Impossible numbers are replaced by 0, an unknown state by
    `UNKNOWN`.
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
    gateway_id: int = LOCAL_ID
    expires_at: int = 0
    lease_until: int = 0

    def in_hand(self, now: int) -> bool:
        """Return whether a worker sends it at the time `now` (Unix ms), rather than having left it in that state."""
        return self.live and self.state is State.SENDING and leased(self.lease_until, now)

    def held_until(self, now: int) -> int:
        """Return until when (Unix ms) the first attempt is held back, at the time `now`; 0 if it is not."""
        untried = self.state is State.QUEUED and not self.attempts and not self.damage
        return self.next_attempt_at if untried and now < self.next_attempt_at and not self.odd_time(now) else 0

    def odd_time(self, now: int) -> str:
        """Say which time of a waiting delivery is impossible at `now` (Unix ms), and the consequence; or ""."""
        if self.damage or self.state not in (State.QUEUED, State.DEFERRED):
            return ""
        if self.expires_at <= now - TOLERANCE_MS:
            return _LONG_EXPIRED
        if self.created_at > now + TOLERANCE_MS or self.next_attempt_at > now + LONGEST_WAIT:
            return _AHEAD
        return ""


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
    expires_at: int
    lease_until: int


class RecipientRow(NamedTuple):
    """A row of `delivery_recipient` as read, with its state from `KNOWN_STATE`."""

    id: int
    delivery_id: int
    state: str
    sealed_address: bytes
    sealed_reply: bytes | None


def deliveries(vault: Vault, limit: int | None = None, *, also: Collection[int] = ()) -> list[Delivery]:
    """List the deliveries, newest first, including damaged ones.

    With a `limit`, lists the newest `limit` deliveries, and the newest 500 of those with an id in `also`.
    """
    with vault.reading():
        if limit is None:
            rows = run(vault.db, _DELIVERY + "ORDER BY id DESC").fetchall()
        else:
            rows = run(vault.db, _DELIVERY + "ORDER BY id DESC LIMIT ?", limit).fetchall()
            if older := sorted(set(also) - {row[0] for row in rows})[-_CHUNK:]:
                rows += run(vault.db, _DELIVERY + "WHERE id = ANY(?) ORDER BY id DESC", older).fetchall()
    return _with_recipients(vault, [_Row(*row) for row in rows])


def delivery_of(vault: Vault, delivery_id: int) -> Delivery:
    """Return one delivery, even if damaged. Raises DeliveryError if there is none with that id."""
    with vault.reading():
        known = abs(delivery_id) < 1 << 63
        row = run(vault.db, _DELIVERY + "WHERE id = ?", delivery_id).fetchone() if known else None
    if row is None:
        raise DeliveryError(f"There is no delivery {delivery_id}. The message queue lists them.")
    return _with_recipients(vault, [_Row(*row)])[0]


def states_of(vault: Vault, ids: Sequence[int]) -> dict[int, tuple[str, bool]]:
    """Map each delivery to its state ("" if it is not a known one) and whether it is live."""
    found: dict[int, tuple[str, bool]] = {}
    with vault.reading():
        for at in range(0, len(ids), _CHUNK):
            rows = run(vault.db, _STATES, list(ids[at : at + _CHUNK])).fetchall()
            found.update((delivery_id, (state, bool(live))) for delivery_id, state, live in rows)
    return found


def row_of(vault: Vault, delivery_id: int) -> Any:
    """Fetch the row of an existing delivery. Raises TamperedError for impossible values."""
    with vault.reading(), sound(f"delivery {delivery_id}"):
        return vault.models.Delivery.get_by_id(delivery_id)


def queue_length(vault: Vault) -> int:
    """Count the unfinished deliveries."""
    with vault.reading():
        return int(run(vault.db, "SELECT COUNT(*) FROM delivery WHERE finished_at IS NULL").fetchone()[0])


def recipient_rows(vault: Vault, delivery_ids: list[int]) -> list[RecipientRow]:
    """Fetch the deliveries' recipient rows by id, which is the order of the recipients in each delivery."""
    with vault.reading():
        found = run(vault.db, _RECIPIENT + "WHERE delivery_id = ANY(?) ORDER BY id", delivery_ids).fetchall()
    return [RecipientRow(*row) for row in found]


def odd_times(vault: Vault, now: int) -> int:
    """Count the waiting deliveries for which `Delivery.odd_time` finds an impossible time at `now` (Unix ms)."""
    waiting = (State.QUEUED.value, State.DEFERRED.value)
    with vault.reading():
        odd = (now - TOLERANCE_MS, now + TOLERANCE_MS, now + LONGEST_WAIT)
        return int(run(vault.db, _ODD, *waiting, *odd).fetchone()[0])


def _with_recipients(vault: Vault, rows: list[_Row]) -> list[Delivery]:
    recipients: defaultdict[int, list[RecipientRow]] = defaultdict(list)
    for at in range(0, len(rows), _CHUNK):
        for each in recipient_rows(vault, [row.id for row in rows[at : at + _CHUNK]]):
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
        whole(row.gateway_id),
        whole(row.expires_at),
        whole(row.lease_until),
    )


def _damage(vault: Vault, row: _Row, recipients: list[RecipientState]) -> str:
    """Return what is wrong with a delivery's row or recipients, or "". Checks the order of live deliveries only."""
    end = 0 if row.finished_at is None else row.finished_at
    numbers = (row.copy_id, row.created_at, row.attempts, row.next_attempt_at, end)
    if any(whole(number) != number for number in numbers):
        return _ABSURD
    if not row.state:
        return "its state is unknown"
    if state_of(row.state).live != (row.finished_at is None):
        return "its state contradicts its end time"
    try:
        if row.finished_at is None:
            verify_order(vault, row)
            if row.sealed_body_key is None:
                return "it holds no key for its copy"
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
            return RecipientState(address, state, "", "the state of a recipient is unknown")
        with sound(f"a reply of delivery {row.delivery_id}"):
            return RecipientState(address, state, unseal_reply(vault, row))
    except TamperedError as error:
        what = "a reply" if address else "a recipient"
        return RecipientState(address, state, "", f"{what} does not verify: {error.why}")


def state_of(text: str) -> State:
    """Return the State for a value of `KNOWN_STATE`, `UNKNOWN` for ""."""
    return State(text) if text else State.UNKNOWN


def whole(value: Any) -> int:
    """Return a column's value if it is a non-negative integer below 2**53, else 0."""
    return value if isinstance(value, int) and 0 <= value < 1 << 53 else 0
