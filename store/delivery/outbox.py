"""The outbox: a release waits for some time before it is sent, and can be cancelled until then.

The time is in the signed order (`Order.not_before`), so no worker sends it earlier, whatever the row says. The deciding
clock is used (`store.database.clock`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.authority.audit import record_event
from store.authority.settings import Settings
from store.database.clock import decides_ms
from store.database.connection import run
from store.delivery.leases import LeaseLost, call_off
from store.delivery.listing import delivery_of
from store.delivery.retrying import RetryPlan, retry
from store.mail.outcome import State
from store.terms.errors import DeliveryError, TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: A release of up to this many copies waits `hold` seconds, a larger one `hold_many`.
FEW = 50
_BATCH, _CHUNK = 25, 500
_HELD = (
    "SELECT id, next_attempt_at FROM delivery WHERE id = ANY(?) AND finished_at IS NULL AND state = ? AND attempts = 0 "
    "AND next_attempt_at > ?"
)
_REACHED = "SELECT DISTINCT delivery_id FROM delivery_recipient WHERE delivery_id = ANY(?) AND state IN (?, ?)"

#: Why a cancelled delivery is in `CalledBack.late`: it was not cancelled for all.
PARTLY = "some recipients have the message or may have it; the others do not get it"
_ENDED = {
    State.SENT.value: "it was sent",
    State.FAILED.value: "it failed",
    State.UNKNOWN.value: "it may have been sent",
    State.CANCELLED.value: "it was already cancelled",
}


class CalledBack(NamedTuple):
    """Result of calling back an act's deliveries, by their ids.

    `called`: no recipient got the message or will get it. `late`: what was not cancelled of the others, and why.
    """

    called: list[int]
    late: list[tuple[int, str]]


def hold_ms(settings: Settings, copies: int) -> int:
    """Return how long (ms) a release of so many copies waits before it is sent."""
    return 1000 * (settings.hold if copies <= FEW else settings.hold_many)


def held(vault: Vault, ids: Sequence[int]) -> dict[int, int]:
    """Return those deliveries that are still held, by id, and until when (Unix ms)."""
    found: dict[int, int] = {}
    with vault.reading():
        now = decides_ms(vault.db)
        for at in range(0, len(ids), _CHUNK):
            chunk = list(ids[at : at + _CHUNK])
            found.update(run(vault.db, _HELD, chunk, State.QUEUED.value, now).fetchall())
    return found


def held_for(vault: Vault, until: int) -> int:
    """Return for how long (ms) a delivery held until then (Unix ms; 0: not held) still waits, by the deciding clock."""
    return max(0, until - decides_ms(vault.db)) if until else 0


def wait_out(
    vault: Vault,
    ids: Sequence[int],
    *,
    waiting: Callable[[int], None] = lambda _left: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait until none of the deliveries is held any more; False if `cancelled`. Blocking.

    Calls `waiting` once a second with the milliseconds left.
    """
    said = -1
    while found := held(vault, ids):
        left = max(found.values()) - decides_ms(vault.db)
        if said != (said := -(-left // 1000)):
            waiting(left)
        if cancelled():
            return False
        time.sleep(min(max(left, 1), 200) / 1000)
    return True


def send_now(vault: Vault, delivery_id: int, operator: str = "") -> RetryPlan:
    """Send a waiting delivery at once, whether it is held or deferred.

    Raises DeliveryError where it does not wait, and as `retry` does.
    """
    delivery = delivery_of(vault, delivery_id)
    if delivery.state is State.SENT and not delivery.damage:
        raise DeliveryError(f"Delivery {delivery_id} is finished (sent): all its recipients have the message.")
    if not delivery.live and not delivery.damage:
        raise DeliveryError(
            f"Delivery {delivery_id} is finished ({delivery.state}). To send it again to recipients who did not get "
            f"it: `mailhold queue retry {delivery_id}`."
        )
    return retry(vault, delivery_id, operator)


def call_back(
    vault: Vault,
    ids: Sequence[int],
    operator: str = "",
    *,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> CalledBack:
    """Cancel the unfinished deliveries of one act, held or not; one event per batch.

    Recipients that have the message keep it: `late` says so, and names deliveries that are being sent right now.
    Deliveries not reached before `cancelled` are in neither list.
    """
    result = CalledBack([], [])
    for at in range(0, len(ids), _BATCH):
        if cancelled and cancelled():
            break
        called, late = _call_back(vault, list(ids[at : at + _BATCH]), operator)
        result.called.extend(called)
        result.late.extend(late)
        if progress:
            progress(min(at + _BATCH, len(ids)), len(ids))
    return result


def reached(vault: Vault, ids: list[int]) -> set[int]:
    """Return the deliveries of which a recipient has the message, or may have it."""
    with vault.reading():
        rows = run(vault.db, _REACHED, ids, State.SENT.value, State.UNKNOWN.value).fetchall()
    return {each for (each,) in rows}


def _call_back(vault: Vault, ids: list[int], operator: str) -> CalledBack:
    late: dict[int, str] = {}
    table = vault.models.Delivery
    with vault.write():
        now = decides_ms(vault.db)
        rows = {row.id: row for row in table.select().where(table.id.in_(ids))}
        touched: list[int] = []
        for each in ids:
            row = rows.get(each)
            if row is None:
                late[each] = "there is no such delivery"
            elif row.finished_at is not None:
                late[each] = _ENDED.get(row.state, f"it is finished ({row.state})")
            else:
                try:
                    if call_off(vault, row, now):
                        touched.append(each)
                    else:
                        late[each] = "it is being sent right now"
                except (TamperedError, LeaseLost):
                    late[each] = "it is damaged or was tampered with: cancel it separately"
        late.update(dict.fromkeys(reached(vault, touched), PARTLY))
        called = [each for each in touched if each not in late]
        if touched:
            copies = [rows[each].copy_id for each in touched]
            record_event(vault, "delivery cancelled", operator=operator, copies=copies)
    return CalledBack(called, [(each, late[each]) for each in ids if each in late])
