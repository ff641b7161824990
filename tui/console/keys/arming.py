"""Arming of windows: a window ignores input until its user has seen it.

A window that acts ignores all input until `DELAY` after its first frame was written to the terminal, and each key that
follows an ignored one within `PAUSE`: keys in quick succession were typed as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TextIO, cast

from textual.driver import Driver

from tui.console.textual_private import output_of, set_output

#: Seconds from a window's first frame until input counts: nobody reads it faster.
DELAY = 0.3
#: A key within this time (s) after an ignored key is ignored too.
PAUSE = 0.1


class Arming:
    """The state of one window. Times are those of `time.monotonic` (s), as in the `time` of Textual's events."""

    def __init__(self) -> None:
        #: True from the time when the window is complete until its first frame is on its way to the terminal.
        self.wanted = False
        #: When its first frame was written (s); None before. Set by the writing thread.
        self.painted: float | None = None
        #: How often the window came to the front. Input and frames of earlier times do not count.
        self.turn = 0
        self._dropped = float("-inf")

    def come(self) -> None:
        """Note that the window comes to the front. Called by the app, before the window's own events."""
        self.turn += 1
        self.cover()

    def begin(self) -> None:
        """Wait for a first frame: the window comes to the front, for the first time or again."""
        self.wanted, self.painted = True, None

    def cover(self) -> None:
        """Reset: another window covers this one."""
        self.wanted, self.painted = False, None

    def paint(self, at: float, turn: int) -> None:
        """Note when the first frame of this `turn` was written (s). Called in the writing thread."""
        if turn == self.turn:
            self.painted = at

    def refuses(self, at: float, delay: float = DELAY) -> bool:
        """Return True if input at this time (s) is ignored."""
        if self.painted is None or at < self.painted + delay or at < self._dropped + PAUSE:
            self._dropped = max(at, self._dropped)
            return True
        return False


class Written(str):
    """An empty string for the terminal.

    The writing thread calls `then` when everything before it was handed to the terminal.
    """

    then: Callable[[float], None]

    def __new__(cls, then: Callable[[float], None]) -> Written:
        made = super().__new__(cls)
        made.then = then
        return made


class Output:
    """The file that Textual's thread writes to. It calls `then` of each `Written`."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        if isinstance(text, Written):
            self._file.flush()
            text.then(time.monotonic())
            return 0
        return self._file.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def watch_output(driver: Driver) -> None:
    """Put an `Output` between a terminal driver and its file, before the driver starts."""
    file = output_of(driver)
    if file is not None:
        set_output(driver, cast("TextIO", Output(file)))


def when_written(driver: Driver | None, then: Callable[[float], None]) -> None:
    """Call `then` with the time (s) when all output given to the driver so far was handed to the terminal."""
    if driver is None or not isinstance(output_of(driver), Output):
        then(time.monotonic())  # no terminal, as in tests
    else:
        driver.write(Written(then))
