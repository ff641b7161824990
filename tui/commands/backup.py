"""`mailhold backup`: back up the store to a file while it is in use, and verify the backup."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from store.terms.sizes import format_size
from tui.commands.interrupt import Interrupt
from tui.commands.opened import key_file, store_location, unlocking
from tui.commands.passphrases import can_ask_secret
from tui.commands.printing import iso, local_time, print_json
from tui.commands.reporting import say_failed
from tui.terminal.progress import Progress
from tui.terminal.safe import safe
from tui.terminal.words import copies

if TYPE_CHECKING:
    from store.backing_up.backing_up import Backup
    from store.opening.opening import Unlock


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare TO, --no-key, --force and --json."""
    parser.add_argument(
        "target",
        metavar="TO",
        type=Path,
        help="the new file, or a folder (the file in it is named after the store and the time)",
    )
    parser.add_argument(
        "--no-key", action="store_true", help="do not unlock the store; seals and signatures are then not verified"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--json",
        action="store_true",
        help='print {path, bytes, messages, format, newest_event, seals_verified, "broken": [{"what", "why"}]}',
    )


def run(args: argparse.Namespace) -> int:
    """Write and verify the backup; return 1 if part of it is broken.

    Without a key file and without a terminal to ask for a passphrase, the store is not unlocked. Raises
    KeyboardInterrupt if interrupted; then no file is left.
    """
    from store.backing_up.backing_up import back_up, destination

    location = store_location(args)
    path = destination(location, args.target, force=args.force)
    unlock = _unlock(args)
    with Progress("Copying") as copying, Progress("Checking") as checking, Interrupt() as interrupt:
        try:
            backup = back_up(
                location, path, unlock, force=args.force, copying=copying, checking=checking, cancelled=interrupt
            )
        except KeyboardInterrupt:
            raise KeyboardInterrupt("interrupted; no backup was written.") from None
    if args.json:
        print_json(
            {
                "path": str(backup.path),
                "bytes": backup.size,
                "messages": backup.messages,
                "format": backup.format,
                "newest_event": iso(backup.newest_event),
                "seals_verified": backup.sealed,
                "broken": [{"what": what, "why": why} for what, why in backup.broken],
            }
        )
    else:
        _print(backup)
    return 1 if say_failed(backup.broken) else 0


def _unlock(args: argparse.Namespace) -> Unlock | None:
    if args.no_key:
        return None
    asks = not getattr(args, "recovery", False) and key_file(args) is None
    return None if asks and not can_ask_secret() else unlocking(args)


def _print(backup: Backup) -> None:
    from store.database.tables import FORMAT

    newest = local_time(backup.newest_event) if backup.newest_event else "-"
    print(f"{safe(str(backup.path))}: {copies(backup.messages)}, {format_size(backup.size)}, newest event {newest}")
    if backup.broken:
        print(f"{len(backup.broken):,} broken")
    elif backup.sealed:
        print("Verified: every copy, signature and chain.")
    else:
        needs = "a key" if backup.format == FORMAT else f"a release for format {backup.format}, or `mailhold upgrade`"
        print(f"Verified: the file, its tables and counts. Seals and signatures were not verified: that needs {needs}.")
