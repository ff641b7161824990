"""`mailhold delete`: copies out of Backup."""

from __future__ import annotations

import argparse
import sys

from tui.commands.asking import confirm_count
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import say_cancelled, say_copies
from tui.commands.selection import add_selection, check_selection, described, selected_ids
from tui.terminal.progress import Progress
from tui.terminal.safe import safe


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID…, --query, --all, --yes and --json."""
    add_selection(parser, yes="without asking for the number of copies")
    parser.add_argument(
        "--json",
        action="store_true",
        help='print {"deleted": n, "missing": [id], "refused": [{"id", "error"}], "erased": bool}',
    )


def run(args: argparse.Namespace) -> int:
    """Delete; returns 1 where any copy was not deleted. Raises UsageError where that is not confirmed."""
    from store.authority.acts import delete_copies

    check_selection(args)
    with opened(args) as vault:
        ids, missing = selected_ids(vault, args)
        if ids and not args.yes:
            confirm_count(f"This permanently deletes {described(vault, ids)}.", len(ids), yes=args.yes)
        with Progress("Deleting") as progress, Interrupt() as interrupt:
            result = delete_copies(vault, ids, operator=vault.opened_by, progress=progress, cancelled=interrupt)
    missing = [*missing, *result.missing]
    if args.json:
        refused = [{"id": copy_id, "error": why} for copy_id, why in result.refused]
        deleted = len(result.deleted)
        print_json({"deleted": deleted, "missing": missing, "refused": refused, "erased": not result.left})
    else:
        print(f"{len(result.deleted):,} deleted")
    if result.left:
        print(f"mailhold: {safe(result.left)}", file=sys.stderr)
    failures = say_copies(result.refused, missing)
    left = len(ids) - len(result.deleted)
    failures += say_cancelled(interrupt, "delete", f"cancelled; {left:,} were not deleted")
    return 1 if failures else 0
