"""Ctrl+Z: whether a shell waits that can continue a stopped program, and what has to stop with it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

#: What Ctrl+Z answers where `can_be_continued` is false.
NO_SHELL = "The console was not started from a shell's prompt, so nothing could continue it: it is not suspended."


def can_be_continued() -> bool:
    """Whether a shell with job control waits for this program.

    After `ssh -t host mailhold` none does: a stopped program would stay stopped, and its terminal with it.
    """
    return _starters()[1]


def stop_starters() -> None:
    """Stop what started this program in the same job, such as make: without that the shell does not see it stop."""
    for each in _starters()[0]:
        with suppress(OSError):
            os.kill(each, signal.SIGTSTP)


def _starters() -> tuple[list[int], bool]:
    """List the parent and its parents in this process group, and whether above them is another group of the session."""
    group, session = os.getpgrp(), os.getsid(0)
    within: list[int] = []
    each = os.getppid()
    try:
        while each and os.getsid(each) == session:
            if os.getpgid(each) != group:
                return within, True
            within.append(each)
            each = int(Path(f"/proc/{each}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except ProcessLookupError:
        return within, False
    except OSError:  # another user's process that cannot be read
        return within, True
    return within, False
