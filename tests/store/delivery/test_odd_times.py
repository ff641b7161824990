"""Impossible times, from a clock ahead or behind: they are reported, and neither waited for nor acted on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.authority.settings import Settings
from store.delivery import leases, placing, queue, retrying
from store.delivery.listing import delivery_of, odd_times
from store.delivery.queue import release, retry
from store.enrolment.enrolled import (
    ALIVE_MS,
    BEAT_SECONDS,
    Running,
    beat,
    delivery_target,
    gateways,
    is_alive,
    running,
)
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.presence import Presence
from store.helpers.clock import TOLERANCE_MS, now_ms
from store.mail.outcome import Outcome, State
from store.opening.opening import Unlock, open_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE

YEAR = 365 * 86_400_000
NOW = now_ms()


@pytest.fixture
def ready(any_vault: Vault) -> Vault:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9"))
    any_vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("b@y.example",)))
    return any_vault


def ordered(vault: Vault, monkeypatch: pytest.MonkeyPatch, at: int, copy_id: int = 1) -> int:
    """Make a release ordered while the clock showed that time."""
    with monkeypatch.context() as patch:
        patch.setattr(queue, "decides_ms", lambda _db: at)
        return release(vault, [copy_id], original=True).queued[0]


def claimed(vault: Vault, now: int, owner: str = "one") -> list[leases.Claim]:
    with vault.write():
        return leases.claim(vault, 1, owner, 5, now, leases.LEASE)


def test_an_order_of_a_clock_that_was_ahead_is_said_and_sent(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW + YEAR)
    assert (
        "another machine's clock was ahead" in delivery_of(ready, delivery_id).odd_time(NOW)
        and odd_times(ready, NOW) == 1
    )
    assert [each.id for each in claimed(ready, NOW)] == [delivery_id]


def test_what_a_worker_ahead_put_off_is_not_waited_for(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW)
    [held] = claimed(ready, NOW)
    with ready.write():
        leases.settle(ready, held, {held.live[0]: Outcome(State.DEFERRED, "later")}, NOW + YEAR)
    ready.models.Delivery.update(next_attempt_at=NOW + YEAR).execute()
    assert "ahead" in delivery_of(ready, delivery_id).odd_time(NOW)
    assert claimed(ready, NOW + 1)


def test_a_delivery_that_waits_its_time_is_not_odd(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW)
    ready.models.Delivery.update(next_attempt_at=NOW + leases.BACKOFF[-1]).execute()
    assert not delivery_of(ready, delivery_id).odd_time(NOW) and not odd_times(ready, NOW)
    assert not claimed(ready, NOW)


def test_a_worker_ahead_fails_nothing(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW)
    assert not claimed(ready, NOW + YEAR)
    found = delivery_of(ready, delivery_id)
    assert found.state is State.QUEUED and found.live and "expired" in found.odd_time(NOW + YEAR)
    assert odd_times(ready, NOW + YEAR) == 1 and not odd_times(ready, NOW)
    assert [each.id for each in claimed(ready, NOW + 1)] == [delivery_id], "with the right clock it is sent"


def test_what_a_worker_ahead_takes_over_waits_for_the_right_clock(
    ready: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW)
    assert claimed(ready, NOW)
    assert not claimed(ready, NOW + YEAR, "ahead")
    assert delivery_of(ready, delivery_id).state is State.QUEUED
    assert claimed(ready, NOW + 1)


def test_an_order_that_expires_under_a_worker_fails(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW)
    assert not claimed(ready, NOW + placing.ORDER_LIFE + TOLERANCE_MS - 1)
    assert delivery_of(ready, delivery_id).state is State.FAILED


def test_an_operator_sends_what_expired_long_ago(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id, later = ordered(ready, monkeypatch, NOW), NOW + YEAR
    monkeypatch.setattr(retrying, "decides_ms", lambda _db: later)
    assert retry(ready, delivery_id, "ann").sends == 1
    assert not delivery_of(ready, delivery_id).odd_time(later)
    assert [each.id for each in claimed(ready, later)] == [delivery_id]


def test_a_lease_of_a_worker_ahead_ends(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    delivery_id = ordered(ready, monkeypatch, NOW)
    with ready.write():
        [held] = leases.claim(ready, 1, "ahead", 5, NOW + 2 * 3_600_000, leases.LEASE)
    assert [each.id for each in claimed(ready, NOW)] == [delivery_id]
    with pytest.raises(leases.LeaseLost), ready.write():
        leases.start_data(ready, held, held.live, {}, NOW, leases.LEASE)


def test_a_restarted_worker_takes_back_what_it_held(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent if DATA had not begun; otherwise its outcome is unknown, and it is not resent automatically."""
    first = ordered(ready, monkeypatch, NOW)
    ready.put(b"Subject: y\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("c@y.example",)))
    second = ordered(ready, monkeypatch, NOW, 2)
    held = {each.id: each for each in claimed(ready, NOW, "before")}
    with ready.write():
        leases.start_data(ready, held[second], held[second].live, {}, NOW, leases.LEASE)
    assert not claimed(ready, NOW, "after")
    with ready.write():
        leases.take_back(ready, 1, "somebody else")
    assert not claimed(ready, NOW, "after")
    with ready.write():
        leases.take_back(ready, 1, "before")
    assert [each.id for each in claimed(ready, NOW, "after")] == [first]
    assert delivery_of(ready, second).state is State.UNKNOWN


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def gateway(any_vault: Vault, tmp_path: Path) -> int:
    return enroll(any_vault, "mx1", tmp_path / "mx1")


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        (0, Running.YES),
        (TOLERANCE_MS, Running.YES),
        (TOLERANCE_MS + 1, Running.UNKNOWN),
        (YEAR, Running.UNKNOWN),
        (1 - ALIVE_MS, Running.YES),
        (-ALIVE_MS, Running.NO),
    ],
)
def test_a_beat_of_the_future_is_no_sign_of_life(
    any_vault: Vault, gateway: int, tmp_path: Path, sql: Callable[..., Any], ahead: int, expected: Running
) -> None:
    with closing(open_with_credentials(any_vault.location, tmp_path / "mx1")) as running_gateway:
        beat(running_gateway)
        sql(any_vault, "UPDATE gateway SET alive_at = ? WHERE id = ?", NOW + ahead, gateway)
        assert running(any_vault, gateway, NOW + ahead, NOW) is expected
        assert is_alive(any_vault, gateway, NOW) is (expected is Running.YES)
        assert delivery_target(any_vault, NOW).gateway_id == (gateway if expected is Running.YES else 1)


