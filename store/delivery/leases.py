"""Leases: claim deliveries, and write what is known of them. All functions run in one open transaction.

A worker claims a delivery under a lease. Each claim raises the row's token, and every write of the worker names its
token: a worker whose lease was taken over (after a paused process or a lost network) can change nothing. `start_data`
is durable before DATA is sent. So when a lease has run out, the row says whether the relay may have taken the message:
if not, it is sent; if so, its recipients become UNKNOWN and only an operator can send it again.

The columns are in `store.database.schema.Delivery`. Times are Unix ms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from store.database.connection import run
from store.delivery.orders import seal_reply
from store.delivery.release_rows import Release, announce, retract
from store.helpers.clock import TOLERANCE_MS
from store.mail.outcome import LIVE, Outcome, State, overall
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Waits before the next attempt (ms), by the number of attempts made; the last one repeats.
BACKOFF = tuple(minutes * 60_000 for minutes in (1, 2, 5, 10, 20, 30, 60))

_STATES = {state.value: state for state in State}
_STOPPED = (
    "The sending program stopped while the message was being transferred (after DATA), so the relay may or may not "
    "have it."
)
_EXPIRED = "The order has expired."

#: Length of a lease (ms), if the worker does not renew it.
LEASE = 120_000
#: Longest wait for a next attempt, and longest lease (ms). Later times were written by a clock that was ahead, and are
#: ignored.
LONGEST_WAIT = BACKOFF[-1] + TOLERANCE_MS
LONGEST_LEASE = LEASE + TOLERANCE_MS

_DUE = (
    "SELECT id FROM delivery WHERE finished_at IS NULL AND gateway_id = ? "
    "AND (state IN (?, ?) AND (next_attempt_at <= ? OR next_attempt_at > ?) AND expires_at > ? "
    "OR state = ? AND (lease_until < ? OR lease_until > ?)) "
    "ORDER BY next_attempt_at, id LIMIT ?"
)
_ROWS = (
    "SELECT id, copy_id, gateway_id, attempts, lease_token, order_blob, order_signature, sealed_body_key, expires_at "
    "FROM delivery WHERE id = ANY(?)"
)
_TAKE_BACK = "UPDATE delivery SET lease_until = 0 WHERE gateway_id = ? AND lease_owner = ? AND finished_at IS NULL"
_TAKE = (
    "UPDATE delivery SET state = ?, lease_owner = ?, lease_until = ?, lease_token = lease_token + 1, "
    "attempts = attempts + 1, data_started_at = NULL WHERE id = ANY(?)"
)
_RENEW = "UPDATE delivery SET lease_until = ? WHERE id = ANY(?) AND lease_owner = ? AND finished_at IS NULL"
_START = "UPDATE delivery_recipient SET state = ?, changed_at = ? WHERE delivery_id = ? AND id = ANY(?)"
_RESTORE = "UPDATE delivery_recipient SET state = ?, changed_at = ? WHERE id = ?"
SETTLE = "UPDATE delivery_recipient SET state = ?, sealed_reply = ?, changed_at = ? WHERE id = ?"
_RECIPIENT_STATES = "SELECT delivery_id, id, state FROM delivery_recipient WHERE delivery_id = ANY(?) ORDER BY id"


def leased(lease_until: int, now: int) -> bool:
    """Return whether a lease lasts at the time `now`. Both are Unix ms."""
    return now <= lease_until <= now + LONGEST_LEASE


class LeaseLost(Exception):
    """Another worker has claimed the delivery, or it was cancelled. Nothing was written."""


class Row(NamedTuple):
    """What a worker needs of a delivery's row. The blobs are not verified."""

    id: int
    copy_id: int
    gateway_id: int
    attempts: int
    lease_token: int
    order_blob: Any
    order_signature: Any
    sealed_body_key: Any
    expires_at: int


class Claim(NamedTuple):
    """A delivery claimed by a worker. `row` is its row as claimed; `recipients` maps recipient row ids to states."""

    row: Row
    token: int
    recipients: dict[int, State]

    @property
    def id(self) -> int:
        """The delivery's id."""
        return self.row.id

    @property
    def key(self) -> tuple[int, int]:
        """Tell this claim from an earlier or later one of the same delivery."""
        return self.row.id, self.token

    @property
    def live(self) -> list[int]:
        """Ids of the recipient rows without an outcome."""
        return _live(self.recipients)


def backoff(attempts: int) -> int:
    """Return how long to wait (ms) after `attempts` attempts."""
    return BACKOFF[min(max(attempts, 1), len(BACKOFF)) - 1]


def due(vault: Vault, gateway_id: int, limit: int, now: int) -> list[int]:
    """List up to `limit` deliveries that a worker of the gateway could claim now, in order.

    Leaves out those that expired longer ago than clocks may differ: either no worker ran at the time, or this clock is
    ahead and would fail every order. They wait for an operator, or for the clock to be corrected.
    """
    waiting = (State.QUEUED.value, State.DEFERRED.value, now, now + LONGEST_WAIT, now - TOLERANCE_MS)
    leased = (State.SENDING.value, now, now + LONGEST_LEASE)
    rows = run(vault.db, _DUE, gateway_id, *waiting, *leased, limit).fetchall()
    return [delivery_id for (delivery_id,) in rows]


