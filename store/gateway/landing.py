"""Bring results from threads to the event loop, with one call into it for all that arrived while it was busy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Landing(Generic[T]):
    """Settles futures of the loop that runs when it is made. `land` may be called from any thread."""

    def __init__(self, late: Callable[[asyncio.Future[T], T | BaseException], None] = lambda *_: None) -> None:
        """`late` is called in the loop's thread with a result for which nobody waits any more."""
        self.loop = asyncio.get_running_loop()
        self._late = late
        self._landed: deque[tuple[asyncio.Future[T], T | BaseException]] = deque()
        self._called = False

    def future(self) -> asyncio.Future[T]:
        """Make a future for a thread to `land`. Call in the loop's thread."""
        return self.loop.create_future()

    def land(self, future: asyncio.Future[T], result: T | BaseException) -> None:
        """Settle `future` with a result or an error, soon. Never raises: with the loop closed, nothing waits for it."""
        self._landed.append((future, result))
        if not self._called:
            self._called = True
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        self._called = False  # A result that arrives from here on schedules another call.
        while self._landed:
            future, result = self._landed.popleft()
            if future.done():
                self._late(future, result)
            elif isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
