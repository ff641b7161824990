"""`mailhold save`: save copies to files, byte for byte."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.terms.errors import StoreReadOnly
from tui.commands.asking import confirm_count
from tui.commands.caller import as_text
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import apart, say_cancelled, say_copies
from tui.commands.selection import add_selection, check_selection, described, selected_ids
from tui.terminal.progress import Progress
from tui.terminal.words import counted


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID…, --query, --all, --yes, --to and --json."""
    add_selection(parser, yes="do not ask for the number of copies that --query or --all selects")
    parser.add_argument(
        "--to", metavar="DIR", type=_folder, required=True, help="the folder to save to (created if it does not exist)"
    )
    parser.add_argument(
        "--json", action="store_true", help='print {"saved": [{"id", "path"}], "failed": [{"id", "error"}]}'
    )


def _folder(name: str) -> Path:
    if not name:  # an unset variable of a script: do not save into the current folder
        raise argparse.ArgumentTypeError("it is empty; give a folder")
    return Path(name)


@contextmanager
def _advised() -> Iterator[None]:
    """Add to the error of a read-only store what works instead."""
    try:
        yield
    except StoreReadOnly as error:
        from store.files.saving import SAVED_BY_SHOW

        raise StoreReadOnly(f"{error} {SAVED_BY_SHOW}") from None


def run(args: argparse.Namespace) -> int:
    """Save the selected copies; return 1 if one was not saved. Raises UsageError if saving is not confirmed."""
    from store.files.saving import save_copies

    check_selection(args)
    with _advised(), opened(args) as vault:
        ids, missing = selected_ids(vault, args)
        if len(ids) > 1 and not args.ids:
            confirm_count(
                f"This saves {described(vault, ids)}, to the folder {as_text(args.to)}.", len(ids), yes=args.yes
            )
        with Progress("Saving") as progress, Interrupt() as interrupt:
            result = save_copies(vault, ids, args.to, operator=vault.opened_by, progress=progress, cancelled=interrupt)
        saved = [copy_id for copy_id, _ in result.saved]
        dangerous: list[int] = []
        with apart("it could not be checked whether they are infected"):
            dangerous = [copy.id for copy in vault.get_many(saved) if copy.record.dangerous]
    if args.json:
        failed = [{"id": copy_id, "error": why} for copy_id, why in result.failed]
        failed += [{"id": copy_id, "error": why} for copy_id, why in missing.copies.items()]
        print_json({"saved": [{"id": copy_id, "path": str(path)} for copy_id, path in result.saved], "failed": failed})
    else:
        print(f"{len(result.saved):,} saved to {args.to}")
    if dangerous:
        said = counted(len(dangerous), "saved file is", "saved files are")
        print(f"mailhold: Warning: {said} infected or probably infected.", file=sys.stderr)
    failures = say_copies(result.failed) + missing.say()
    failures += say_cancelled(interrupt, "save", f"cancelled; {len(ids) - len(saved):,} were not saved")
    return 1 if failures else 0