@pytest.mark.integration
def test_in_postgresql_a_gateway_is_gone_with_the_connection_that_said_its_beats(
    postgres_store: str, tmp_path: Path
) -> None:
    with closing(open_store(postgres_store, Unlock.passphrase(PASSPHRASE))) as vault:
        first, second = (enroll(vault, name, tmp_path / name) for name in ("mx1", "mx2"))

        def states() -> list[Running]:
            return [running(vault, each.id, each.alive_at) for each in gateways(vault)]

        assert states() == [Running.NO, Running.NO]
        one = open_with_credentials(postgres_store, tmp_path / "mx1")
        with closing(open_with_credentials(postgres_store, tmp_path / "mx2")) as two:
            beat(one)
            beat(two)
            threads = [threading.Thread(target=beat, args=(one,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for _ in range(3):
                beat(one)
            assert states() == [Running.YES, Running.YES] and delivery_target(vault).gateway_id in (first, second)
            one.db.close_all()  # as after a kill
            until(lambda: states() == [Running.NO, Running.YES])
            assert delivery_target(vault).gateway_id == second
            beat(one)
            assert states() == [Running.YES, Running.YES], "it took up a new connection"
        one.close()
        until(lambda: states() == [Running.NO, Running.NO])


def test_without_a_lock_a_gateway_counts_as_running_for_three_beats() -> None:
    assert ALIVE_MS <= 3 * BEAT_SECONDS * 1000


def test_a_lock_that_is_let_go_says_at_once_that_a_gateway_ended(vault: Vault, tmp_path: Path) -> None:
    gateway = enroll(vault, "mx1", tmp_path / "mx1")
    assert running(vault, gateway, now_ms()) is Running.YES, "no file says anything else"
    first = Presence(vault.location, gateway)
    assert first.held and not first.former
    first.touch()
    assert running(vault, gateway, now_ms()) is Running.YES
    other = Presence(vault.location, gateway)
    assert not other.held and not other.former, "somebody else of that name runs"
    first.end()
    assert running(vault, gateway, now_ms()) is Running.NO
    assert running(vault, gateway, now_ms() + 60_000, now_ms() + 60_000) is Running.YES, "it beats on elsewhere"
    again = Presence(vault.location, gateway)
    assert again.held and again.former == first.owner != again.owner
    again.end()


def test_the_lock_of_a_store_in_postgresql_is_the_gateways_own(tmp_path: Path) -> None:
    presence = Presence("postgresql://nowhere/mailhold", 2)
    assert not presence.held and not presence.former and presence.owner
    presence.touch()
    presence.end()
    first = Presence("postgresql://nowhere/mailhold", 2, tmp_path / "mx1.running")
    assert first.held and not Presence("postgresql://nowhere/mailhold", 2, tmp_path / "mx1.running").held
    first.end()
    assert Presence("postgresql://nowhere/mailhold", 2, tmp_path / "mx1.running").former == first.owner
