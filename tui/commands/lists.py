"""`mailhold lists`: show and change the black and white lists of the organisation and of users."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import msgspec

from store.judging.rules.address_patterns import canonical
from store.terms.errors import UsageError
from tui.commands.opened import opened, use_of
from tui.commands.printing import print_json
from tui.commands.resetting import reset, reset_arguments
from tui.commands.rules import read_text, write_text
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.judging.rules.address_lists import AddressLists


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, its words and --user."""
    parser.add_argument(
        "verb",
        nargs="?",
        choices=["list", "add", "remove", "import", "export", "reset"],
        default="list",
        help="default: list; reset empties lists that do not verify, unless --former is given",
    )
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="black or white (list, import, export: default all lists); then for add and remove the entries "
        "(ann@example.com, example.com, *.example.com), for import and export a file (default: -)",
    )
    parser.add_argument("--user", metavar="ADDRESS", help="use the personal list of this user, not the organisation's")
    parser.add_argument("--replace", action="store_true", help="import: replace the list instead of adding to it")
    parser.add_argument("--yes", action="store_true", help="reset: do not ask; import: even if nothing is left")
    reset_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the lists as an object")


def run(args: argparse.Namespace) -> int:
    """Show or change the lists. Raises RuleError, UsageError."""
    color, words = (args.words[0], args.words[1:]) if args.words[:1] in (["black"], ["white"]) else (None, args.words)
    args.list, args.words = color, words
    _check(args)
    from store.judging.rules.address_lists import PART, check_user, read_lists

    user = check_user(args.user) if args.user is not None else ""
    wanted = _text(args) if args.verb == "import" else None
    with opened(args, use_of(args)) as vault:
        if args.verb == "reset":
            reset(vault, PART, args)
        before = read_lists(vault)
        if args.verb in ("add", "remove", "import"):
            from store.judging.rules.address_lists import change_lists

            lists = change_lists(vault, lambda present: _changed(present, args, user, wanted), vault.opened_by)
        else:
            lists = before
    if args.verb == "export":
        from store.judging.rules.lists_text import print_list, print_lists

        text = print_list(lists.of(args.list, user)) if args.list else print_lists(lists)
        write_text(text, args.words[0] if args.words else "-")
    elif args.json:
        print_json(lists_json(lists))
    elif args.verb in ("list", "reset"):
        _print(lists, args.list, user)
    else:
        _print_change(before, lists)
    return 0


def lists_json(lists: AddressLists) -> dict[str, Any]:
    """Convert all lists to the JSON object in docs/commands.md."""
    fields: dict[str, Any] = msgspec.to_builtins(lists)
    return fields


def _check(args: argparse.Namespace) -> None:
    if args.verb in ("add", "remove") and not (args.list and args.words):
        raise UsageError(f"Write `mailhold lists {args.verb} black ENTRY…` (or white).")
    if args.verb == "reset" and (args.list or args.words or args.user is not None):
        raise UsageError("`lists reset` takes no arguments: it resets all lists that do not verify.")
    if args.former and args.verb != "reset":
        raise UsageError("--former is only for `lists reset`.")
    if args.yes and args.verb not in ("reset", "import"):
        raise UsageError("--yes is only for `lists reset` and `lists import`.")
    if args.verb == "list" and args.words:
        raise UsageError("`lists list` takes only black or white.")
    if args.verb == "export" and args.json:
        raise UsageError("`lists export` writes TOML or one entry per line. For JSON use `lists --json`.")
    if args.verb in ("import", "export") and len(args.words) > 1:
        raise UsageError(f"`lists {args.verb}` takes one file.")
    if args.user is not None and args.verb in ("import", "export") and not args.list:
        raise UsageError("--user needs one list: add black or white.")
    if args.replace and not (args.verb == "import" and args.list):
        raise UsageError(
            "--replace is only for `lists import black` and `lists import white`. An import of all lists always "
            "replaces them."
        )


def _text(args: argparse.Namespace) -> tuple[str, ...] | AddressLists:
    from store.judging.rules.lists_text import parse_list, parse_lists

    text, source = read_text(args.words[0] if args.words else "-")
    return parse_list(text, source) if args.list else parse_lists(text, source)


def _changed(
    present: AddressLists, args: argparse.Namespace, user: str, wanted: tuple[str, ...] | AddressLists | None
) -> AddressLists:
    from store.judging.rules.address_lists import AddressLists, added, removed, with_entries

    if wanted is not None:
        change = with_entries if args.replace else added
        after = wanted if isinstance(wanted, AddressLists) else change(present, args.list, wanted, user)
        if after == AddressLists() != present and not args.yes:
            raise UsageError(
                "The file has no entry, so this would remove all entries of all lists. Nothing was changed. Add --yes "
                "to remove them."
            )
        return after
    if args.verb == "add":
        return added(present, args.list, args.words, user)
    missing = [word for word in args.words if removed(present, args.list, [word], user) == present]
    if missing:
        raise UsageError(f"{missing[0]!r} is not in the {args.list} list. Nothing was removed.")
    return removed(present, args.list, args.words, user)


def _print(lists: AddressLists, color: str | None, user: str) -> None:
    from store.judging.rules.address_lists import each_list

    for owner, which, entries in each_list(lists):
        if (color and which != color) or (user and canonical(owner) != canonical(user)):
            continue
        print(f"{which.capitalize()} list of {safe(owner) if owner else 'the organisation'}: {len(entries):,}")
        for entry in entries:
            print(f"  {safe(entry)}")


def _print_change(before: AddressLists, after: AddressLists) -> None:
    from store.judging.rules.address_lists import changes_of

    changes = changes_of(before, after)
    if not changes:
        print("No change: the lists already match.")
    for change in changes:
        print(safe(f"{change[:1].upper()}{change[1:]}"))
