"""TOML written by people: parsing with the line number of each key for errors, and writing of values."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from store.terms.errors import UsageError

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]#]+)\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"\\]*"|'[^']*'""")
_WHERE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")
#: Errors of tomllib, and what to say instead.
_IN_WORDS = (
    (
        r"Cannot declare \(((?:'[^']*',? ?)+)\) twice",
        "the table [{}] is here a second time: put its keys under one header",
    ),
    (r"Cannot overwrite a value|Duplicate inline table key", "this key is here a second time: remove one of them"),
    (r"Illegal character '\\n'|Illegal character '\\r'|Unterminated string", "a text has no closing quote"),
    (r"Expected '=' after a key|Invalid statement", "this is neither `key = value`, nor a [table], nor a # comment"),
    (r"Invalid value", "the value after = is not valid: put texts in quotes"),
    (r"Expected newline or end of document", "unexpected text after the value: put texts in quotes"),
    (r"Unclosed array", "a list has no closing bracket ]"),
    (r"Expected '\]' at the end of a table declaration|Expected '\]\]'", "a [table] has no closing bracket ]"),
)

Path = tuple[str | int, ...]


class Lines:
    """Maps the keys of a document to lines. A path consists of keys, and of indexes (from 0) of tables in arrays."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        counts: dict[Path, int] = {}
        table: Path = ()
        for number, line in enumerate(text.split("\n"), start=1):
            header = _HEADER.match(line)
            key = None if header else _KEY.match(line)
            if header:
                parts = _parts(header[2])
                table = self._resolved(parts[:-1], counts)
                table = (*table, *parts[-1:])
                if header[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                if table in counts:
                    table = (*table, counts[table])
                self._lines.setdefault(table, number)
            elif key:
                self._lines.setdefault((*table, *_parts(key[1])), number)

    @staticmethod
    def _resolved(parts: list[str], counts: dict[Path, int]) -> Path:
        path: Path = ()
        for part in parts:
            path = (*path, part)
            if path in counts:
                path = (*path, counts[path])
        return path

    def of(self, path: Path) -> int:
        """Return the line of `path`, or of its first entry, or of the nearest table around it; otherwise 1."""
        for length in range(len(path), 0, -1):
            within = [line for other, line in self._lines.items() if other[:length] == path[:length]]
            if within:
                return min(within)
        return 1


def load(text: str, source: str) -> dict[str, Any]:
    """Parse a TOML document, also with a byte order mark. Raises UsageError, which names `source` and the line."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = _WHERE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise UsageError(f"{source}, line {line}: {_in_words(_WHERE.sub('', str(error)))}.") from None


def _in_words(why: str) -> str:
    """Say an error of tomllib, whose wording depends on the Python version, in plain words."""
    for pattern, words in _IN_WORDS:
        if found := re.search(pattern, why):
            return words.format(*(".".join(re.findall(r"'([^']*)'", group)) for group in found.groups()))
    return f"{why[:1].lower()}{why[1:]}"


def string(text: str) -> str:
    """Write `text` as a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def array(entries: tuple[str, ...] | list[str], width: int = 100) -> str:
    """Write strings as a TOML array: on one line if short, otherwise one entry per line."""
    line = f"[{', '.join(string(entry) for entry in entries)}]"
    return line if len(line) <= width else "[\n" + "".join(f"    {string(entry)},\n" for entry in entries) + "]"


def _parts(text: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(text)]
