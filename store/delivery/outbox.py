"""The outbox: a release waits before anything may take it, and until then it comes back as a whole.

How long is in the signed order (`Order.not_before`), so that no worker sends earlier, whatever stands in the row; the
clock that decides is the database's where it has one (`store.database.clock`).
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

#: Up to so many copies of one release wait for `hold` seconds, more of them for `hold_many`.
FEW = 50
_BATCH, _CHUNK = 25, 500
_HELD = (
    "SELECT id, next_attempt_at FROM delivery WHERE id = ANY(?) AND finished_at IS NULL AND state = ? AND attempts = 0 "
    "AND next_attempt_at > ?"
)
_REACHED = "SELECT DISTINCT delivery_id FROM delivery_recipient WHERE delivery_id = ANY(?) AND state IN (?, ?)"

_PARTLY = "some of its recipients have it, or may have it; the others do not get it"
_ENDED = {
    State.SENT.value: "it was sent",
    State.FAILED.value: "it had failed",
    State.UNKNOWN.value: "it may have been sent",
    State.CANCELLED.value: "it was cancelled before",
}


class CalledBack(NamedTuple):
    """What calling back an act's deliveries came to, by their ids.

    `called`: nobody got it, and nobody does. `late` says of each of the others what was not called back, and why.
    """

    called: list[int]
    late: list[tuple[int, str]]


def hold_ms(settings: Settings, copies: int) -> int:
    """How long (ms) a release of so many copies waits before anything may take it."""
    return 1000 * (settings.hold if copies <= FEW else settings.hold_many)


def held(vault: Vault, ids: Sequence[int]) -> dict[int, int]:
    """Those of the deliveries that wait out their hold, by id, and until when (Unix ms)."""
    found: dict[int, int] = {}
    with vault.reading():
        now = decides_ms(vault.db)
        for at in range(0, len(ids), _CHUNK):
            chunk = list(ids[at : at + _CHUNK])
            found.update(run(vault.db, _HELD, chunk, State.QUEUED.value, now).fetchall())
    return found


def held_for(vault: Vault, until: int) -> int:
    """How long (ms) what is held until then (Unix ms; 0: nothing is) waits yet, by the clock that decides."""
    return max(0, until - decides_ms(vault.db)) if until else 0


def wait_out(
    vault: Vault,
    ids: Sequence[int],
    *,
    waiting: Callable[[int], None] = lambda _left: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> bool:
    """Wait until none of the deliveries is held any more; False where that was `cancelled`. Blocking.

    `waiting` is told the milliseconds that are left, once a second.
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
    """Have a delivery that waits sent at once: one that is held, or one that was put off.

    Raises DeliveryError where it does not wait, and as `retry` does.
    """
    delivery = delivery_of(vault, delivery_id)
    if not delivery.live and not delivery.damage:
        raise DeliveryError(
            f"Delivery {delivery_id} is finished ({delivery.state}) and does not wait: `queue retry {delivery_id}` "
            "sends it again to those who did not get it."
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
    """Call back what is still in the queue of the deliveries of one act, held or not, each batch with its event.

    Whoever has the message keeps it: `late` says so, and names what is being sent at this moment. What is not reached
    because it was `cancelled` is in neither list.
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
                        late[each] = "it is being sent at this moment"
                except (TamperedError, LeaseLost):
                    late[each] = "it was tampered with or is damaged: cancel it by itself"
        reached = run(vault.db, _REACHED, touched, State.SENT.value, State.UNKNOWN.value).fetchall()
        late.update(dict.fromkeys((each for (each,) in reached), _PARTLY))
        called = [each for each in touched if each not in late]
        if touched:
            copies = [rows[each].copy_id for each in touched]
            record_event(vault, "delivery cancelled", operator=operator, copies=copies)
    return CalledBack(called, [(each, late[each]) for each in ids if each in late])