def claim(vault: Vault, gateway_id: int, owner: str, limit: int, now: int, lease: int) -> list[Claim]:
    """Claim up to `limit` due deliveries for `lease` ms.

    Settles recipients that an earlier worker abandoned or that expired. The transaction must be a `Vault.write`, which
    keeps all other writers out.
    """
    ids = due(vault, gateway_id, limit, now)
    if not ids:
        return []
    rows = {found[0]: Row(*found) for found in run(vault.db, _ROWS, ids).fetchall()}
    run(vault.db, _TAKE, State.SENDING.value, owner, now + lease, ids)
    states = _states(vault, ids)
    claims: list[Claim] = []
    for row in map(rows.__getitem__, ids):
        if row.id not in states:
            continue  # A damaged state: leave it alone and never send it. Listing the queue reports it.
        row = row._replace(attempts=row.attempts + 1)
        each = Claim(row, row.lease_token + 1, states[row.id])
        settled = _abandoned(each.recipients)
        late = row.expires_at <= now - TOLERANCE_MS
        if row.expires_at <= now and not late:
            settled |= {live: Outcome(State.FAILED, _EXPIRED) for live in each.live if live not in settled}
        if settled or not each.live:
            _set_recipients(vault, each.recipients, settled, now)
            if not each.live:
                _finish(vault, row.id, each.token, overall(each.recipients.values()), now)
                continue
            # Set next_attempt_at, so that a follower of the queue (`store.delivery.releases`) sees a change even if the
            # claim is given back below.
            _own(vault, row.id, each.token, "next_attempt_at = ?", (now,))
        if late:
            give_back(vault, each)
            continue
        claims.append(each)
    return claims


def take_back(vault: Vault, gateway_id: int, owner: str) -> None:
    """End the leases of a gateway's worker that no longer runs, so that its deliveries can be claimed at once.

    The transaction must be a `Vault.write`.
    """
    run(vault.db, _TAKE_BACK, gateway_id, owner)


def renew(vault: Vault, owner: str, deliveries: Sequence[int], now: int, lease: int) -> None:
    """Extend the leases that `owner` still has on `deliveries`."""
    run(vault.db, _RENEW, now + lease, list(deliveries), owner)


def start_data(
    vault: Vault,
    claim: Claim,
    accepted: Sequence[int],
    refused: Mapping[int, Outcome],
    now: int,
    lease: int,
    releases: Sequence[Release] = (),
    retracted: Sequence[Release] = (),
) -> None:
    """Record, before DATA, that the message is about to go to the recipient rows `accepted`. Raises LeaseLost.

    `releases` are the rows of the message's marker. If the relay then refuses some recipients, call it again before the
    message's content is sent; `retracted` are their rows.
    """
    _own(vault, claim.id, claim.token, "data_started_at = ?, lease_until = ?", (now, now + lease))
    _set_recipients(vault, claim.recipients, refused, now)
    run(vault.db, _START, State.SENDING.value, now, claim.id, list(accepted))
    announce(vault, releases, now)
    retract(vault, retracted)
    claim.recipients.update(dict.fromkeys(accepted, State.SENDING))


def settle(vault: Vault, claim: Claim, outcomes: Mapping[int, Outcome], now: int) -> State:
    """Write an attempt's outcomes, and end the claim: the delivery is finished, or queued for another attempt.

    Live recipients without an outcome keep waiting. Returns the delivery's state. Raises LeaseLost.
    """
    recipients = dict(claim.recipients) | {row: outcome.state for row, outcome in outcomes.items()}
    state = overall(recipients.values())
    if state in LIVE:
        again = now if state is State.QUEUED else now + backoff(claim.row.attempts)
        again = min(again, max(claim.row.expires_at, now))
        back = "state = ?, next_attempt_at = ?, data_started_at = NULL, lease_owner = '', lease_until = 0"
        _own(vault, claim.id, claim.token, back, (state.value, again))
    else:
        _finish(vault, claim.id, claim.token, state, now)
    _set_recipients(vault, recipients, outcomes, now)
    return state


def give_back(vault: Vault, claim: Claim) -> None:
    """Return an untouched claim to the queue, as if it had never been claimed. Raises LeaseLost."""
    state = State.DEFERRED if State.DEFERRED in claim.recipients.values() else State.QUEUED
    back = "state = ?, attempts = ?, lease_owner = '', lease_until = 0"
    _own(vault, claim.id, claim.token, back, (state.value, claim.row.attempts - 1))


def withdraw(vault: Vault, claim: Claim, before: Mapping[int, State], releases: Sequence[Release], now: int) -> None:
    """Return a claim to the queue whose message was announced for DATA but certainly not sent. Raises LeaseLost.

    `before` are the states of its recipients before `start_data`, `releases` the rows of its marker.
    """
    _own(vault, claim.id, claim.token, "data_started_at = NULL", ())
    for each, state in claim.recipients.items():
        if state is State.SENDING:
            run(vault.db, _RESTORE, before[each].value, now, each)
    retract(vault, releases)
    give_back(vault, claim._replace(recipients=dict(before)))


