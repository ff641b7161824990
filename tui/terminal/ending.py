"""Ending the console on SIGHUP, on SIGTERM or when its terminal is lost: by the normal
exit path, within a bounded time.

A parent process may have SIGHUP ignored (`nohup`, `trap "" HUP`) or keep it from reaching the console (`make`). So the
console always installs a handler for SIGHUP, and treats a lost terminal like SIGHUP.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

#: Signals that end the console.
SIGNALS = (signal.SIGHUP, signal.SIGTERM)
#: Seconds until the process is killed after such a signal: longer than all waits of the normal exit together.
LIMIT = 75.0


def leave_by_force(number: int) -> None:
    """Start a timer that ends the process after `LIMIT` seconds.

    That is safe: the store is consistent at every moment.
    """
    timer = threading.Timer(LIMIT, os._exit, [128 + number])
    timer.daemon = True
    timer.start()


@contextmanager
def ends_cleanly() -> Iterator[None]:
    """Make SIGHUP and SIGTERM raise SystemExit in the block, so that the app ends by the
    normal exit path and cleans up.
    """

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_lost_terminal() -> bool:
    """Replace a lost terminal by /dev/null, so that writing a last sentence does not fail.

    Returns True if it was lost.
    """
    watched = select.poll()
    for stream in (0, 1, 2):
        watched.register(stream, 0)
    lost = [stream for stream, _ in watched.poll(0)]
    if lost:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in lost:
            os.dup2(null, stream)
        os.close(null)
    return bool(lost)


def say_ended(account: Iterable[str]) -> None:
    """Print to standard error that the console was ended, and what became of unfinished work."""
    leave_lost_terminal()
    print("mailhold: the console was stopped by a signal.", *account, file=sys.stderr)
