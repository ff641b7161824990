"""One timer for all that wait: each is called at its own times, and no more once it is removed."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from store.intake.milter import reminder as module
from store.intake.milter.reminder import Reminder

SECONDS = 10


class Clock:
    """An event loop's clock and its timers, which run when the time comes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[[], None]) -> object:
        self.timers.append((when, call))
        return object()

    def advance(self, seconds: int) -> None:
        until = self.now + seconds
        while (due := min(self.timers, key=lambda each: each[0], default=None)) and due[0] <= until:
            self.timers.remove(due)
            self.now = due[0]
            due[1]()
        self.now = until


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4)),
        st.tuples(st.just("remove"), st.integers(0, 4)),
        st.tuples(st.just("wait"), st.integers(0, 35)),
    ),
    max_size=40,
)


@given(steps)
def test_each_is_called_every_so_many_seconds_until_it_is_removed(steps: list[tuple[str, int]]) -> None:
    clock, reminder = Clock(), Reminder(SECONDS)
    called: list[tuple[float, int]] = []
    calls = {number: (lambda number=number: called.append((clock.now, number))) for number in range(5)}
    expected: list[tuple[float, int]] = []
    since: dict[int, float] = {}
    with patch.object(module.asyncio, "get_running_loop", lambda: clock):
        for what, number in steps:
            if what == "add" and number not in since:
                since[number] = clock.now
                reminder.add(calls[number])
            elif what == "remove":
                since.pop(number, None)
                reminder.remove(calls[number])
            elif what == "wait":
                for each, began in since.items():
                    last = int((clock.now - began) // SECONDS)
                    times = range(last + 1, int((clock.now + number - began) // SECONDS) + 1)
                    expected += [(began + SECONDS * time, each) for time in times]
                clock.advance(number)
            assert len(reminder) == len(since) and len(clock.timers) <= 1
        assert sorted(called) == sorted(expected)
        for number in range(5):
            reminder.remove(calls[number])
        clock.advance(2 * SECONDS)
        assert not clock.timers and len(called) == len(expected)


def test_one_that_removes_another_keeps_it_from_being_called() -> None:
    clock, reminder, called = Clock(), Reminder(SECONDS), []

    def second() -> None:
        called.append("second")

    def first() -> None:
        called.append("first")
        reminder.remove(second)

    with patch.object(module.asyncio, "get_running_loop", lambda: clock):
        reminder.add(first)
        reminder.add(second)
        clock.advance(SECONDS)
    assert called == ["first"]
