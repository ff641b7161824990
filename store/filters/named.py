"""Saved filters by name in a filter line: ``@name`` is replaced by the saved line, in parentheses.

    @invoices -@newsletters period:week    @last-week or from:example.org

Characters that a word cannot contain, such as spaces, are written as hyphens. If no filter has the name, a name with a
dot is searched as text (``@example.com``), and so is anything in quotation marks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from store.filters.tokens import Kind, Token, tokens
from store.terms.errors import FilterError

_NO_WORD = re.compile(r'[\s()"\\]+')
#: Maximum number of similar names in an error.
_NEAR = 3


class SavedFilter(msgspec.Struct, frozen=True, array_like=True):
    """A filter line under a name. Neither is safe for a terminal."""

    name: str
    line: str


def key_of(name: str) -> str:
    """Normalise a name: names that differ only in case or in composed letters are the same."""
    return unicodedata.normalize("NFC", name).casefold()


def written(name: str) -> str:
    """Return how a saved filter's name is written in a line."""
    return f"@{_NO_WORD.sub('-', name)}"


def names_in(line: str) -> list[str]:
    """List the names in a line, saved or not, as written there."""
    return [token.text[1:] for token in _named(line)]


def expanded(line: str, saved: Sequence[SavedFilter]) -> str:
    """Replace each name in a line by the saved filter. Raises FilterError for an unknown name."""
    named = list(_named(line))
    if not named:
        return line
    lines = {key_of(written(each.name)): each.line for each in reversed(saved)}
    lines |= {key_of(f"@{each.name}"): each.line for each in saved}
    if (whole := lines.get(key_of(line.strip()))) is not None:
        return whole
    parts: list[str] = []
    at = 0
    for token in named:
        found = lines.get(key_of(token.text))
        if found is None and "." in token.text:
            continue
        if found is None:
            raise FilterError(_unknown(token.text, saved), token.position)
        parts += [line[at : token.position], f"{'-' * token.negated}({found})"]
        at = token.position + token.negated + len(token.text)
    return "".join([*parts, line[at:]])


def _named(line: str) -> Iterator[Token]:
    for token in tokens(line) if "@" in line else ():
        bare = token.kind is Kind.WORD and not token.field and not token.quoted
        if bare and token.text.startswith("@") and len(token.text) > 1:
            yield token


def _unknown(text: str, saved: Sequence[SavedFilter]) -> str:
    import difflib

    names = {key_of(written(each.name)[1:]): written(each.name) for each in saved}
    sought = key_of(text[1:])
    near = [names[key] for key in difflib.get_close_matches(sought, names, _NEAR)]
    near += [name for key, name in names.items() if key.startswith(sought) and name not in near]
    told = f" Similar: {', '.join(near[:_NEAR])}." if near else ""
    return f'There is no saved filter {text}.{told} To search for the text itself, write "{text}" in quotation marks.'
