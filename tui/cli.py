"""The `mailhold` command: finds the command, imports its module alone, and turns every error into one clear sentence.

Exit codes: 0 done; 1 failed or partly done (each item that failed is named on standard error); 2 wrong usage;
130 interrupted. No traceback reaches a user; `MAILHOLD_DEBUG=1` brings it back for a developer.
"""

from __future__ import annotations

import argparse
import importlib
import os
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


def _run(argv: Sequence[str]) -> int:
    argv = shielded(argv)
    name = command_name(argv)
    args = build_parser(name if name in COMMANDS else None).parse_args(argv)
    if args.version:
        from importlib.metadata import version

        print(f"mailhold {version('mailhold')}")
        return 0
    module = importlib.import_module(COMMANDS[args.command or "console"][0])
    result: int = module.run(args)
    sys.stdout.flush()
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mailhold` with `argv` (the process's own by default) and return the exit code."""
    from store.errors import MailholdError, UsageError

    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except MailholdError as error:
        _say(str(error))
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        _say("interrupted; what was done up to here is kept.")
        return 130
    except BrokenPipeError:
        # The reader of our output went away: as for any Unix filter, that is the end and no error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _say(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}. Nothing else was done.")
        return 1
    except Exception as error:
        if os.environ.get("MAILHOLD_DEBUG"):
            raise
        _say(
            f"an internal error ({type(error).__name__}) stopped this command; the store is as it was after the last "
            "finished step. Run it again with MAILHOLD_DEBUG=1 for the details that a bug report needs."
        )
        return 1


def _say(message: str) -> None:
    from tui.safe import safe

    print(f"mailhold: {safe(message, multiline=True)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