def hold_back(vault: Vault, claim: Claim, until: int) -> None:
    """Return an untouched claim to the queue; its next attempt is at `until` (Unix ms).

    Raises LeaseLost.
    """
    _own(vault, claim.id, claim.token, "next_attempt_at = ?", (until,))
    give_back(vault, claim)


def call_off(vault: Vault, row: Any, now: int) -> bool:
    """Cancel a live delivery; recipients that DATA was announced for become UNKNOWN.

    False while a worker is sending it. `now` is in Unix milliseconds. Raises TamperedError where its recipients are not
    those that it was made with.
    """
    if row.state == State.SENDING and row.data_started_at is not None and leased(row.lease_until, now):
        return False
    token = row.lease_token + 1
    _own(vault, row.id, row.lease_token, "lease_token = ?", (token,))
    recipients = _states(vault, [row.id]).get(row.id)
    if recipients is None:
        raise TamperedError(f"delivery {row.id}", "its recipients were changed")
    settled = _abandoned(recipients)
    settled |= {each: Outcome(State.CANCELLED, "") for each in _live(recipients) if each not in settled}
    _set_recipients(vault, recipients, settled, now)
    _finish(vault, row.id, token, overall(recipients.values()), now)
    return True


def set_free(vault: Vault, row: Any, now: int) -> bool:
    """Return a delivery to the queue whose worker's lease has run out, as that gateway's next claim would.

    Recipients that DATA was announced for become UNKNOWN. False if it is not being sent, or the lease lasts. `now` is
    in Unix milliseconds. Raises TamperedError where its recipients are not those that it was made with.
    """
    if row.state != State.SENDING or row.finished_at is not None or leased(row.lease_until, now):
        return False
    recipients = _states(vault, [row.id]).get(row.id)
    if recipients is None:
        raise TamperedError(f"delivery {row.id}", "its recipients were changed")
    _set_recipients(vault, recipients, _abandoned(recipients), now)
    token, state = row.lease_token + 1, overall(recipients.values())
    _own(vault, row.id, row.lease_token, "lease_token = ?", (token,))
    if state in LIVE:
        free = "state = ?, next_attempt_at = ?, data_started_at = NULL, lease_owner = '', lease_until = 0"
        _own(vault, row.id, token, free, (state.value, now))
    else:
        _finish(vault, row.id, token, state, now)
    return True


def _states(vault: Vault, deliveries: Sequence[int]) -> dict[int, dict[int, State]]:
    """Map each delivery to its recipient rows and their states, in order.

    Leaves out deliveries with a damaged state.
    """
    found: dict[int, dict[int, State]] = {}
    damaged: set[int] = set()
    for delivery_id, each, state in run(vault.db, _RECIPIENT_STATES, list(deliveries)).fetchall():
        if state in _STATES:
            found.setdefault(delivery_id, {})[each] = _STATES[state]
        else:
            damaged.add(delivery_id)
    return {delivery_id: states for delivery_id, states in found.items() if delivery_id not in damaged}


def _live(recipients: Mapping[int, State]) -> list[int]:
    return [each for each, state in recipients.items() if state.live]


def _abandoned(recipients: Mapping[int, State]) -> dict[int, Outcome]:
    """Return UNKNOWN for each recipient in state SENDING, which it has only from just before DATA to its outcome."""
    return {each: Outcome(State.UNKNOWN, _STOPPED) for each, state in recipients.items() if state is State.SENDING}


def _set_recipients(vault: Vault, known: dict[int, State], outcomes: Mapping[int, Outcome], now: int) -> None:
    for each, outcome in outcomes.items():
        run(vault.db, SETTLE, *settled_row(vault, each, outcome, now))
        known[each] = outcome.state


def settled_row(vault: Vault, recipient_id: int, outcome: Outcome, now: int) -> tuple[str, bytes | None, int, int]:
    """Return the values of `SETTLE` that write an outcome into a recipient's row."""
    sealed = seal_reply(vault, recipient_id, outcome.reply) if outcome.reply else None
    return outcome.state.value, sealed, now, recipient_id


def _finish(vault: Vault, delivery_id: int, token: int, state: State, now: int) -> None:
    """End a delivery, and delete its sealed body key."""
    done = (
        "state = ?, finished_at = ?, sealed_body_key = NULL, data_started_at = NULL, lease_owner = '', lease_until = 0"
    )
    _own(vault, delivery_id, token, done, (state.value, now))


def _own(vault: Vault, delivery_id: int, token: int, assignments: str, values: tuple[Any, ...]) -> None:
    """Change a live delivery as the holder of `token`, or raise LeaseLost."""
    sql = f"UPDATE delivery SET {assignments} WHERE id = ? AND lease_token = ? AND finished_at IS NULL"  # noqa: S608 - made of constants and placeholders alone
    if not run(vault.db, sql, *values, delivery_id, token).rowcount:
        raise LeaseLost
