"""Short work in threads: the newest wins, stale results are dropped, errors arrive; long work can be cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from store.terms.errors import StoreError
from tui.console.background import Background
from tui.console.tasks import Task, TaskRunner, explain


def on_loop() -> Background:
    loop = asyncio.get_running_loop()

    def hand(receive: Callable[[Any], None], what: Any) -> None:
        loop.call_soon_threadsafe(receive, what)

    return Background(hand)


async def quiet(background: Background) -> None:
    while background.busy():
        await asyncio.sleep(0.001)


async def test_only_the_newest_result_of_a_group_is_handed_over() -> None:
    background, gate = on_loop(), threading.Event()
    got: list[int] = []
    ran: list[int] = []

    def work(number: int) -> int:
        ran.append(number)
        if number == 0:
            gate.wait(5)
        return number

    for number in range(20):
        background.start(lambda number=number: work(number), got.append, got.append, "select")
    gate.set()
    await quiet(background)
    background.stop()
    assert got == [19]
    assert len(ran) <= 2


async def test_a_request_that_waits_returns_with_its_result_passed_on_once() -> None:
    background = on_loop()
    got: list[int] = []
    for number in range(50):
        background.start(lambda number=number: number, got.append, print, "select", 30.0)
        assert got == [*range(number + 1)]
        assert not background.busy()
    await asyncio.sleep(0.01)
    background.stop()
    assert got == [*range(50)]


async def test_an_older_result_is_not_passed_on_by_a_request_that_waits() -> None:
    background, began = on_loop(), threading.Event()
    got: list[str] = []
    background.start(lambda: began.set() or "old", got.append, print, "select")  # type: ignore[func-returns-value]  # None
    began.wait(5)
    background.start(lambda: "new", got.append, print, "select", 30.0)
    assert got == ["new"]
    await quiet(background)
    background.stop()
    assert got == ["new"]


async def test_a_request_does_not_wait_longer_than_it_may_nor_for_older_work() -> None:
    background, gate = on_loop(), threading.Event()
    got: list[str] = []
    background.start(lambda: gate.wait(5), got.append, got.append, "select", 0.001)
    assert not gate.is_set()
    background.start(lambda: 1 / 0, got.append, lambda error: got.append(type(error).__name__), "select", 0.001)
    gate.set()
    await quiet(background)
    background.stop()
    assert got == ["ZeroDivisionError"]


async def test_groups_do_not_wait_for_each_other() -> None:
    background, gate = on_loop(), threading.Event()
    got: list[str] = []
    background.start(lambda: gate.wait(5), lambda _: got.append("slow"), print, "slow")
    background.start(lambda: "quick", got.append, print, "quick")
    while not got:
        await asyncio.sleep(0.001)
    gate.set()
    await quiet(background)
    background.stop()
    assert got == ["quick", "slow"]


async def test_an_error_goes_to_its_own_receiver_and_the_group_goes_on() -> None:
    background = on_loop()
    got: list[object] = []

    def fail() -> None:
        raise StoreError("gone")

    background.start(fail, got.append, lambda error: got.append(str(error)), "one")
    await quiet(background)
    background.start(lambda: 7, got.append, got.append, "one")
    await quiet(background)
    background.stop()
    assert got == ["gone", 7]


async def test_a_task_reports_progress_and_stops_when_asked() -> None:
    changes: list[int] = []
    runner = TaskRunner(lambda: changes.append(len(runner.running)), lambda error: None)
    reached = threading.Event()
    got: list[int] = []

    def work(progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> int:
        for number in range(1_000_000):
            progress(number, 1_000_000)
            if number == 10:
                reached.set()
            if cancelled():
                return number
            if number > 10:
                threading.Event().wait(0.001)
        return 1_000_000

    task = Task("Deleting", work, got.append)
    running = runner.start(task)
    while not reached.is_set():
        await asyncio.sleep(0.001)
    assert task.total == 1_000_000 and task.done >= 10
    task.cancel()
    await running
    assert got and got[0] < 1_000_000
    assert changes == [1, 0]


async def test_an_error_in_a_task_is_reported_and_ends_it() -> None:
    errors: list[str] = []
    runner = TaskRunner(lambda: None, lambda error: errors.append(explain(error)))

    def work(progress: object, cancelled: object) -> None:
        raise ZeroDivisionError("subject: secret")

    await runner.start(Task("x", work))
    assert runner.running == []
    assert "ZeroDivisionError" in errors[0] and "secret" not in errors[0]


async def test_shutting_down_waits_for_the_safe_place() -> None:
    runner = TaskRunner(lambda: None, lambda error: None)
    started, ended = threading.Event(), threading.Event()

    def work(progress: object, cancelled: Callable[[], bool]) -> None:
        started.set()
        while not cancelled():
            threading.Event().wait(0.001)
        ended.set()

    running = runner.start(Task("x", work))
    await asyncio.to_thread(started.wait, 5)
    runner.shut_down()
    assert ended.is_set()
    await running
