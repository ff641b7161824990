"""`mailhold bin`: list, restore or delete the copies in the bin."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from store.terms.errors import UsageError
from store.terms.sizes import format_size
from tui.commands.asking import confirm_count
from tui.commands.ids import in_range, parse_ids
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened, use_of
from tui.commands.printing import iso, local_time, print_json
from tui.commands.reporting import say_cancelled, say_copies, say_failed
from tui.terminal.bin_words import standing
from tui.terminal.progress import Progress
from tui.terminal.safe import fit, safe
from tui.terminal.words import copies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.vault.bin import BinAct
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, ID…, --last, --act, --yes and --json."""
    parser.add_argument("verb", nargs="?", choices=["list", "restore", "empty"], default="list", help="default: list")
    parser.add_argument("ids", metavar="ID", nargs="*", help="IDs of copies in the bin, or ranges such as 17-25")
    parser.add_argument("--last", action="store_true", help="restore: what you deleted most recently")
    parser.add_argument(
        "--act", metavar="ACT", type=int, help="restore, empty: the copies of this act (see ACT in the list)"
    )
    parser.add_argument("--yes", action="store_true", help="empty: do not ask for the number of copies")
    parser.add_argument(
        "--json",
        action="store_true",
        help="list: print an array of {act, at, until, operator, copies, size, restored, left, left_size, gone}; "
        'restore: {"restored": n, "there": [id], "gone": [id], "refused": [{"id", "error"}]}; '
        'empty: {"deleted": n, "missing": [id], "refused": [{"id", "error"}], "erased": bool}',
    )


def run(args: argparse.Namespace) -> int:
    """List the bin, restore copies or delete them for good; return 1 if a copy was not handled. Raises UsageError."""
    chosen = bool(args.ids) + args.last + (args.act is not None)
    if args.verb == "list" and (chosen or args.yes):
        raise UsageError("`bin list` takes no IDs, no --last, no --act and no --yes.")
    if args.verb == "restore" and chosen != 1:
        raise UsageError("Give the IDs of copies to restore, --last or --act ACT. `mailhold bin` lists the acts.")
    if args.verb == "restore" and args.yes:
        raise UsageError("--yes is only for `bin empty`.")
    if args.verb == "empty" and (args.last or chosen > 1):
        raise UsageError("`bin empty` empties the whole bin, or takes IDs of copies or --act ACT.")
    parse_ids(args.ids)
    with opened(args, use_of(args)) as vault:
        if args.verb == "list":
            return _list(vault, args)
        return _restore(vault, args) if args.verb == "restore" else _empty(vault, args)


def _list(vault: Vault, args: argparse.Namespace) -> int:
    acts = vault.bin.acts()
    if args.json:
        print_json([act_json(act) for act in acts])
        return 0
    if not acts:
        print("The bin is empty.")
        return 0
    print(f"{'ACT':>6}  {'DELETED':<16}  {'KEPT UNTIL':<16}  {'BY':<16}  {'IN THE BIN':>12}  {'SIZE':>9}  OF THEM")
    for act in acts:
        times = [local_time(at) if at else "not verified" for at in (act.at, act.until)]
        who = fit(act.operator, 16) if act.operator else f"{'-':<16}"
        print(
            f"{act.act:>6}  {times[0]:<16}  {times[1]:<16}  {who}  {act.left:>12,}  "
            f"{format_size(act.left_size):>9}  {standing(act)}"
        )
    return 0


def act_json(act: BinAct) -> dict[str, Any]:
    """Convert an act of the bin to plain JSON values."""
    return {
        "act": act.act,
        "at": iso(act.at),
        "until": iso(act.until),
        "operator": act.operator,
        "copies": act.copies,
        "size": act.size,
        "restored": act.restored,
        "left": act.left,
        "left_size": act.left_size,
        "gone": act.gone,
    }


def _ids(vault: Vault, args: argparse.Namespace) -> tuple[list[int], list[str]]:
    """Return the ids of the copies that the command names, and the ranges of which the bin has no copy.

    A range stands for the copies in the bin with such ids. Raises UsageError.
    """
    if not args.ids:
        return _ids_of_acts(vault, args), []
    there = vault.bin.ids()
    chosen: dict[int, None] = {}
    empty = []
    for low, high in parse_ids(args.ids):
        found = [low] if low == high else in_range(there, low, high)
        chosen.update(dict.fromkeys(found))
        if not found:
            empty.append(f"copies {low}-{high}")
    return list(chosen), empty


def _ids_of_acts(vault: Vault, args: argparse.Namespace) -> list[int]:
    if args.last:
        from store.authority.deleting import last_act

        if (act := last_act(vault, vault.opened_by)) is None:
            raise UsageError("The bin holds nothing that you deleted. `mailhold bin` lists what others deleted.")
        return vault.bin.ids(act.act)
    if args.act is None:
        return vault.bin.ids()
    if not (found := vault.bin.ids(args.act)):
        raise UsageError(f"The bin holds no copies of act {args.act}. `mailhold bin` lists the acts.")
    return found


def _restore(vault: Vault, args: argparse.Namespace) -> int:
    from store.authority.deleting import bring_back

    ids, empty = _ids(vault, args)
    with Progress("Restoring") as progress, Interrupt() as interrupt:
        done = bring_back(vault, ids, operator=vault.opened_by, progress=progress, cancelled=interrupt)
    if args.json:
        refused = [{"id": copy_id, "error": why} for copy_id, why in done.refused]
        print_json({"restored": len(done.restored), "there": done.there, "gone": done.gone, "refused": refused})
    else:
        print(f"{copies(len(done.restored))} restored from the bin")
    there = [(copy_id, "it is in Backup already") for copy_id in done.there]
    failures = say_copies([*done.refused, *there], done.gone) + _say_empty(empty)
    failures += say_cancelled(interrupt, "bin restore", f"cancelled; {len(done.left):,} are still in the bin")
    return 1 if failures else 0


def _say_empty(ranges: Sequence[str]) -> int:
    return say_failed((each, "none of them is in the bin. `mailhold bin` lists what is.") for each in ranges)


def _empty(vault: Vault, args: argparse.Namespace) -> int:
    from store.authority.deleting import empty_bin

    ids, empty = _ids(vault, args)
    there = vault.present_in_bin(ids)
    what = f"This permanently deletes {copies(len(there))} of {copies(vault.bin.totals()[0])} in the bin."
    confirm_count(what, len(there), yes=args.yes)
    with Progress("Deleting") as progress, Interrupt() as interrupt:
        done = empty_bin(vault, ids, operator=vault.opened_by, progress=progress, cancelled=interrupt)
    if args.json:
        refused = [{"id": copy_id, "error": why} for copy_id, why in done.refused]
        print_json({"deleted": len(done.deleted), "missing": done.missing, "refused": refused, "erased": not done.left})
    else:
        print(f"{len(done.deleted):,} deleted from the bin")
    if done.left:
        print(f"mailhold: {safe(done.left)}", file=sys.stderr)
    failures = say_copies([*done.refused, *((copy_id, "it is not in the bin") for copy_id in done.missing)])
    failures += _say_empty(empty)
    left = len(ids) - len(done.deleted) - len(done.missing) - len(done.refused)
    failures += say_cancelled(interrupt, "bin empty", f"cancelled; {left:,} were not deleted")
    return 1 if failures else 0
