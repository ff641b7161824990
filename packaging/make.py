"""Write the manual pages and the shells' completions, from the command line's parser and mailhold.toml's example.

`make pages` writes them all; tests/test_packaging.py fails if they are outdated. They are committed, so that a package
and a wheel can be built without this.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import shtab

from store.gateway import config
from tui.commands.parser import build_parser

HERE = Path(__file__).resolve().parent
_VERSION = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["version"]
#: Options and arguments that take a file or a folder, by their name in the help.
_FILES = ("F", "FILE", "PATH", "TO")
_FOLDERS = ("DIR",)
_COMMON = ("help", "store", "key_file", "recovery")
_TABLES: dict[str, type[msgspec.Struct]] = {
    "store": config.StoreSection,
    "milter": config.MilterSection,
    "engines": config.EnginesSection,
    "engines.clamd": config.ClamdSection,
    "engines.rspamd": config.RspamdSection,
    "engines.spamd": config.SpamdSection,
    "authentication": config.AuthenticationSection,
    "sink": config.SinkSection,
    "delivery": config.DeliverySection,
    "metrics": config.MetricsSection,
    "log": config.LogSection,
}
_TABLE = re.compile(r"(?:# )?(\[+)([a-z.]+)\]+")
_KEY = re.compile(r"(?:# )?([a-z_]+) = (.+)")

_EXIT = """\
.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
Failed, or done in part; each item that failed is named on standard error.
.TP
.B 2
Wrong usage, or not confirmed; nothing was done.
.TP
.B 130
Interrupted; what was done so far is kept.
.TP
.B 129, 143
Ended by SIGHUP or SIGTERM, at a safe point.
.SH ENVIRONMENT
.TP
.B MAILHOLD_STORE
The store, where \\fB\\-\\-store\\fR is not given.
.TP
.B MAILHOLD_KEY_FILE
The key file, where \\fB\\-\\-key\\-file\\fR is not given.
.TP
.B MAILHOLD_DEBUG
Set to 1, an internal error prints Python's traceback, which a bug report needs.
.SH FILES
.TP
.I /etc/mailhold/mailhold.toml
The configuration of the gateway on this machine.
.TP
.I /var/lib/mailhold
The usual folder of the store.
.SH SEE ALSO
.BR mailhold.toml (5)
"""


def roff(text: str) -> str:
    """Return a text as troff input; text between backquotes becomes bold."""
    text = (
        text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha").replace("~", "\\(ti")
    )
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text).replace("`", "\\(ga")
    return re.sub(r"(?m)^(?=\.)", r"\\&", text)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", ")")) else ".")


def _value_of(action: argparse.Action) -> str:
    """Return the value of an option or argument, as spelled in the help."""
    if action.metavar is not None or not action.choices:
        return str(action.metavar or action.dest.upper())
    return "{" + ",".join(map(str, action.choices)) + "}"


def _synopsis(action: argparse.Action) -> str:
    """Return the synopsis of an argument: in brackets if optional, with dots if repeatable."""
    value = roff(_value_of(action))
    if action.option_strings:
        word = f"\\fB{roff(action.option_strings[-1])}\\fR"
        word = word if action.nargs == 0 else f"{word} \\fI{value}\\fR"
        return word if action.required else f"[{word}]"
    shown = f"\\fI{value}\\fR"
    return {None: shown, "?": f"[{shown}]", "*": f"[{shown} ...]"}.get(action.nargs, f"{shown} ...")  # type: ignore[call-overload]


def _entry(action: argparse.Action) -> str:
    """Return an option or argument with its help text."""
    names = ", ".join(f"\\fB{roff(name)}\\fR" for name in action.option_strings)
    value = "" if action.nargs == 0 else f"\\fI{roff(_value_of(action))}\\fR"
    return f".TP\n{' '.join(filter(None, (names, value)))}\n{roff(_sentence(action.help or ''))}\n"


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    own = [action for action in parser._actions if action.dest not in _COMMON and action.help != argparse.SUPPRESS]
    words = [_synopsis(action) for action in (*own,) if action.option_strings]
    words += [_synopsis(action) for action in own if not action.option_strings]
    yield f'.SS "mailhold {roff(name)}"\n\\fBmailhold {roff(name)}\\fR {" ".join(words)}\n.PP\n'
    yield roff(parser.description or "") + "\n"
    yield from map(_entry, own)


def commands_page() -> str:
    """Return mailhold(1): every command, its options and arguments."""
    parser = build_parser()
    [commands] = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    options = [action for action in parser._actions if action is not commands]
    parts = [
        f'.TH MAILHOLD 1 "" "Mailhold {_VERSION}" "User Commands"\n'
        ".SH NAME\nmailhold \\- the Backup (quarantine) of a mail gateway, on a terminal\n"
        f".SH SYNOPSIS\n\\fBmailhold\\fR {' '.join(map(_synopsis, options))} [\\fICOMMAND\\fR ...]\n"
        f".SH DESCRIPTION\n{roff(parser.description or '')}\n"
        "Without a command, the console is opened. Options may be given anywhere after the command.\n.SH OPTIONS\n"
        "Every command takes these, except \\fB\\-\\-version\\fR.\n"
    ]
    parts += map(_entry, options)
    parts.append(".SH COMMANDS\n")
    for name, command in commands.choices.items():
        parts += _command(name, command)
    return "".join([*parts, _EXIT])


def _default(table: str, key: str) -> str:
    """Return the default of a key, as a sentence."""
    [field] = (field for field in msgspec.structs.fields(_TABLES[table]) if field.name == key)
    if field.required:
        return "Required."
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"Default: {'none' if value is None or value == '' else f'`{json.dumps(value)}`'}."


def configuration_page() -> str:
    """Return mailhold.toml(5), from the comments of the example and the defaults in the code."""
    parts = [
        f'.TH MAILHOLD.TOML 5 "" "Mailhold {_VERSION}" "File Formats"\n'
        ".SH NAME\nmailhold.toml \\- configuration of a Mailhold gateway\n"
        ".SH SYNOPSIS\n.I /etc/mailhold/mailhold.toml\n.SH DESCRIPTION\n"
        "A file in TOML. `mailhold gateway \\-\\-example\\-config` prints one with all of this as comments, and\n"
        "`mailhold gateway \\-\\-check\\-config` checks whether the gateway can work with the file.\n"
        "An unknown key, or a value of the wrong type, is an error that names the line.\n".replace("`", "")
    ]
    said: list[str] = []
    table = ""
    for line in config.example().splitlines():
        if found := _TABLE.fullmatch(line):
            if not table:
                parts.append(".SH TABLES\n")
            table = found[2]
            parts.append(f'.SS "{found[1]}{roff(table)}{"]" * len(found[1])}"\n')
            parts += [f"{roff(' '.join(said))}\n"] if said else []
            said = []
        elif found := _KEY.fullmatch(line):
            text = " ".join([*said, _default(table, found[1])])
            parts.append(f".TP\n\\fB{roff(found[1])}\\fR = {roff(found[2])}\n{roff(text)}\n")
            said = []
        elif line.startswith("#"):
            said.append(line.removeprefix("#").strip())
        elif not table:
            said = []  # the example's introduction explains number signs, which the page does not have
    parts.append(
        ".SH SIGNALS\nOn SIGHUP the gateway reads the file again. Changes of the sockets and of the store need a "
        "restart.\n.SH SEE ALSO\n.BR mailhold (1)\n"
    )
    return "".join(parts)


def _marked(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Mark the options and arguments that take files and folders, for all commands below the parser too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _marked(command)
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in _FILES or action.dest == "store":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser


def _completion(shell: str) -> str:
    return "\n".join(line.rstrip() for line in shtab.complete(_marked(build_parser()), shell).splitlines()) + "\n"


def made() -> dict[Path, str]:
    """Return every generated file and its text."""
    return {
        HERE / "man" / "mailhold.1": commands_page(),
        HERE / "man" / "mailhold.toml.5": configuration_page(),
        HERE / "completion" / "mailhold": _completion("bash"),
        HERE / "completion" / "_mailhold": _completion("zsh"),
        HERE / "completion" / "mailhold.fish": _completion("fish"),
    }


def main() -> int:
    """Write outdated files; with --check, name them and return 1."""
    only_look = sys.argv[1:] == ["--check"]
    old = [path for path, text in made().items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in old:
        print(f"{path.relative_to(HERE.parent)} is {'not current: `make pages` writes it' if only_look else 'written'}")
        if not only_look:
            path.parent.mkdir(exist_ok=True)
            path.write_text(made()[path], "utf-8")
    return 1 if only_look and old else 0


if __name__ == "__main__":
    sys.exit(main())
