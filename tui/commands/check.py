"""`mailhold check`: verify every copy, signature and hash chain."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from store.database.modes import Use
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import say_cancelled, say_failed
from tui.terminal.progress import Progress
from tui.terminal.words import copies

if TYPE_CHECKING:
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --repair and --json."""
    parser.add_argument(
        "--repair",
        action="store_true",
        help="first rebuild what can be rebuilt without loss: the store's own row and its counters",
    )
    parser.add_argument(
        "--json", action="store_true", help='print {"checked": n, "binned": n, "broken": [{"what", "why"}]}'
    )


def run(args: argparse.Namespace) -> int:
    """Check the store, with --repair after repairing it; return 1 if anything is broken. Names each broken item."""
    from store.check import check

    with opened(args, Use.WRITE if args.repair else Use.READ, repair=args.repair) as vault:
        if args.repair:
            _repair(vault)
        with Progress("Checking") as progress, Interrupt() as interrupt:
            result = check(vault, progress=progress, cancelled=interrupt)
    if args.json:
        broken = [{"what": what, "why": why} for what, why in result.broken]
        print_json({"checked": result.checked, "binned": result.binned, "broken": broken})
    else:
        print(
            f"{copies(result.checked)}{f' and {result.binned:,} in the bin' if result.binned else ''} checked, "
            + (f"{len(result.broken):,} broken" if result.broken else "no problems found")
        )
        print(f"The store was {result.evidence}.")
    failures = say_failed(result.broken) + say_cancelled(interrupt, "check", "cancelled; not everything was checked")
    return 1 if failures else 0


def _repair(vault: Vault) -> None:
    """Repair what can be rewritten without loss, and list it on standard error."""
    from store.opening.repairing import repair

    done = repair(vault, operator=vault.opened_by)
    for what in done:
        print(f"mailhold: rebuilt: {what}", file=sys.stderr)
    if not done:
        print("mailhold: there was nothing to rebuild.", file=sys.stderr)
