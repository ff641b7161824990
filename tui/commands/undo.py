"""`mailhold undo`: undo this operator's last act, or redo an undone one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from store.terms.errors import UsageError
from tui.commands.asking import ask, can_ask
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import iso, local_time, print_json
from tui.terminal.progress import Progress
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.undoing.plans import Plan, Told
    from store.vault.vault import Vault

_LISTED = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --again, --list, --yes and --json."""
    parser.add_argument("--again", action="store_true", help="redo what you undid last")
    parser.add_argument("--list", action="store_true", help="only list what can be undone, and what that would change")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--json", action="store_true", help='print {"act", "at", "what", "done": [text], "not_done": [text]}, or a list'
    )


def run(args: argparse.Namespace) -> int:
    """Show what would be undone or redone, ask, and do it. Return 1 if there is nothing to do.

    Raises UsageError if it is not confirmed, TamperedError, StoreUnavailable.
    """
    from store.undoing.undoing import carry_out, next_plan, plans

    with opened(args) as vault:
        if args.list:
            _print_list(plans(vault, vault.opened_by, again=args.again)[:_LISTED], as_json=args.json)
            return 0
        plan = next_plan(vault, vault.opened_by, again=args.again)
        if plan is None:
            return _nothing(args, vault)
        if not args.json:
            _print_plan(plan)
        question = "Redo it? [y/N] " if args.again else "Undo it? [y/N] "
        if not args.yes and not (can_ask() and ask(question).lower() in ("y", "yes")):
            raise UsageError("Nothing was changed. Answer y, or add --yes to confirm.")
        with Progress("Redoing" if plan.again else "Undoing") as progress, Interrupt() as interrupt:
            told = carry_out(vault, plan, operator=vault.opened_by, progress=progress, cancelled=interrupt)
    if args.json:
        print_json(_record(plan, told))
    else:
        _print_told(told, plan.told)
    return 0 if told.does else 1


def _nothing(args: argparse.Namespace, vault: Vault) -> int:
    if args.json:
        print_json(None)
    else:
        who = safe(vault.opened_by) or "this operator"
        what = "redone" if args.again else "undone"
        print(f"Nothing that {who} did can be {what}.")
    return 1


def _record(plan: Plan, told: Told) -> dict[str, Any]:
    return {
        "act": plan.act.number,
        "at": iso(plan.act.event.at),
        "what": plan.what,
        "done": list(told.does),
        "not_done": list(told.does_not),
    }


def _print_list(found: Sequence[Plan], *, as_json: bool) -> None:
    if as_json:
        print_json([_record(plan, plan.told) for plan in found])
        return
    for plan in found:
        _print_plan(plan)
    if not found:
        print("There is nothing to list.")


def _print_plan(plan: Plan) -> None:
    print(f"{local_time(plan.act.event.at)}  {safe(plan.what)}")
    for text in plan.told.does:
        print(f"  {'is redone' if plan.again else 'is undone'}: {safe(text)}")
    for text in plan.told.does_not:
        print(f"  but: {safe(text)}")


def _print_told(told: Told, planned: Told) -> None:
    """Print what was done; in full only if it differs from what was planned."""
    if told == planned:
        print("Done.")
        return
    for text in told.does:
        print(f"Done: {safe(text)}")
    for text in told.does_not:
        print(f"Not done: {safe(text)}")
