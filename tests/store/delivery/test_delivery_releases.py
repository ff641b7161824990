"""Outcomes of all copies, followed as they change, equal a fresh read after any changes."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from store.authority.settings import Settings
from store.delivery import leases
from store.delivery.outcomes import mailbox_outcomes
from store.delivery.queue import cancel, deliveries, release, retry
from store.delivery.releases import Releases
from store.helpers.clock import now_ms
from store.mail.outcome import Delivered, Outcome, State, delivered
from store.space.changing_settings import change_settings
from store.terms.errors import DeliveryError
from store.terms.records import CopyRecord
from store.vault.vault import Vault

MAILBOXES = ("a@x.example", "A@x.example", "b@x.example", "c@x.example")
ENDS = (State.SENT, State.SENT, State.DEFERRED, State.FAILED, State.UNKNOWN)


@pytest.fixture
def ready(any_vault: Vault) -> Vault:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:1"))
    return any_vault


def put(vault: Vault, count: int) -> list[int]:
    items = ((b"Subject: x\r\n\r\nx\r\n", CopyRecord(envelope_recipients=("a@x.example",)), None) for _ in range(count))
    return vault.put_many(items)


def work(vault: Vault, rng: random.Random, now: int, *, crash: bool = False, limit: int = 3) -> None:
    """Attempt some deliveries like a worker; a recipient may be refused before DATA, and the worker may stop."""
    with vault.write():
        claims = leases.claim(vault, 1, "w", limit, now, 1_000)
    for claim in claims:
        if rng.random() < 0.2:
            with vault.write():
                leases.give_back(vault, claim)
            continue
        live = claim.live
        refused = {each: Outcome(State.FAILED, "550") for each in live if rng.random() < 0.2}
        taken = [each for each in live if each not in refused]
        with vault.write():
            if taken:
                leases.start_data(vault, claim, taken, refused, now, 1_000)
            if not (crash and taken):
                outcomes = {each: Outcome(rng.choice(ENDS), "said") for each in taken}
                leases.settle(vault, claim, outcomes if taken else refused, now)


def finish(vault: Vault, *states: State) -> None:
    """End the one delivery that is due, with these states of its recipients."""
    with vault.write():
        [claim] = leases.claim(vault, 1, "w", 1, now_ms() + 10_000_000, 1_000)
        outcomes = {each: Outcome(state, "said") for each, state in zip(claim.live, states, strict=True)}
        leases.settle(vault, claim, outcomes, now_ms())


def told(releases: Releases) -> tuple[Any, ...]:
    return (dict(releases.read()), releases.attention, releases.live, releases.waiting, releases.damaged)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_followed_is_what_is_there(
    ready: Vault, seed: int, monkeypatch: pytest.MonkeyPatch, open_again: Callable[[], Vault]
) -> None:
    """A delivery may change any number of times between two reads, possibly by another process."""
    monkeypatch.setattr("store.delivery.releases._VERIFIED", 2)
    rng, now = random.Random(seed), now_ms()
    other, follows = open_again(), Releases(ready)
    copies = put(ready, 6)
    for _ in range(60):
        now += 40_000_000
        match rng.randrange(6):
            case 0:
                chosen, to = rng.sample(copies, 2), rng.sample(MAILBOXES, rng.randint(1, 3))
                release(other, chosen, original=False, additional=to)
            case 1 | 2:
                work(other, rng, now)
            case 3:
                work(other, rng, now, crash=True)
            case 4 if found := deliveries(ready):
                one = rng.choice(found).id
                with suppress(DeliveryError):
                    retry(other, one)
                    if rng.random() < 0.5:
                        work(other, rng, now + 1, limit=9)
            case 5 if found := deliveries(ready):
                with suppress(DeliveryError):
                    cancel(ready, rng.choice(found).id)
        if rng.random() < 0.4:
            assert told(follows) == told(Releases(ready))
            mailboxes = mailbox_outcomes(ready, copies)
            assert follows.outcomes == {
                copy_id: outcome
                for copy_id, found in mailboxes.items()
                if (outcome := delivered(each.state for each in found)) is not Delivered.NO
            }
    other.delete(copies[:3])
    assert told(follows) == told(Releases(ready))


def test_only_what_changed_is_read_again(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    release(ready, put(ready, 20), original=True)
    follows, learnt = Releases(ready), []
    follows.read()
    learn = follows._learn
    monkeypatch.setattr(follows, "_learn", lambda rows: learnt.append(len(rows)) or learn(rows))
    finish(ready, State.SENT)
    before = follows.outcomes
    assert follows.read()[1] is Delivered.YES and before[1] is Delivered.WAITING
    assert follows.read() is follows.outcomes and learnt == [1, 0]


def test_one_that_ended_again_between_two_readings_is_not_missed(ready: Vault) -> None:
    [copy_id] = put(ready, 1)
    [delivery_id] = release(ready, [copy_id], original=True).queued
    finish(ready, State.FAILED)
    follows = Releases(ready)
    assert follows.read() == {copy_id: Delivered.FAILED} and follows.attention.failed == {delivery_id}
    retry(ready, delivery_id)
    finish(ready, State.SENT)
    assert follows.read() == {copy_id: Delivered.YES} and not follows.attention.ids


def test_a_failure_counts_until_it_was_made_good_or_the_copy_is_gone(ready: Vault) -> None:
    copies, follows = put(ready, 3), Releases(ready)
    for copy_id in copies:
        release(ready, [copy_id], original=True)
        finish(ready, State.FAILED)
    follows.read()
    assert follows.attention.failed == {1, 2, 3}
    release(ready, copies[:1], original=False, additional=["A@X.EXAMPLE"])  # the same mailbox
    follows.read()
    assert follows.attention.failed == {2, 3}
    finish(ready, State.FAILED)
    follows.read()
    assert follows.attention.failed == {2, 3, 4}
    retry(ready, 2)
    cancel(ready, 2)
    ready.delete(copies[2:])
    follows.read()
    assert follows.attention.failed == {4} and follows.outcomes == {
        copies[0]: Delivered.FAILED,
        copies[2]: Delivered.FAILED,
    }


def test_what_is_put_off_or_unknown_is_told(ready: Vault) -> None:
    copies, follows = put(ready, 2), Releases(ready)
    release(ready, copies[:1], original=False, additional=["a@x.example", "b@x.example"])
    finish(ready, State.SENT, State.DEFERRED)
    follows.read()
    assert follows.attention.put_off == {1} and follows.outcomes == {copies[0]: Delivered.WAITING}
    finish(ready, State.UNKNOWN)
    assert follows.read() == {copies[0]: Delivered.UNKNOWN} and follows.attention.unknown == {1}
    assert follows.progress([1, 7]) == {State.UNKNOWN: 1}


def test_a_damaged_delivery_is_unknown_and_hides_no_other(ready: Vault, sql: Callable[..., Any]) -> None:
    copies = put(ready, 4)
    release(ready, copies, original=True)
    for _ in copies:
        finish(ready, State.SENT)
    sql(ready, "UPDATE delivery_recipient SET sealed_address = ? WHERE delivery_id = 1", b"x" * 90)
    sql(ready, "DELETE FROM delivery_recipient WHERE delivery_id = 2")
    sql(ready, "UPDATE delivery SET state = 'gone', next_attempt_at = ? WHERE id = 3", -(1 << 63))
    follows = Releases(ready)
    assert [follows.read()[copy_id] for copy_id in copies[:2]] == [Delivered.UNKNOWN] * 2
    assert follows.outcomes[copies[3]] is Delivered.YES and follows.damaged == 2
    assert told(follows) == told(Releases(ready))


def test_deliveries_that_somebody_took_out_are_forgotten(ready: Vault, sql: Callable[..., Any]) -> None:
    copies = put(ready, 3)
    release(ready, copies, original=True)
    for state in (State.SENT, State.FAILED, State.SENT):
        finish(ready, state)
    follows = Releases(ready)
    assert set(follows.read()) == set(copies)
    sql(ready, "DELETE FROM delivery_recipient WHERE delivery_id < 3")
    sql(ready, "DELETE FROM delivery WHERE id < 3")
    assert follows.read() == {copies[2]: Delivered.YES} and not follows.attention.ids
    assert told(follows) == told(Releases(ready)) and follows.progress([1, 2, 3]) == {State.SENT: 1}


def test_who_follows_goes_on_after_an_error(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    release(ready, put(ready, 3), original=True)
    follows = Releases(ready)
    follows.read()
    finish(ready, State.SENT)
    with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
        patched.setattr(follows, "_judge", lambda copy_id: 1 / 0)
        follows.read()
    assert told(follows) == told(Releases(ready))


@pytest.mark.parametrize("later", [1, 2, 5_000, 1 << 29])
def test_one_that_failed_again_but_reached_somebody_is_not_missed(
    ready: Vault, sql: Callable[..., Any], later: int
) -> None:
    """Its state and the count of that state are unchanged: only the time of the last attempt (ms) differs."""
    [copy_id] = put(ready, 1)
    release(ready, [copy_id], original=False, additional=["a@x.example", "b@x.example"])
    finish(ready, State.FAILED, State.FAILED)
    [(before,)] = sql(ready, "SELECT next_attempt_at FROM delivery")
    follows = Releases(ready)
    assert follows.read() == {copy_id: Delivered.FAILED}
    retry(ready, 1)
    finish(ready, State.SENT, State.FAILED)
    sql(ready, "UPDATE delivery SET next_attempt_at = ?", before + later)
    assert follows.read() == {copy_id: Delivered.PARTLY} and follows.attention.failed == {1}


def test_more_changes_than_are_verified_at_once_are_all_taken_up(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.delivery.releases._VERIFIED", 1)
    copies, follows = put(ready, 3), Releases(ready)
    queued = release(ready, copies, original=True).queued
    assert follows.read() == dict.fromkeys(copies, Delivered.WAITING)
    for _ in copies:
        finish(ready, State.SENT)
    assert follows.read() == dict.fromkeys(copies, Delivered.YES)
    assert told(follows) == told(Releases(ready)) and follows.progress(queued) == {State.SENT: 3}


def test_recipients_that_change_while_their_delivery_is_being_sent_are_not_missed(ready: Vault) -> None:
    [copy_id] = put(ready, 1)
    release(ready, [copy_id], original=False, additional=["a@x.example", "b@x.example"])
    now = now_ms()
    with ready.write():
        [claim] = leases.claim(ready, 1, "w", 1, now, 60_000)
    follows = Releases(ready)
    assert follows.read() == {copy_id: Delivered.WAITING} and not follows.attention.failed
    one, other = claim.live
    with ready.write():
        leases.start_data(ready, claim, [one], {other: Outcome(State.FAILED, "550")}, now, 60_000)
    follows.read()
    assert follows.attention.failed == {1} and told(follows) == told(Releases(ready))
