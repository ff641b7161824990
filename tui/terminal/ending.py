"""How the console ends when it is told to, or when its terminal goes: by the regular way, in bounded time.

A parent may have had SIGHUP ignored (`nohup`, `trap "" HUP`), or keep it from reaching the console (`make`): so the
console takes SIGHUP whatever was set, and takes a lost terminal for it.
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

#: What tells the console to end.
SIGNALS = (signal.SIGHUP, signal.SIGTERM)
#: Longest time (s) from being told until the process is gone: more than all that is waited for on the way out.
LIMIT = 75.0


def leave_by_force(number: int) -> None:
    """End the process after `LIMIT` seconds, whatever holds it up: the store is whole at every moment."""
    timer = threading.Timer(LIMIT, os._exit, [128 + number])
    timer.daemon = True
    timer.start()


@contextmanager
def ends_cleanly() -> Iterator[None]:
    """Around the app: a terminal that goes and a request to end leave by the regular way out, which clears up."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_lost_terminal() -> bool:
    """Put /dev/null in the place of a terminal that is gone, so that a last sentence is no error. Whether it is."""
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
    """Say on standard error that the console was ended, and what became of the work under way."""
    leave_lost_terminal()
    print("mailhold: the console was told to end.", *account, file=sys.stderr)
