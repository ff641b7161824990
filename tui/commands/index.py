"""`mailhold index`: make the traits of copies, from which campaigns are found."""

from __future__ import annotations

import argparse

from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import say_cancelled, say_copies
from tui.terminal.progress import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --verify and --json."""
    parser.add_argument(
        "--verify", action="store_true", help="verify the existing index first, and rebuild what does not verify"
    )
    parser.add_argument(
        "--json", action="store_true", help='print {"indexed": n, "left": n, "failed": [{"id", "error"}]}'
    )


def run(args: argparse.Namespace) -> int:
    """Index the copies that are not indexed yet; return 1 if a copy could not be read or the command was cancelled."""
    from store.campaigns.checking import unreadable
    from store.campaigns.indexing import index

    with opened(args) as vault, Progress("Indexing") as progress, Interrupt() as interrupt:
        again = unreadable(vault) if args.verify else ()
        result = index(vault, again=again, progress=progress, cancelled=interrupt)
    if args.json:
        failed = [{"id": copy_id, "error": error} for copy_id, error in result.failed]
        print_json({"indexed": result.indexed, "left": result.left, "failed": failed})
    else:
        print(f"{result.indexed:,} indexed" + (f", {len(result.failed):,} failed" if result.failed else ""))
    failures = say_copies(result.failed)
    failures += say_cancelled(interrupt, "index", "cancelled; run it again to index the rest")
    return 1 if failures else 0
