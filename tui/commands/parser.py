"""The command line of `mailhold`: commands, options, and the sorting of words before argparse sees them."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Collection, Sequence
from typing import NoReturn

from tui.commands import COMMANDS

#: Options of `mailhold` itself that take a value, so that a value is not mistaken for the command's name.
_VALUE_OPTIONS = ("--store", "--key-file")

#: Options whose value may begin with a dash: a negated term of a filter line, a descending sort key.
_DASHED_VALUE_OPTIONS = ("--sort", "--query")


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that ends errors with a hint at --help, and takes no abbreviated options."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through as argparse declares them

    def error(self, message: str) -> NoReturn:
        # The message may repeat the password of a relay or database URL.
        message = re.sub(r"(://[^:@/?\s]*):\S*@", r"\1:…@", message)
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}. `{self.prog} --help` lists what is possible.\n")


def command_name(argv: Sequence[str]) -> str | None:
    """Return the command's name: the first word that is neither an option nor an option's value. None without one."""
    position = _position(argv)
    return argv[position] if position < len(argv) else None


def _position(argv: Sequence[str]) -> int:
    """Return the index of the command's name in `argv`, or its length if there is none."""
    position = 0
    while position < len(argv):
        if argv[position] in _VALUE_OPTIONS:
            position += 1
        elif not argv[position].startswith("-"):
            break
        position += 1
    return min(position, len(argv))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse `argv` into command and options. Options may stand anywhere. Exits with 2 on wrong usage."""
    name = command_name(argv)
    if name not in COMMANDS:
        return build_parser(()).parse_args(argv)
    parser = build_parser((name,))
    return parser.parse_args(ordered(argv, name, parser))


def ordered(argv: Sequence[str], name: str, parser: argparse.ArgumentParser) -> list[str]:
    """Return `argv` of the command `name` with all options first: argparse wants the other words in one piece.

    A word after `--` is never an option, and for `list` neither is a negated term (`list -from:example`).
    """
    [commands] = (action.choices for action in parser._actions if isinstance(action.choices, dict))
    own, of_command = parser._option_string_actions, commands[name]._option_string_actions
    outer: list[str] = []
    options: list[str] = []
    others: list[str] = []
    words = list(argv)
    del words[_position(words)]
    while words:
        word = words.pop(0)
        if word == "--":
            others += words
            break
        option = word.partition("=")[0]
        action = of_command.get(option) or own.get(option)
        if action is None:
            if word[:1] == "-" and word != "-" and (name != "list" or word[:2] == "--"):
                commands[name].error(f"there is no option {word}")
            others.append(word)
            continue
        taken = options if option in of_command else outer
        if action.nargs == 0 or "=" in word or not words:
            taken.append(word)
        elif words[0] in of_command or words[0] in own:
            # The value is missing (an unset variable of a script?): do not take the next option as the value.
            taken.append(word)
        elif option in _DASHED_VALUE_OPTIONS:
            taken.append(f"{word}={words.pop(0)}")
        else:
            taken += [word, words.pop(0)]
    dashes = ["--"] if any(word[:1] == "-" for word in others) else []
    return [*outer, name, *options, *dashes, *others]


def build_parser(declared: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Build the parser of all commands.

    Only the commands in `declared` get their options: declaring them imports the module.
    """
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument(
        "--store", metavar="S", help="the store: the path of a file or a postgresql:// URL ($MAILHOLD_STORE)"
    )
    common.add_argument("--key-file", metavar="F", help="unlock with this key file ($MAILHOLD_KEY_FILE)")
    common.add_argument("--recovery", action="store_true", help="unlock with the recovery key (you are asked for it)")
    parser = _Parser(
        prog="mailhold",
        description="The Backup of a mail gateway: find, read, deliver, save and delete encrypted message copies.",
        parents=[common],
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", parents=[common]
        )
        if name in declared:
            importlib.import_module(module).arguments(sub)
    return parser
