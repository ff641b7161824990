"""`mailhold rules`: show and change the processing rules."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from store.terms.errors import IntakeError, UsageError
from tui.commands.opened import opened, use_of
from tui.commands.printing import print_json
from tui.commands.resetting import reset, reset_arguments
from tui.terminal.safe import fit, safe

if TYPE_CHECKING:
    from store.judging.rules.rules import Rule
    from store.vault.vault import Vault

#: verb -> number of words after it (least, most)
_VERBS = {
    "list": (0, 0),
    "show": (1, 1),
    "export": (0, 1),
    "import": (1, 1),
    "add": (1, 1),
    "set": (1, 1),
    "remove": (1, None),
    "move": (2, 2),
    "enable": (1, None),
    "disable": (1, None),
    "reset": (0, 0),
}
_USAGE = {
    "show": "show RULE",
    "export": "export [FILE]",
    "import": "import FILE",
    "add": "add NAME",
    "set": "set RULE",
    "remove": "remove RULE…",
    "move": "move RULE POSITION",
    "enable": "enable RULE…",
    "disable": "disable RULE…",
    "list": "list",
    "reset": "reset",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, its words, and the options of a rule."""
    parser.add_argument("verb", nargs="?", choices=list(_VERBS), default="list", help="default: list")
    parser.add_argument(
        "words", metavar="WORD", nargs="*", help="; ".join(_USAGE[verb] for verb in _VERBS if verb != "list")
    )
    parser.add_argument("--json", action="store_true", help="print rules as objects")
    parser.add_argument("--dry-run", action="store_true", help="import: show what would change, and change nothing")
    parser.add_argument("--yes", action="store_true", help="reset: do not ask; import: even if the file has no rule")
    reset_arguments(parser)
    rule = parser.add_argument_group("add and set", "A list replaces the former one; '' empties it.")
    rule.add_argument("--name", metavar="N", help="set: the new name")
    for option, what in (
        ("--sender", "match this sender: ann@example.com, example.com or *.example.com"),
        ("--recipient", "match this recipient (written like senders)"),
        ("--network", "match clients of this network, for example 192.0.2.0/24"),
        ("--ban-name", "ban attachments with this name, for example *.exe"),
        ("--ban-format", "ban attachments of this format (by content), for example executable"),
        ("--scanner", "ask only this scanner ('all': all of them)"),
    ):
        rule.add_argument(option, metavar="P", action="append", help=f"{what}; may be repeated")
    rule.add_argument(
        "--every-recipient", choices=["yes", "no"], help="yes: all recipients must match; no: one is enough"
    )
    rule.add_argument("--max-size", metavar="SIZE", help="the largest message allowed, for example 20MB (0: no limit)")
    rule.add_argument(
        "--action",
        metavar="ENGINE.STATUS=ACTION",
        action="append",
        help="what to do on a status, for example anti-spam.spam=reject; may be repeated",
    )
    rule.add_argument(
        "--if-down",
        metavar="ENGINE=CHOICE",
        action="append",
        help="what to do if the engine is down: go-on or temporary-fail; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Show or change the rules. Raises RuleError, UsageError."""
    least, most = _VERBS[args.verb]
    if len(args.words) < least or (most is not None and len(args.words) > most):
        raise UsageError(f"Write `mailhold rules {_USAGE[args.verb]}`.")
    if args.verb not in ("add", "set") and _given(args):
        raise UsageError(f"{_given(args)[0]} is only for `rules add` and `rules set`.")
    if args.dry_run and args.verb != "import":
        raise UsageError("--dry-run is only for `rules import`.")
    if args.json and args.verb == "export":
        raise UsageError("`rules export` writes TOML. For JSON use `rules --json`.")
    if args.former and args.verb != "reset":
        raise UsageError("--former is only for `rules reset`.")
    if args.yes and args.verb not in ("reset", "import"):
        raise UsageError("--yes is only for `rules reset` and `rules import`.")
    if args.verb == "import":
        return _import(args)
    from store.judging.rules.rules import PART, read_rules

    with opened(args, use_of(args)) as vault:
        if args.verb == "reset":
            reset(vault, PART, args)
        rules = read_rules(vault) if args.verb in ("list", "show", "export", "reset") else _change(vault, args)
    if args.verb == "export":
        return _export(rules, args.words[0] if args.words else "-")
    shown = _shown(rules, args)
    if args.json:
        print_json(rule_json(shown[0]) if args.verb == "show" else [rule_json(rule) for rule in shown])
    elif args.verb == "show":
        from store.judging.rules.toml_form import print_rules

        print(safe(print_rules(shown).partition("\n\n")[2], multiline=True).rstrip("\n"))
    else:
        _print(rules)
    return 0


def rule_json(rule: Rule) -> dict[str, Any]:
    """Convert a rule to the JSON object in docs/commands.md, with every action, defaults included."""
    from store.judging.rules.rules import check_rule

    fields: dict[str, Any] = msgspec.to_builtins(check_rule(rule))
    return fields


def _given(args: argparse.Namespace) -> list[str]:
    names = (
        *("name", "sender", "recipient", "network", "ban_name", "ban_format", "scanner", "every_recipient"),
        *("max_size", "action", "if_down"),
    )
    return [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) is not None]


