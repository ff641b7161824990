"""`mailhold delete`: delete copies into the bin, or for good."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from store.helpers.clock import DAY_MS, now_ms
from store.terms.errors import StoreUnavailable
from tui.commands.asking import confirm_count
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import iso, print_json
from tui.commands.reporting import say_cancelled, say_copies
from tui.commands.selection import add_selection, check_selection, described, selected_ids
from tui.terminal.bin_words import day, promise_words
from tui.terminal.progress import Progress
from tui.terminal.safe import safe
from tui.terminal.words import copies

if TYPE_CHECKING:
    from store.vault.vault import DeleteResult, Vault

_FOR_GOOD = "To delete permanently, without the bin, add --for-good."


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID…, --query, --all, --for-good, --yes and --json."""
    add_selection(parser, yes="do not ask for the number of copies")
    parser.add_argument("--for-good", action="store_true", help="delete permanently, not into the bin")
    parser.add_argument(
        "--json",
        action="store_true",
        help='print {"deleted": n, "binned": n of them, "act": the bin\'s, "until": time, "missing": [id], '
        '"refused": [{"id", "error"}], "erased": bool}',
    )


def run(args: argparse.Namespace) -> int:
    """Delete the selected copies; return 1 if a copy was not deleted.

    Raises UsageError if the deletion is not confirmed, and StoreUnavailable if the bin has no room.
    """
    from store.authority.deleting import NO_ROOM, delete_copies
    from store.authority.settings import settings_or_former

    check_selection(args)
    with opened(args) as vault:
        ids, missing = selected_ids(vault, args)
        days = 0 if args.for_good else settings_or_former(vault).bin_days
        if days and ids and not vault.room.has_some():
            raise StoreUnavailable(f"Nothing was deleted: {NO_ROOM}. {_FOR_GOOD}")
        if ids and not args.yes:
            what = described(vault, ids)
            confirm_count(_question(what, days), len(ids), yes=args.yes)
        with Progress("Deleting") as progress, Interrupt() as interrupt:
            result = delete_copies(
                vault,
                ids,
                operator=vault.opened_by,
                days=days,
                progress=progress,
                cancelled=interrupt,
            )
        said = _said(vault, result)
    if args.json:
        print_json(
            {
                "deleted": len(result.gone),
                "binned": len(result.binned),
                "act": result.act or None,
                "until": iso(result.until) if result.binned else None,
                "missing": [*missing.copies, *result.missing],
                "refused": [{"id": copy_id, "error": why} for copy_id, why in result.refused],
                "erased": not result.left and not result.binned,
            }
        )
    else:
        print(said)
    if result.left:
        print(f"mailhold: {safe(result.left)}", file=sys.stderr)
    if result.no_room:
        print(f"mailhold: {copies(len(result.no_room))} not deleted, because {NO_ROOM}. {_FOR_GOOD}", file=sys.stderr)
    no_room = set(result.no_room)
    refused = [each for each in result.refused if each[0] not in no_room]
    failures = say_copies(refused, result.missing) + missing.say() + len(no_room)
    left = len(ids) - len(result.gone)
    failures += say_cancelled(interrupt, "delete", f"cancelled; {left:,} were not deleted")
    return 1 if failures else 0


def _question(what: str, days: int) -> str:
    if not days:
        return f"This permanently deletes {what}."

    return f"This deletes {what}; `mailhold bin restore --last` undoes this until {day(now_ms() + days * DAY_MS)}."


def _said(vault: Vault, result: DeleteResult) -> str:
    """Return a sentence with the number of deleted copies and how long they can be restored."""
    if not result.binned:
        return f"{len(result.deleted):,} deleted"
    from store.space.bin import promise

    size = next((each.left_size for each in vault.bin.acts() if each.act == result.act), 0)
    kept = f"in the bin {promise_words(promise(vault, size, result.until))}"
    return (
        f"{len(result.gone):,} deleted, {kept}: `mailhold bin restore --last` restores what you deleted most recently"
    )
