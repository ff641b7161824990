"""`mailhold check`: verify every copy, signature and chain."""

from __future__ import annotations

import argparse

from store.database.modes import Use
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import say_cancelled, say_failed
from tui.terminal.progress import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument("--json", action="store_true", help='print {"checked": n, "broken": [{"what", "why"}]}')


def run(args: argparse.Namespace) -> int:
    """Check; returns 1 where anything is broken, naming it."""
    from store.check import check

    with opened(args, Use.READ) as vault, Progress("Checking") as progress, Interrupt() as interrupt:
        result = check(vault, progress=progress, cancelled=interrupt)
    if args.json:
        print_json({"checked": result.checked, "broken": [{"what": what, "why": why} for what, why in result.broken]})
    else:
        print(
            f"{result.checked:,} copies checked, "
            + (f"{len(result.broken):,} broken" if result.broken else "all whole")
        )
    failures = say_failed(result.broken) + say_cancelled(interrupt, "check", "cancelled before the end")
    return 1 if failures else 0
