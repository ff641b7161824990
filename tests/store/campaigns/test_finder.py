"""The finder's process: new copies join, only one finder writes at a time, a killed one leaves nothing half done."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator

import pytest

from store.campaigns import lease as lease_module
from store.campaigns import marks
from store.campaigns.finder import Finder, Task, started
from store.campaigns.finding import find
from store.campaigns.lease import LEASE_MS, Lease, LeaseLost
from store.campaigns.oddness import Reason
from store.campaigns.reading import StandingReader
from store.campaigns.standing import Standing
from store.campaigns.stored import Stored
from store.vault.vault import Vault
from tests.store.campaigns.mail import letter, put, put_wave
from tests.store.campaigns.test_finding import sets

#: Time limit (s) that suits a busy machine.
PATIENCE = 60.0


class Console:
    """A console's part: reads the campaigns a few times a second, and keeps a finder running."""

    def __init__(self, vault: Vault) -> None:
        self.finder, self.reader = Finder(vault), StandingReader(vault)

    def until(self, wanted: Callable[[Standing], bool]) -> Standing:
        """Wait for campaigns that satisfy the condition."""
        end = time.monotonic() + PATIENCE
        while not wanted(standing := self.reader.read()):
            assert time.monotonic() < end, (sets(standing), standing.waiting, standing.problems)
            self.finder.look(self.reader)
            time.sleep(0.05)
        return standing


@pytest.fixture
def console(any_vault: Vault) -> Iterator[Console]:
    made = Console(any_vault)
    yield made
    made.finder.close()


def reasons(standing: Standing, copy_id: int) -> tuple[int, tuple[Reason, ...]] | None:
    place = standing.place(copy_id)
    return (place.campaign, place.reasons) if place else None


def test_campaigns_are_found_and_new_copies_join_them(any_vault: Vault, console: Console) -> None:
    first, second, _ = put_wave(any_vault)
    standing = console.until(lambda standing: standing.number > 0)
    assert sets(standing) == {1: first, 2: second} and standing.waiting == 0
    marks.peel(any_vault, 1, first[:1], first[1])
    more, other, alike = put(any_vault, [letter(0, 100), letter(9, 1), letter(0, 0)])
    standing = console.until(lambda standing: not standing.waiting)
    assert reasons(standing, more) == (1, ()) and reasons(standing, other) is None
    # A new copy that resembles a peeled-off copy is kept out too.
    assert reasons(standing, alike) == (1, (Reason.APART,))
    assert console.finder.running
    console.finder.close()
    assert not console.finder.running and Lease(any_vault).free()


def test_a_copy_that_comes_back_has_a_place_again(any_vault: Vault, console: Console) -> None:
    first, *_ = put_wave(any_vault)
    any_vault.bin.put(first[:3], until=1 << 50)
    console.until(lambda standing: standing.number > 0)
    any_vault.bin.restore(first[:2])
    standing = console.until(lambda standing: standing.place(first[0]) is not None)
    assert sets(standing)[1] == [*first[:2], *first[3:]]