def _number(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) < 12):
        raise UsageError(f"`{word}` is not a rule's ID. `mailhold rules` lists them.")
    return int(word)


def _change(vault: Vault, args: argparse.Namespace) -> tuple[Rule, ...]:
    from store.judging.rules.edits import find_rule, moved, with_enabled, with_rule, without_rule
    from store.judging.rules.rules import Rule, change_rules

    def change(rules: tuple[Rule, ...]) -> list[Rule]:
        changed = list(rules)
        if args.verb == "add":
            return with_rule(changed, _edited(Rule(name=args.words[0]), args))
        if args.verb == "set":
            return with_rule(changed, _edited(find_rule(changed, _number(args.words[0])), args))
        if args.verb == "move":
            return moved(changed, _number(args.words[0]), _number(args.words[1]))
        for word in args.words:
            number = _number(word)
            if args.verb == "remove":
                changed = without_rule(changed, number)
            else:
                changed = with_enabled(changed, number, args.verb == "enable")
        return changed

    if args.verb == "set" and not _given(args):
        raise UsageError(
            "`rules set` needs an option that says what to change, for example --action anti-spam.spam=reject."
        )
    return change_rules(vault, change, vault.opened_by)


def _edited(rule: Rule, args: argparse.Namespace) -> Rule:
    """Return the rule changed by the given options."""
    from tui.commands.rule_options import edited

    return edited(rule, vars(args))


def _shown(rules: tuple[Rule, ...], args: argparse.Namespace) -> list[Rule]:
    """Return the rules to print: all, or the one that was named."""
    from store.judging.rules.edits import find_rule

    return [find_rule(rules, _number(args.words[0]))] if args.verb == "show" else list(rules)


def _export(rules: tuple[Rule, ...], target: str) -> int:
    from store.judging.rules.toml_form import print_rules

    write_text(print_rules(rules), target)
    return 0


def _import(args: argparse.Namespace) -> int:
    from store.judging.rules.rules import changes_of, preview_rules, read_rules, write_rules
    from store.judging.rules.toml_form import parse_rules

    text, source = read_text(args.words[0])
    wanted = parse_rules(text, source)
    with opened(args) as vault:
        before = read_rules(vault)
        if not wanted and len(before) > 1 and not (args.yes or args.dry_run):
            raise UsageError(
                f"{source} has no rule, so this would remove all rules but Default. Nothing was changed. Add --yes to "
                "remove them."
            )
        after = preview_rules(vault, wanted) if args.dry_run else write_rules(vault, wanted, vault.opened_by)
    if args.json:
        print_json([rule_json(rule) for rule in after])
        return 0
    changes = changes_of(before, after)
    print("This would change:" if changes and args.dry_run else "Changed:" if changes else "No change.")
    for change in changes:
        print(f"  {safe(change)}")
    return 0


def read_text(name: str) -> tuple[str, str]:
    """Read a text file, or standard input for `-`; return the text and its name for errors.

    Raises IntakeError if it cannot be read, UsageError if it is not text.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig"), "standard input" if name == "-" else name
    except OSError as error:
        raise IntakeError(f"{name} cannot be read: {error.strerror}. Nothing was changed. Name another file.") from None
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UsageError(f"{name}, line {line}: this is not UTF-8 text.") from None


def write_text(text: str, target: str) -> None:
    """Write `text` to a new file that only its owner can read, or for `-` to standard output. Raises UsageError."""
    if target != "-":
        from store.helpers.secret_files import write_new

        try:
            write_new(Path(target), text.encode())
        except FileExistsError as error:
            raise UsageError(f"{target} already exists. Nothing was written. Give a new file.") from error
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror or error}. Give another file.") from error
        return

    print(safe(text, multiline=True) if sys.stdout.isatty() else text, end="")


def _print(rules: tuple[Rule, ...]) -> None:
    from tui.terminal.rule_words import conditions, effects
    from tui.terminal.widths import cell_len

    whom = [safe(conditions(rule)) for rule in rules]
    width = min(max(len("For"), *(cell_len(text) for text in whom)), 60)
    print(f"{'':2}{'Rule':>5}  {'Name':<20}  {fit('For', width)}  Does")
    for rule, text in zip(rules, whom, strict=True):
        mark = "  " if rule.enabled else "- "
        print(f"{mark}{rule.id:>5}  {fit(rule.name, 20)}  {fit(text, width)}  {safe(effects(rule))}".rstrip())
    if any(not rule.enabled for rule in rules):
        print("- disabled")
