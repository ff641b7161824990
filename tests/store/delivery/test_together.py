"""What is written for many claims at once is what is written for one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.authority.settings import Settings
from store.database.connection import run
from store.delivery import leases
from store.delivery.leases import LeaseLost
from store.delivery.listing import delivery_of
from store.delivery.queue import release
from store.delivery.release_rows import Release
from store.delivery.together import End, Start, settle_all, start_all
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault

LEASE = 60_000
TO = ("a@x.example", "b@x.example")
OUTCOMES = [Outcome(state, f"reply {state}") for state in (State.SENT, State.DEFERRED, State.FAILED, State.UNKNOWN)]
_DELIVERIES = (
    "SELECT state, attempts, lease_until, lease_token, lease_owner, data_started_at, finished_at, "
    "CASE WHEN state = 'deferred' THEN next_attempt_at END, sealed_body_key IS NULL "
    "FROM delivery WHERE id = ANY(?) ORDER BY id"
)
_RECIPIENTS = (
    "SELECT state, changed_at, sealed_reply IS NULL FROM delivery_recipient WHERE delivery_id = ANY(?) ORDER BY id"
)
_RELEASES = "SELECT tag, gateway_id, expires_at FROM release ORDER BY tag"

#: Of each claim: whether its lease is lost before anything is written, which of its recipients the relay accepts, their
#: outcomes (None: none yet), and whether the lease is lost while the message is sent.
Fate = tuple[bool, tuple[bool, bool], tuple[int | None, int | None], bool]
fates = st.lists(
    st.tuples(
        st.booleans(),
        st.tuples(st.booleans(), st.booleans()),
        st.tuples(*(st.none() | st.integers(0, len(OUTCOMES) - 1) for _ in TO)),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def ready(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Vault:
    monkeypatch.setattr("store.delivery.together._one_by_one", lambda _vault: False)
    change_settings(any_vault, msgspec.structs.replace(Settings(relay="smtp://127.0.0.1:1", hold=0, hold_many=0)))
    return any_vault


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(fates=fates)
def test_many_at_once_are_as_one_after_the_other(ready: Vault, fates: list[Fate]) -> None:
    now = now_ms() + 600_000  # Later than any release of the test, however slow the machine is.
    one, other = (written(ready, fates, now, together) for together in (False, True))
    assert one == other


def written(vault: Vault, fates: Sequence[Fate], now: int, together: bool) -> list[Any]:
    """Release a copy for each fate, write what became of it, and return what was returned and what the rows hold."""
    record = CopyRecord(envelope_sender="s@x.example", envelope_recipients=TO)
    ids = release(vault, [vault.put(b"A: b\r\n\r\nc\r\n", record) for _ in fates], original=True).queued
    with vault.write():
        run(vault.db, "DELETE FROM release")
        run(vault.db, "UPDATE delivery_recipient SET changed_at = 1 WHERE delivery_id = ANY(?)", ids)
        claims = leases.claim(vault, 1, "w", len(ids), now, LEASE)
    assert [each.id for each in claims] == ids
    starts, ends = [], []
    for place, (claim, fate) in enumerate(zip(claims, fates, strict=True)):
        rows = list(claim.recipients)
        accepted = [row for row, taken in zip(rows, fate[1], strict=True) if taken]
        refused = {row: OUTCOMES[2] for row in rows if row not in accepted}
        marks = [Release(bytes([place, at]) * 8, claim.id, 1, bytes(32), now + LEASE, bytes(73)) for at in (0, 1)]
        starts.append(Start(claim, accepted, refused, now, LEASE, marks[:1], marks[1:] if refused else ()))
        outcomes = {row: OUTCOMES[at] for row, at in zip(rows, fate[2], strict=True) if at is not None}
        ends.append(End(claim, outcomes, now + 5))
    with vault.write():
        lose(vault, [claim.id for claim, fate in zip(claims, fates, strict=True) if fate[0]])
        begun = start_all(vault, starts) if together else [alone(leases.start_data, vault, each) for each in starts]
    with vault.write():
        lose(vault, [claim.id for claim, fate in zip(claims, fates, strict=True) if fate[3]])
        ended = settle_all(vault, ends) if together else [alone(leases.settle, vault, each) for each in ends]
    found = [run(vault.db, sql, ids).fetchall() for sql in (_DELIVERIES, _RECIPIENTS)]
    replies = [[each.reply for each in delivery_of(vault, delivery).recipients] for delivery in ids]
    held = [dict(zip((0, 1), claim.recipients.values(), strict=True)) for claim in claims]
    results = [type(each) if isinstance(each, LeaseLost) else each for each in (*begun, *ended)]
    releases = run(vault.db, _RELEASES).fetchall()
    with vault.write():  # Nothing of it is due again when the other way has its turn.
        run(vault.db, "UPDATE delivery SET finished_at = 1 WHERE id = ANY(?)", ids)
    return [results, held, found, replies, releases]


def lose(vault: Vault, deliveries: list[int]) -> None:
    run(vault.db, "UPDATE delivery SET lease_token = lease_token + 1 WHERE id = ANY(?)", deliveries)


def alone(write: Any, vault: Vault, each: Start | End) -> Any:
    try:
        return write(vault, *each)
    except LeaseLost as error:
        return error
