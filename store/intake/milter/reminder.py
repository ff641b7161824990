"""Calls back after a while, and again and again, with one timer for all who wait: one for each message cost more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Reminder:
    """Calls functions every so many `seconds` until they are removed. Used from one event loop."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        #: When each is to be called next, by the loop's clock, the earliest first.
        self._due: dict[Callable[[], None], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._due)

    def add(self, call: Callable[[], None]) -> None:
        """Call `call` from `seconds` after now on. It must not raise."""
        loop = asyncio.get_running_loop()
        due = self._due[call] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._look)

    def remove(self, call: Callable[[], None]) -> None:
        """Call it no more. The timer is left alone: it serves those who come."""
        self._due.pop(call, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer, now = None, loop.time()
        for call in [each for each, due in self._due.items() if due <= now]:
            if self._due.pop(call, None) is not None:  # Else a call before it has removed it.
                self._due[call] = now + self._seconds
                call()
        if self._due:
            self._timer = loop.call_at(next(iter(self._due.values())), self._look)
