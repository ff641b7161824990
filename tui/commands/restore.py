"""`mailhold restore`: accept a store that was restored from a backup, so that it can be used again."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from store.terms.errors import UsageError
from tui.commands.asking import ask, can_ask
from tui.commands.opened import opened
from tui.commands.printing import iso, local_time, print_json
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.backing_up.restoring import Standing

_LISTED = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --keep-orders, --yes and --json."""
    parser.add_argument(
        "--keep-orders",
        action="store_true",
        help="send the waiting deliveries, although they may have been sent before (default: cancel them)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--json",
        action="store_true",
        help='print {"older": text or null, "seen_at", "called_off": [ID], "kept": [ID]}',
    )


def run(args: argparse.Namespace) -> int:
    """Show where the store is older than what was seen before, then sign it. Raises UsageError if not confirmed."""
    from store.backing_up.restoring import restore, standing

    with opened(args, repair=True) as vault:
        before = standing(vault)
        complete = bool(before.seen_at) and before.older is None and vault.read_only is None
        if not args.json:
            _print(before, keep=args.keep_orders)
        question = "Accept this store as it is? What it lacks stays lost. [y/N] "
        if complete:
            question = "Accept this store anyway, for gateways that saw more of it? [y/N] "
        if not args.yes and not (can_ask() and ask(question).lower() in ("y", "yes")):
            if complete:
                return _nothing_to_accept(before, as_json=args.json)
            raise UsageError("Nothing was changed. Answer y, or add --yes to confirm.")
        keep = before.waiting if args.keep_orders else ()
        gone = restore(vault, keep=keep, operator=vault.opened_by)
    if args.json:
        print_json(_record(before, gone, sorted(keep)))
    else:
        print("The store is accepted. Gateways use its settings and send again. Now run `mailhold check`.")
    return 0


def _nothing_to_accept(before: Standing, *, as_json: bool) -> int:
    """Say that nothing had to be accepted on this machine, and what to do if a gateway saw more."""
    print(
        "Nothing had to be accepted, and nothing was changed. If a gateway reports that the store is older than what "
        "it saw, answer y, or add --yes.",
        file=sys.stderr if as_json else sys.stdout,
    )
    if as_json:
        print_json(_record(before, [], []))
    return 0


def _record(before: Standing, gone: list[int], kept: list[int]) -> dict[str, Any]:
    return {
        "older": None if before.older is None else str(before.older),
        "seen_at": iso(before.older.at if before.older else before.seen_at),
        "called_off": gone,
        "kept": kept,
    }


def _print(before: Standing, *, keep: bool) -> None:
    if before.older is not None:
        print(
            f"The store is older than what was seen of it on this machine at {local_time(before.older.at)}. It lacks: "
            f"{before.older}."
        )
    elif before.seen_at:
        print(f"The store holds everything that was seen of it on this machine, last at {local_time(before.seen_at)}.")
    else:
        print("This store was not seen on this machine before, so it is not known what it lacks.")
    if before.waiting:
        what = counted(len(before.waiting), "delivery waits", "deliveries wait")
        print(f"{what} and may have been sent since the backup: {'sent again' if keep else 'cancelled'}.")
        for delivery_id in sorted(before.waiting)[:_LISTED]:
            print(f"  delivery {delivery_id}, ordered {local_time(before.waiting[delivery_id])}")
        if len(before.waiting) > _LISTED:
            print(f"  and {len(before.waiting) - _LISTED:,} more")
