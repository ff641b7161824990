"""The durable side of sending: who works on a delivery, and what is known of it. Functions of one open transaction.

A worker claims a delivery under a lease. Each claim raises the row's token, and whatever a worker writes names the
token it was given: one whose lease was taken over (after a paused process, a lost network) changes nothing any more.
`start_data` is durable before DATA goes out. So when a lease runs out, the row says whether the message may have been
taken: if not, it is sent; if so, its recipients become UNKNOWN and nobody sends it again by himself.

Source of the columns: `store.schema.Delivery`. Times are Unix ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from store.delivery.orders import seal_reply
from store.delivery.outcome import LIVE, Outcome, State, overall
from store.errors import TamperedError

if TYPE_CHECKING:
    from store.vault import Vault

#: Waits before the next attempt (ms), by the number of attempts made; the last one repeats.
BACKOFF = tuple(minutes * 60_000 for minutes in (1, 2, 5, 10, 20, 30, 60))

_STOPPED = "The program that was sending stopped after DATA had begun, so it is not known whether the relay took it."
_EXPIRED = "The order has expired."


class LeaseLost(Exception):
    """Another worker owns the delivery now, or it was cancelled: nothing was written."""


class Claim(NamedTuple):
    """A delivery in a worker's hands. `row` is its row as claimed; `recipients` maps the row ids to their states."""

    row: Any
    token: int
    recipients: dict[int, State]

    @property
    def id(self) -> int:
        """The delivery's id."""
        return int(self.row.id)

    @property
    def live(self) -> list[int]:
        """The recipient rows that wait for an outcome."""
        return _live(self.recipients)


def backoff(attempts: int) -> int:
    """How long to wait (ms) after `attempts` attempts."""
    return BACKOFF[min(max(attempts, 1), len(BACKOFF)) - 1]


def due(vault: Vault, gateway_id: int, now: int) -> Any:
    """A query for the deliveries that a worker of the gateway could claim now, in order."""
    table = vault.models.Delivery
    waiting = table.state.in_([State.QUEUED, State.DEFERRED]) & (table.next_attempt_at <= now)
    abandoned = (table.state == State.SENDING) & (table.lease_until < now)
    mine = table.finished_at.is_null() & (table.gateway_id == gateway_id)
    return table.select().where(mine & (waiting | abandoned)).order_by(table.next_attempt_at, table.id)


def claim(vault: Vault, gateway_id: int, owner: str, limit: int, now: int, lease: int) -> list[Claim]:
    """Take up to `limit` due deliveries for `lease` ms, settling on the way what an abandoned or expired one became."""
    claims: list[Claim] = []
    for row in list(due(vault, gateway_id, now).limit(limit)):
        token = row.lease_token + 1
        taken = _update(
            vault,
            row.id,
            row.lease_token,
            state=State.SENDING,
            attempts=row.attempts + 1,
            lease_owner=owner,
            lease_token=token,
            lease_until=now + lease,
            data_started_at=None,
        )
        if not taken:
            continue
        row.attempts += 1
        try:
            recipients = states_of(vault, row.id)
        except TamperedError:
            continue  # It stays as it is, claimed by nobody that would send it; reading the queue names it.
        settled = _abandoned(recipients)
        if row.expires_at <= now:
            settled |= {each: Outcome(State.FAILED, _EXPIRED) for each in _live(recipients) if each not in settled}
        _set_recipients(vault, recipients, settled, now)
        if _live(recipients):
            claims.append(Claim(row, token, recipients))
        else:
            _finish(vault, row.id, token, overall(recipients.values()), now)
    return claims


def renew(vault: Vault, owner: str, deliveries: Sequence[int], now: int, lease: int) -> None:
    """Prolong the leases that `owner` still has on `deliveries`."""
    table = vault.models.Delivery
    mine = table.id.in_(list(deliveries)) & (table.lease_owner == owner) & table.finished_at.is_null()
    table.update(lease_until=now + lease).where(mine).execute()


