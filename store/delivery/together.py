"""Write what is known of many claims in one transaction, with a statement for all of them where they are alike.

Each function does the same as that of `store.delivery.leases` for one claim after the other, and returns LeaseLost in
place of raising it. All run in one open `Vault.write`, which keeps all other writers out. In SQLite, where no statement
waits for a server, up to eight claims take less time one after the other, and more seldom wait together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from store.database.connection import run, run_many
from store.database.orm import SqliteDatabase
from store.delivery.leases import SETTLE, Claim, LeaseLost, settle, settled_row, start_data
from store.delivery.release_rows import Release, announce
from store.mail.outcome import LIVE, Outcome, State, overall

if TYPE_CHECKING:
    from store.vault.vault import Vault

R = TypeVar("R")

_OURS = "SELECT id, lease_token FROM delivery WHERE id = ANY(?) AND finished_at IS NULL"
_OWN = "UPDATE delivery SET data_started_at = ?, lease_until = ? WHERE id = ANY(?)"
_START = "UPDATE delivery_recipient SET state = ?, changed_at = ? WHERE delivery_id = ANY(?) AND id = ANY(?)"
_FINISH = (
    "UPDATE delivery SET state = ?, finished_at = ?, sealed_body_key = NULL, data_started_at = NULL, lease_owner = '', "
    "lease_until = 0 WHERE id = ANY(?)"
)


class Start(NamedTuple):
    """The arguments of `leases.start_data`."""

    claim: Claim
    accepted: Sequence[int]
    refused: Mapping[int, Outcome]
    now: int
    lease: int
    releases: Sequence[Release] = ()
    retracted: Sequence[Release] = ()


class End(NamedTuple):
    """The arguments of `leases.settle`."""

    claim: Claim
    outcomes: Mapping[int, Outcome]
    now: int


def start_all(vault: Vault, starts: Sequence[Start]) -> list[LeaseLost | None]:
    """Record each message that is about to go out, as `leases.start_data` does."""
    alike = [each for each in starts if not each.refused and not each.retracted]
    if len(alike) < 2 or _one_by_one(vault):
        return [_alone(start_data, vault, each) for each in starts]
    ours = _ours(vault, alike)
    begun = [each for each in alike if each.claim.key in ours]
    if begun:
        deliveries, now = [each.claim.id for each in begun], max(each.now for each in begun)
        run(vault.db, _OWN, now, now + max(each.lease for each in begun), deliveries)
        rows = [row for each in begun for row in each.accepted]
        run(vault.db, _START, State.SENDING.value, now, deliveries, rows)
        announce(vault, [release for each in begun for release in each.releases], now)
        for each in begun:
            each.claim.recipients.update(dict.fromkeys(each.accepted, State.SENDING))
    return [
        _alone(start_data, vault, each)
        if each.refused or each.retracted
        else (None if each.claim.key in ours else LeaseLost())
        for each in starts
    ]


def settle_all(vault: Vault, ends: Sequence[End]) -> list[LeaseLost | State]:
    """Write the outcomes of each attempt, as `leases.settle` does."""
    states = [overall(_after(each).values()) for each in ends]
    finished = [(each, state) for each, state in zip(ends, states, strict=True) if state not in LIVE]
    if len(finished) < 2 or _one_by_one(vault):
        return [_alone(settle, vault, each) for each in ends]
    ours = _ours(vault, [each for each, _ in finished])
    kept = [(each, state) for each, state in finished if each.claim.key in ours]
    now = max(each.now for each in ends)
    for state in dict.fromkeys(state for _, state in kept):
        run(vault.db, _FINISH, state.value, now, [each.claim.id for each, of_it in kept if of_it is state])
    rows = [settled_row(vault, row, outcome, now) for each, _ in kept for row, outcome in each.outcomes.items()]
    if rows:
        run_many(vault.db, SETTLE, rows)
    return [
        _alone(settle, vault, each) if state in LIVE else (state if each.claim.key in ours else LeaseLost())
        for each, state in zip(ends, states, strict=True)
    ]


def _one_by_one(vault: Vault) -> bool:
    return isinstance(vault.db, SqliteDatabase)


def _after(end: End) -> dict[int, State]:
    return end.claim.recipients | {row: outcome.state for row, outcome in end.outcomes.items()}


def _ours(vault: Vault, writes: Sequence[Start | End]) -> set[tuple[int, int]]:
    """Return the keys of those claims that no other worker and no cancellation has taken."""
    rows = run(vault.db, _OURS, [each.claim.id for each in writes]).fetchall()
    return {(each, token) for each, token in rows}


def _alone(write: Callable[..., R], vault: Vault, each: Start | End) -> R | LeaseLost:
    try:
        return write(vault, *each)
    except LeaseLost as error:
        return error
