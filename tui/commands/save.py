"""`mailhold save`: copies to files, byte for byte."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tui.commands.asking import confirm_count
from tui.commands.common import (
    Interrupt,
    Progress,
    as_text,
    open_vault,
    operator_name,
    print_json,
    say_failed,
    say_missing,
)
from tui.commands.selection import add_selection, check_selection, described, selected_ids


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID…, --query, --all, --yes, --to and --json."""
    add_selection(parser, yes="more than one copy of --query or --all without asking for their number")
    parser.add_argument(
        "--to", metavar="DIR", type=_folder, required=True, help="the folder; it is made if it is not there"
    )
    parser.add_argument(
        "--json", action="store_true", help='print {"saved": [{"id", "path"}], "failed": [{"id", "error"}]}'
    )


def _folder(name: str) -> Path:
    if not name:  # a script's unset variable: it must not mean the folder at hand
        raise argparse.ArgumentTypeError("it is empty: name a folder")
    return Path(name)


def run(args: argparse.Namespace) -> int:
    """Save; returns 1 where any copy was not saved. Raises UsageError where that is not confirmed."""
    from store.authority.audit import record_event
    from store.files.saving import save_copies

    check_selection(args)
    vault = open_vault(args)
    try:
        ids, missing = selected_ids(vault, args)
        if len(ids) > 1 and not args.ids:
            confirm_count(
                f"This saves {described(vault, ids)}, to the folder {as_text(args.to)}.", len(ids), yes=args.yes
            )
        progress = Progress("Saving")
        with Interrupt() as interrupt:
            result = save_copies(vault, ids, args.to, progress=progress, cancelled=interrupt)
        progress.finish()
        saved = [copy_id for copy_id, _ in result.saved]
        if saved:
            record_event(vault, "save", operator=operator_name(), copies=saved, detail=f"to {as_text(args.to)}")
        dangerous = [copy.id for copy in vault.get_many(saved) if copy.record.dangerous]
    finally:
        vault.close()
    if args.json:
        failed = [{"id": copy_id, "error": why} for copy_id, why in result.failed]
        failed += [{"id": copy_id, "error": "no such copy"} for copy_id in missing]
        print_json({"saved": [{"id": copy_id, "path": str(path)} for copy_id, path in result.saved], "failed": failed})
    else:
        print(f"{len(result.saved):,} saved to {args.to}")
    if dangerous:
        print(
            f"mailhold: {len(dangerous):,} of them infected or probably infected: saved on the hard drive they pose a "
            "security threat to this computer.",
            file=sys.stderr,
        )
    failures = say_failed((f"copy {copy_id}", why) for copy_id, why in result.failed) + say_missing(missing)
    if interrupt():
        say_failed([("save", f"cancelled; {len(ids) - len(result.saved):,} were not saved")])
    return 1 if failures or interrupt() else 0
