"""Ctrl-C during long work of a command."""

from __future__ import annotations

import signal
import sys


class Interrupt:
    """Context manager: the first Ctrl-C asks the work to stop at a clean point; the second stops it at once.

    Pass the object as `cancelled`. It stays true after the block, so that the command can report the cancellation.
    """

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print("\nmailhold: stopping after this step; Ctrl-C again stops at once.", file=sys.stderr)
