"""What a command could not do, each item named on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from store.terms.errors import CopyMissing
from tui.commands.interrupt import Interrupt
from tui.terminal.safe import safe

if TYPE_CHECKING:
    pass


def say_failed(failures: Iterable[tuple[object, str]]) -> int:
    """Name each item that failed, and why; returns how many there were."""
    count = 0
    for item, why in failures:
        count += 1
        print(f"mailhold: {safe(str(item))}: {safe(why)}", file=sys.stderr)
    return count


def say_copies(failed: Iterable[tuple[int, str]], missing: Iterable[int] = ()) -> int:
    """Name each copy that failed, and why, then each that is not there; returns how many there were."""
    return say_failed(
        (f"copy {copy_id}", why)
        for copy_id, why in (*failed, *((copy_id, str(CopyMissing(copy_id))) for copy_id in missing))
    )


def say_cancelled(interrupt: Interrupt, command: str, what: str) -> int:
    """Say what became of the rest, where the command was interrupted; returns 1 then, else 0."""
    return say_failed([(command, what)] if interrupt() else [])
