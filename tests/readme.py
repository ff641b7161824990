"""`python -m tests.readme` writes the tables of the documentation from the code they describe."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
#: Every page: the front page and the chapters.
PAGES = (README, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


#: A block of commands, with the comments directly before it.
_COMMANDS = re.compile(r"((?:^<!-- [^\n]* -->\n)?)^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def scripts(page: Path) -> list[str]:
    """Extract the commands of a page, in order, as shell scripts; each starts on a machine without Mailhold.

    `<!-- not run: why -->` directly before a block skips it; `<!-- run apart -->` starts another script.
    """
    found: list[str] = []
    for before, block in _COMMANDS.findall(page.read_text()):
        if before.startswith("<!-- not run: "):
            continue
        if not found or before == "<!-- run apart -->\n":
            found.append("")
        found[-1] += block
    return found


def keys_table() -> str:
    """Make the table of the keys of every scope, by function."""
    from tui.console.keys.keymap import Keymap, Scope, keys_of

    keymap = Keymap()
    rows = ["| where | keys | name | what |", "| --- | --- | --- | --- |"]
    for scope in Scope:
        for key in keys_of(scope):
            drawn = " ".join(f"`{name}`" for name in keymap.drawn(key, all_keys=True).split())
            rows.append(f"| {scope.value} | {drawn} | {key.id} | {key.text} |")
    return "\n".join(rows)


def commands_table() -> str:
    """Make the table of every command with its options."""
    from tui.commands import COMMANDS
    from tui.commands.parser import build_parser

    parser = build_parser()
    choices = next(action.choices for action in parser._actions if isinstance(action.choices, dict))
    rows = ["| command | what |", "| --- | --- |"]
    for name, (_module, summary) in COMMANDS.items():
        choices[name].prog = name
        usage = " ".join(choices[name].format_usage().removeprefix("usage: ").split())
        usage = re.sub(r" \[-h\]| \[--store S\]| \[--key-file F\]| \[--recovery\]", "", usage)
        rows.append(f"| `{usage.replace('|', chr(92) + '|')}` | {summary} |")
    return "\n".join(rows)


def configuration() -> str:
    """Make the table of every key of mailhold.toml, from the commented example."""
    from store.gateway.config import example

    return f"```toml\n{example().strip()}\n```"


def with_tables(text: str) -> str:
    """Return a page's text with its tables regenerated."""
    for name, table in (("keys", keys_table()), ("commands", commands_table()), ("mailhold.toml", configuration())):
        pattern = re.compile(rf"(<!-- {re.escape(name)}: .*? -->\n).*?(<!-- /{re.escape(name)} -->)", re.DOTALL)
        text = pattern.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
    return text


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text()))
