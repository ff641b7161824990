"""A progress bar on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """Context manager that shows a progress bar on standard error, or nothing if that is not a terminal."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._shown = sys.stderr.isatty()
        self._last = -1.0

    def __enter__(self) -> Progress:
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` items are done. A `total` of 0 means that the number is not known."""
        now = time.monotonic()
        if not self._shown or (now - self._last < 0.1 and done != total):
            return
        self._last = now
        if total:
            filled = min(30, done * 30 // total)
            print(f"\r{self._verb} {'█' * filled}{'░' * (30 - filled)} {done:,}/{total:,}", end="", file=sys.stderr)
        else:
            print(f"\r{self._verb} {done:,}", end="", file=sys.stderr)
        sys.stderr.flush()

    def __exit__(self, *_: object) -> None:
        if self._shown and self._last >= 0:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
