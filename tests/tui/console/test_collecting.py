"""Garbage is collected at rest, never in the middle of typing, and only in a process that asked for it."""

from __future__ import annotations

import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tests.tui.console.fakes import FakeCatalogue, copies
from tui.console import collecting
from tui.console.app import POLL
from tui.console.collecting import DUE, REST, STARTING, WORKING, Collector


class Gc:
    """Stands for the `gc` module, whose state is the whole process's."""

    def __init__(self) -> None:
        self.waiting = (0, 0, 0)
        self.done: list[object] = []

    def get_count(self) -> tuple[int, int, int]:
        return self.waiting

    def collect(self, generation: int = 2) -> None:
        self.done.append(generation)

    def freeze(self) -> None:
        self.done.append("freeze")

    def unfreeze(self) -> None:
        self.done.append("unfreeze")

    def set_threshold(self, *limits: int) -> None:
        self.done.append(limits[0])


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> tuple[Gc, Clock]:
    return _faked(monkeypatch)


def _faked(patch: pytest.MonkeyPatch) -> tuple[Gc, Clock]:
    gc, clock = Gc(), Clock()
    patch.setattr(collecting, "gc", gc)
    patch.setattr(collecting, "time", types.SimpleNamespace(monotonic=clock.monotonic))
    patch.setattr(collecting, "_begun", False)
    return gc, clock


def test_what_the_start_made_is_not_looked_at_again(fake: tuple[Gc, Clock]) -> None:
    gc, _clock = fake
    collecting.begin()
    assert gc.done == [STARTING]
    Collector().started()
    assert gc.done == [STARTING, "freeze", WORKING]


def test_a_process_that_did_not_begin_is_left_as_it_is(fake: tuple[Gc, Clock]) -> None:
    gc, clock = fake
    collector = Collector()
    collector.started()
    gc.waiting, clock.now = (10**6, 99, 99), clock.now + 99
    collector.look()
    assert not gc.done


@given(
    st.tuples(st.integers(0, 2 * DUE[0]), st.integers(0, 2 * DUE[1]), st.integers(0, 2 * DUE[2])),
    st.floats(0, 3),
)
def test_the_oldest_generation_that_is_due_is_collected_after_its_rest(
    waiting: tuple[int, int, int], rested: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        gc, clock = _faked(patch)
        collecting.begin()
        collector = Collector()
        clock.now += 50
        collector.touched()
        gc.waiting, gc.done = waiting, []
        clock.now += rested
        collector.look()
        due = [number for number in (0, 1, 2) if waiting[number] >= DUE[number] and clock.now - 150 >= REST[number]]
        assert gc.done == due[-1:]


def test_nothing_is_collected_while_keys_come(fake: tuple[Gc, Clock]) -> None:
    gc, clock = fake
    collecting.begin()
    collector = Collector()
    gc.waiting, gc.done = (10**6, 99, 99), []
    for _ in range(100):
        collector.touched()
        clock.now += REST[0] / 2
        collector.look()
    assert not gc.done


def test_what_loading_left_is_collected_once_at_rest(fake: tuple[Gc, Clock]) -> None:
    gc, clock = fake
    collecting.begin()
    collector = Collector()
    collector.loaded()
    assert gc.done == [STARTING, "freeze", WORKING]
    gc.done = []
    clock.now += REST[2] / 2
    collector.touched()
    clock.now += REST[2] / 2
    collector.look()
    assert not gc.done
    for _ in range(2):
        clock.now += REST[2]
        collector.look()
    assert gc.done == ["unfreeze", 2, "freeze"]


async def test_the_console_tells_it_of_keys_and_asks_it_between_them(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    for name in ("started", "loaded", "touched", "look"):
        monkeypatch.setattr(Collector, name, lambda _self, name=name: told.append(name))
    app = make_console(vault, FakeCatalogue(copies(3)))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert told[0] == "started" and "touched" not in told
        app.catalogue.on_complete()
        await pilot.pause()
        assert told.count("loaded") == 1
        await pilot.press("j")
        assert "touched" in told
        told.clear()
        for _ in range(200):
            await pilot.pause(POLL)
            if "look" in told:
                break
        assert set(told) == {"look"}