def start_data(
    vault: Vault, claim: Claim, accepted: Iterable[int], refused: Mapping[int, Outcome], now: int, lease: int
) -> None:
    """Say, before DATA, that the message is about to go to the rows `accepted`. Raises LeaseLost."""
    if not _update(vault, claim.id, claim.token, data_started_at=now, lease_until=now + lease):
        raise LeaseLost
    _set_recipients(vault, claim.recipients, refused, now)
    accepted = list(accepted)
    table = vault.models.DeliveryRecipient
    table.update(state=State.SENDING, changed_at=now).where(table.id.in_(accepted)).execute()
    claim.recipients.update(dict.fromkeys(accepted, State.SENDING))


def settle(vault: Vault, claim: Claim, outcomes: Mapping[int, Outcome], now: int) -> State:
    """Write what an attempt came to, and give the delivery back: finished, or to be tried again later.

    Recipients without an outcome that are still live wait on. Raises LeaseLost.
    """
    if not _update(vault, claim.id, claim.token, data_started_at=None):
        raise LeaseLost
    recipients = dict(claim.recipients)
    _set_recipients(vault, recipients, outcomes, now)
    state = overall(recipients.values())
    if state not in LIVE:
        _finish(vault, claim.id, claim.token, state, now)
        return state
    again = now if state is State.QUEUED else now + backoff(claim.row.attempts)
    _update(
        vault,
        claim.id,
        claim.token,
        state=state,
        lease_owner="",
        lease_until=0,
        next_attempt_at=min(again, max(claim.row.expires_at, now)),
    )
    return state


def give_back(vault: Vault, claim: Claim) -> None:
    """Return an untouched claim to the queue, as if it had never been claimed. Does nothing where the lease is lost."""
    state = State.DEFERRED if State.DEFERRED in claim.recipients.values() else State.QUEUED
    _update(vault, claim.id, claim.token, state=state, attempts=claim.row.attempts - 1, lease_owner="", lease_until=0)


def call_off(vault: Vault, row: Any, now: int) -> bool:
    """Cancel a live delivery; what may have gone out becomes UNKNOWN. False while a worker is sending it right now."""
    if row.state == State.SENDING and row.data_started_at is not None and row.lease_until >= now:
        return False
    if not _update(vault, row.id, row.lease_token, lease_token=row.lease_token + 1):
        return False
    recipients = states_of(vault, row.id)
    settled = _abandoned(recipients)
    settled |= {each: Outcome(State.CANCELLED, "") for each in _live(recipients) if each not in settled}
    _set_recipients(vault, recipients, settled, now)
    _finish(vault, row.id, row.lease_token + 1, overall(recipients.values()), now)
    return True


def states_of(vault: Vault, delivery_id: int) -> dict[int, State]:
    """The recipient rows of a delivery, in order, and their states. Raises TamperedError for a state there is not."""
    table = vault.models.DeliveryRecipient
    query = table.select(table.id, table.state).where(table.delivery_id == delivery_id).order_by(table.id)
    try:
        return {each: State(state) for each, state in query.tuples()}
    except ValueError:
        raise TamperedError(f"delivery {delivery_id}", "a recipient is in a state that there is not") from None


def _live(recipients: Mapping[int, State]) -> list[int]:
    return [each for each, state in recipients.items() if state.live]


def _abandoned(recipients: Mapping[int, State]) -> dict[int, Outcome]:
    """The recipients to whom the message was being sent when the worker stopped: a row is SENDING only around DATA."""
    return {each: Outcome(State.UNKNOWN, _STOPPED) for each, state in recipients.items() if state is State.SENDING}


def _set_recipients(vault: Vault, known: dict[int, State], outcomes: Mapping[int, Outcome], now: int) -> None:
    table = vault.models.DeliveryRecipient
    for each, outcome in outcomes.items():
        sealed = seal_reply(vault, each, outcome.reply) if outcome.reply else None
        table.update(state=outcome.state, sealed_reply=sealed, changed_at=now).where(table.id == each).execute()
        known[each] = outcome.state


def _finish(vault: Vault, delivery_id: int, token: int, state: State, now: int) -> None:
    _update(
        vault,
        delivery_id,
        token,
        state=state,
        finished_at=now,
        sealed_body_key=None,
        data_started_at=None,
        lease_owner="",
        lease_until=0,
    )


def _update(vault: Vault, delivery_id: int, token: int, **fields: Any) -> bool:
    table = vault.models.Delivery
    mine = (table.id == delivery_id) & (table.lease_token == token) & table.finished_at.is_null()
    return bool(table.update(**fields).where(mine).execute())