def test_damaged_campaigns_are_found_anew(
    any_vault: Vault, console: Console, sql: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.campaigns.due.now_ms", lambda: int(time.time() * 1000) + 61_000)
    first, second, _ = put_wave(any_vault)
    find(any_vault)
    sql(any_vault, "UPDATE derived SET sealed = SUBSTR(sealed, 1, 40) WHERE id = 0 AND kind = 'campaign'")
    standing = console.until(lambda standing: not standing.problems)
    assert sets(standing) == {3: first, 4: second}


def test_one_has_the_lease(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    one, other = Lease(any_vault), Lease(open_again())
    assert one.free() and one.take() and not other.free() and not other.take()
    one.renew()
    one.release()
    assert other.free() and other.take() and not one.take()
    with pytest.raises(LeaseLost):
        one.renew()
    one.release()
    assert not other.free()


def test_one_that_stood_still_writes_nothing(
    any_vault: Vault, open_again: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000]
    monkeypatch.setattr(lease_module, "decides_ms", lambda _db: now[0])
    put_wave(any_vault)
    find(any_vault)
    paused, other = Lease(any_vault), Lease(open_again())
    assert paused.take()
    stored = Stored(any_vault, guard=paused.guard)
    state = stored.state()
    now[0] += LEASE_MS - 1
    assert not other.take()
    now[0] += 1
    # Nobody else took the lease: the finder may continue.
    assert stored.put_joined(state, 66, {}) is not None
    assert other.take()
    with pytest.raises(LeaseLost):
        stored.put_joined(state, 99, {})
    with pytest.raises(LeaseLost):
        stored.put_found(state, [], {})
    assert stored.state().looked == 66 and len(stored.state().order) == 2


def test_a_clock_that_was_wrong_keeps_nobody_off(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1 << 41]
    monkeypatch.setattr(lease_module, "decides_ms", lambda _db: now[0])
    assert Lease(any_vault).take()
    now[0] = 1_000_000
    assert Lease(any_vault).take()


def test_a_finder_that_is_killed_leaves_all_whole(
    any_vault: Vault, console: Console, sql: Callable[..., object]
) -> None:
    rng = random.Random(os.environ.get("PYTEST_SEED", "12"))
    first, second, _ = put_wave(any_vault)
    find(any_vault)
    before = console.reader.read()
    for turn in range(6):
        put(any_vault, [letter(turn % 2, 200 + 20 * turn + number) for number in range(20)])
        lease = Lease(any_vault)
        # Every second one finds campaigns anew.
        held = lease.held if turn % 2 and lease.take() else None
        process = started(Task(any_vault.location, any_vault.worker_key_material(settings=True), held))
        end = time.monotonic() + rng.uniform(0.1, 1.5)
        while time.monotonic() < end and process.poll() is None:
            standing = console.reader.read()
            assert not standing.problems and standing.number >= before.number
            assert set(first) <= set(sets(standing)[1]) and set(second) <= set(sets(standing)[2])
            before = standing
            time.sleep(0.01)
        process.kill()
        process.wait()
        sql(any_vault, "DELETE FROM derived WHERE kind = 'finder'")
    standing = console.until(lambda standing: not standing.waiting)
    assert [len(one.copies) + len(one.odd) for one in standing.campaigns] == [90, 80]


def test_the_process_ends_with_its_console(vault: Vault) -> None:
    process = started(Task(vault.location, vault.worker_key_material(settings=True)))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(PATIENCE) in (0, 1)


def test_two_consoles_have_one_finder(any_vault: Vault, console: Console, open_again: Callable[[], Vault]) -> None:
    first, second, _ = put_wave(any_vault)
    other = Console(open_again())
    try:
        for _ in range(3):
            console.finder.look(console.reader)
            other.finder.look(other.reader)
        standing = other.until(lambda standing: standing.number > 0)
        assert sets(standing) == {1: first, 2: second} and standing.number == 1
        # Either finder may have the lease; the other one continues when it ends.
        console.until(lambda standing: not standing.waiting)
        console.finder.close()
        [more] = put(any_vault, [letter(1, 100)])
        assert reasons(other.until(lambda standing: not standing.waiting), more) == (2, ())
    finally:
        other.finder.close()


def test_a_finder_that_fails_is_told(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    put_wave(vault)
    console = Console(vault)
    with monkeypatch.context() as patch:
        patch.setattr("store.campaigns.finder.sys.executable", "/bin/false")
        console.until(lambda _: "mailhold campaigns" in console.finder.problem)
    monkeypatch.setattr("store.campaigns.finder._AGAIN", 0.0)
    monkeypatch.setattr("store.campaigns.finder._STEADY", 0.0)
    monkeypatch.setattr(console.finder, "_next", 0.0)
    console.until(lambda standing: standing.number > 0)
    console.until(lambda _: not console.finder.problem)
    console.finder.close()
