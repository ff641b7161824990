"""Results of threads reach the waiters in the event loop, and one call into the loop may bring many."""

from __future__ import annotations

import asyncio
import threading

import pytest

from store.gateway.landing import Landing


async def test_results_and_errors_from_threads_reach_whoever_waits() -> None:
    landing: Landing[int] = Landing()
    futures = [landing.future() for _ in range(200)]

    def work(start: int) -> None:
        for number in range(start, 200, 4):
            landing.land(futures[number], ValueError(number) if number % 3 == 0 else number)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    found = await asyncio.gather(*futures, return_exceptions=True)
    for number, each in enumerate(found):
        assert each.args == (number,) if isinstance(each, ValueError) else each == number
        assert isinstance(each, ValueError) is (number % 3 == 0)
    for thread in threads:
        thread.join()


async def test_one_call_into_the_loop_brings_all_that_came_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    landing: Landing[int] = Landing()
    calls: list[object] = []
    soon = landing.loop.call_soon_threadsafe

    def counted(callback: object, *given: object) -> object:
        calls.append(callback)
        return soon(callback, *given)  # type: ignore[arg-type]  # as it was given

    monkeypatch.setattr(landing.loop, "call_soon_threadsafe", counted)
    first = [landing.future() for _ in range(50)]
    thread = threading.Thread(target=lambda: [landing.land(each, 1) for each in first])
    thread.start()
    thread.join()  # The loop is kept busy throughout.
    assert sum(await asyncio.gather(*first)) == 50 and len(calls) == 1
    last = landing.future()
    landing.land(last, 2)
    assert await last == 2 and len(calls) == 2


async def test_who_gave_up_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    landing: Landing[int] = Landing()
    gone, waiting = landing.future(), landing.future()
    gone.cancel()
    landing.land(gone, 1)
    landing.land(waiting, 2)
    assert await waiting == 2 and not caplog.records


def test_a_loop_that_was_closed_is_not_called() -> None:
    async def make() -> tuple[Landing[int], asyncio.Future[int]]:
        landing: Landing[int] = Landing()
        return landing, landing.future()

    landing, future = asyncio.run(make())
    landing.land(future, 1)
    assert not future.done()
