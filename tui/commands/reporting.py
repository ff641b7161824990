"""What a command could not do, each item named on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from store.terms.errors import CopyMissing, MailholdError
from tui.commands.interrupt import Interrupt
from tui.terminal.safe import safe


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


@contextmanager
def apart(what: str) -> Iterator[list[str]]:
    """Let something fail that only adds to the report of work that is done, so that the report is not lost with it.

    Standard error says that `what` could not be done, and why; the list that it yields holds why.
    """
    failed: list[str] = []
    try:
        yield failed
    except MailholdError as error:
        failed.append(str(error))
        print(f"mailhold: {what}: {safe(str(error))}", file=sys.stderr)


def say_cancelled(interrupt: Interrupt, command: str, what: str) -> int:
    """Say what became of the rest, where the command was interrupted; returns 1 then, else 0."""
    return say_failed([(command, what)] if interrupt() else [])
