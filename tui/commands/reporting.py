"""Failures of a command: each failed item is named on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from store.terms.errors import CopyMissing, MailholdError
from tui.commands.interrupt import Interrupt
from tui.terminal.safe import safe


def say_failed(failures: Iterable[tuple[object, str]]) -> int:
    """Print each failed item with the reason; return their number."""
    count = 0
    for item, why in failures:
        count += 1
        print(f"mailhold: {safe(str(item))}: {safe(why)}", file=sys.stderr)
    return count


def say_copies(failed: Iterable[tuple[int, str]], missing: Iterable[int] = ()) -> int:
    """Print each failed copy with the reason, then each missing one; return their number."""
    return say_failed(
        (f"copy {copy_id}", why)
        for copy_id, why in (*failed, *((copy_id, str(CopyMissing(copy_id))) for copy_id in missing))
    )


@contextmanager
def apart(what: str) -> Iterator[list[str]]:
    """Catch errors of work that only completes a report, so that the rest of the report is still printed.

    An error is printed as `what` with the reason, and its reason is added to the list that the context manager yields.
    """
    failed: list[str] = []
    try:
        yield failed
    except MailholdError as error:
        failed.append(str(error))
        print(f"mailhold: {what}: {safe(str(error))}", file=sys.stderr)


def say_cancelled(interrupt: Interrupt, command: str, what: str) -> int:
    """Print `what` if the command was interrupted; return 1 then, else 0."""
    return say_failed([(command, what)] if interrupt() else [])
