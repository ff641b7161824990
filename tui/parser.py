"""What `mailhold` understands: its commands and their options, and which words of a command line are which."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from tui.commands import COMMANDS

#: Options of `mailhold` itself that take a value, so that the command's name is found behind them.
_VALUE_OPTIONS = ("--store", "--key-file")

#: Options whose value may begin with a dash.
_DASHED_VALUE_OPTIONS = ("--sort", "--query")


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests where help is, and never abbreviates options."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through as argparse declares them

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"(://[^:@/?\s]*):\S*@", r"\1:…@", message)  # it may repeat a relay's or a database's password
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: {message}. `{self.prog} --help` shows what there is.\n")


def command_name(argv: Sequence[str]) -> str | None:
    """The first word of `argv` that is not an option or an option's value; None where there is none."""
    words = iter(argv)
    for word in words:
        if word in _VALUE_OPTIONS:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def shielded(argv: Sequence[str]) -> list[str]:
    """`argv` with the words that only look like options made safe from argparse.

    A filter line's negated terms (`list -from:example`) and descending orders (`--sort -size`) begin with a dash.
    """
    words, terms = list(argv), []
    for position, word in reversed(list(enumerate(words))):
        if word in _DASHED_VALUE_OPTIONS and position + 1 < len(words):
            words[position : position + 2] = [f"{word}={words[position + 1]}"]
    if command_name(words) == "list" and "--" not in words:
        terms = [word for word in words if word[:1] == "-" and word[:2] != "--" and word not in ("-", "-h")]
        words = [word for word in words if word not in terms]
    return [*words, "--", *terms] if terms else words


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of every command, or (fast) with the options of the command `only` alone."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument(
        "--store", metavar="S", help="the store: a file's path or a postgresql:// URL ($MAILHOLD_STORE)"
    )
    common.add_argument("--key-file", metavar="F", help="unlock with this key file ($MAILHOLD_KEY_FILE)")
    common.add_argument("--recovery", action="store_true", help="unlock with the recovery key, which is asked for")
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
        if only in (None, name):
            importlib.import_module(module).arguments(sub)
    return parser
