"""When a window begins to count what is pressed: once it was seen, and typing meant for something else is over.

A window that acts counts nothing that was pressed before its first frame had been written to the terminal, nor within
`DELAY` after, nor what follows such a key without a pause: a burst of keys is meant as one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TextIO, cast

from textual.driver import Driver

from tui.console.textual_private import output_of, set_output

#: Seconds from a window's first frame until it counts what is pressed: quicker than that nobody has read it.
DELAY = 0.3
#: A key that comes within this time (s) of one that did not count does not count either.
PAUSE = 0.1


class Arming:
    """The state of one window. Times are those of `time.monotonic` (s), as in the `time` of Textual's events."""

    def __init__(self) -> None:
        #: True from when the window is whole until its first frame is on its way to the terminal.
        self.wanted = False
        #: When its first frame had been written; None before. A thread sets it.
        self.painted: float | None = None
        #: How often it came to the front: what was pressed, and painted, before the last time counts no more.
        self.turn = 0
        self._dropped = float("-inf")

    def come(self) -> None:
        """Note that the window comes to the front now, before it knows itself."""
        self.turn += 1
        self.cover()

    def begin(self) -> None:
        """Note that the window comes (or comes back from behind another): its next frame is its first."""
        self.wanted, self.painted = True, None

    def cover(self) -> None:
        """Another window comes in front."""
        self.wanted, self.painted = False, None

    def paint(self, at: float, turn: int) -> None:
        """Note when the first frame of its `turn` in front was written; a thread says so."""
        if turn == self.turn:
            self.painted = at

    def refuses(self, at: float, delay: float = DELAY) -> bool:
        """Return True if what was pressed at this time does not count."""
        if self.painted is None or at < self.painted + delay or at < self._dropped + PAUSE:
            self._dropped = max(at, self._dropped)
            return True
        return False


class Written(str):
    """Nothing to write; `then` is called, in the thread that writes, once all before it was handed to the terminal."""

    then: Callable[[float], None]

    def __new__(cls, then: Callable[[float], None]) -> Written:
        made = super().__new__(cls)
        made.then = then
        return made


class Output:
    """The file that Textual's thread writes to: it tells each `Written` when its turn came."""

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
    """Put an `Output` between a driver for terminals and its file, before it starts."""
    file = output_of(driver)
    if file is not None:
        set_output(driver, cast("TextIO", Output(file)))


def when_written(driver: Driver | None, then: Callable[[float], None]) -> None:
    """Call `then` with the time at which all that the driver was given so far had been handed to the terminal."""
    if driver is None or not isinstance(output_of(driver), Output):
        then(time.monotonic())  # There is no terminal.
    else:
        driver.write(Written(then))
