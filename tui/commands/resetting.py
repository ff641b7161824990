"""`settings reset`, `rules reset`, `lists reset`: rewrite a part of the configuration that does not verify."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from store.terms.errors import UsageError
from tui.commands.asking import ask, can_ask
from tui.commands.printing import local_time
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.authority.resetting import Damaged, Part
    from store.vault.vault import Vault

#: Longest line (characters) of what is still known; the rest is cut off.
_LINE = 300


def reset_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --former."""
    parser.add_argument(
        "--former",
        action="store_true",
        help="reset: go back to the newest former version that verifies, not to the defaults",
    )


def reset(vault: Vault, part: Part[Any], args: argparse.Namespace) -> None:
    """Rewrite a part of the configuration, and print what was done. Raises UsageError if that is not confirmed."""
    from store.authority.resetting import look, write_anew

    damaged = look(vault, part)
    out = sys.stderr if args.json else sys.stdout
    if damaged is None:
        print(f"The {part.called} verify. Nothing was reset.", file=out)
        return
    if damaged.salvage.problem and not args.yes:
        _confirm(part, damaged, former=args.former)
    write_anew(vault, part, damaged, former=args.former, operator=vault.opened_by)
    if not damaged.salvage.problem:
        print(f"The {part.called} are unchanged. Rows beside them that did not verify were removed.", file=out)
    elif args.former and damaged.salvage.former:
        print(f"The {part.called} were reset to version {damaged.salvage.former.version}.", file=out)
    else:
        print(f"The {part.called} were reset to those of a new store.", file=out)


def known_lines(part: Part[Any], damaged: Damaged[Any]) -> list[str]:
    """Return lines, safe to show, with what is still known of a part that does not verify."""
    found, lines = damaged.salvage, []
    if found.former is not None:
        when = local_time(found.former.changed_at)
        lines.append(f"Version {found.former.version} of {when} verifies: {part.shown(found.former.value)}")
    if found.held is not None:
        lines.append(f"The damaged row can be read, but its signature does not verify: {part.shown(found.held)}")
    for event in damaged.changes:
        lines.append(f"{local_time(event.at)}, {event.operator or 'nobody'}, {event.action}: {event.detail}")
    lines = [line if len(line) <= _LINE else f"{line[:_LINE]}…" for line in map(safe, lines)]
    return lines or ["Nothing is known about them any more."]


def _confirm(part: Part[Any], damaged: Damaged[Any], *, former: bool) -> None:
    found = damaged.salvage
    known = "\n".join(f"  {line}" for line in known_lines(part, damaged))
    if former and found.former is not None:
        what = f"This goes back to version {found.former.version} of the {part.called}. Later changes are lost."
    else:
        what = f"This resets the {part.called} to those of a new store. Everything in them is lost."
        what += " Add --former to go back to the former version that verifies instead." if found.former else ""
    question = f"{found.problem}\nStill known:\n{known}\n{what}"
    if not can_ask():
        raise UsageError(f"{question}\nNothing was reset: there is no terminal to ask on. Add --yes to confirm.")
    if ask(f"{question}\nType yes to reset: ").lower() != "yes":
        raise UsageError("Nothing was reset: you did not type yes.")
