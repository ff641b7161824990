"""`mailhold delete`: copies out of Backup."""

from __future__ import annotations

import argparse

from store.errors import UsageError
from tui.commands.common import (
    Interrupt,
    Progress,
    add_selection,
    open_vault,
    operator_name,
    print_json,
    say_failed,
    say_missing,
    selected_ids,
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID…, --query, --yes and --json."""
    add_selection(parser)
    parser.add_argument(
        "--yes", action="store_true", help="really delete; without it the command only says what it would"
    )
    parser.add_argument(
        "--json", action="store_true", help='print {"deleted": n, "missing": [id], "refused": [{"id", "error"}]}'
    )


def run(args: argparse.Namespace) -> int:
    """Delete; returns 1 where any copy was not deleted."""
    from store.audit import record_event

    vault = open_vault(args)
    try:
        ids, missing = selected_ids(vault, args)
        if not args.yes:
            raise UsageError(f"This would delete {len(ids):,} message copies for ever: give --yes to do it.")
        progress = Progress("Deleting")
        with Interrupt() as interrupt:
            result = vault.delete(ids, operator=operator_name(), progress=progress, cancelled=interrupt)
        progress.finish()
        if result.deleted:
            record_event(vault, "delete", operator=operator_name(), copies=result.deleted)
    finally:
        vault.close()
    missing = [*missing, *result.missing]
    if args.json:
        refused = [{"id": copy_id, "error": why} for copy_id, why in result.refused]
        print_json({"deleted": len(result.deleted), "missing": missing, "refused": refused})
    else:
        print(f"{len(result.deleted):,} deleted")
    failures = say_failed((f"copy {copy_id}", why) for copy_id, why in result.refused) + say_missing(missing)
    if interrupt():
        say_failed([("delete", f"cancelled; {len(ids) - len(result.deleted):,} were not deleted")])
    return 1 if failures or interrupt() else 0
