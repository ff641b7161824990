"""Splits the filter line into tokens: words (also in quotation marks), parentheses, and `or`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from store.terms.errors import FilterError

#: As a word to search for, this needs quotation marks.
OR = "or"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]*|sha256):", re.IGNORECASE)
_OR_BEFORE_GROUP = re.compile(r"or(?=\()", re.IGNORECASE)


class Kind(Enum):
    """The kind of a token."""

    WORD = auto()
    OPEN = auto()
    CLOSE = auto()
    OR = auto()


class Token(NamedTuple):
    """A token, `position` characters from the start of the line.

    Of a word: its field ("" if none) and text; `quoted`: in quotation marks, `closed`: with an end; `whole`: False if a
    parenthesis inside it is not closed.
    """

    kind: Kind
    position: int
    negated: bool = False
    field: str = ""
    text: str = ""
    quoted: bool = False
    closed: bool = True
    whole: bool = True


class Incomplete(FilterError):
    """The text so far is not valid, but typing on could make it so."""


def tokens(text: str) -> Iterator[Token]:
    """Split a line into its tokens. Takes any text."""
    at, end = 0, len(text)
    while at < end:
        if text[at].isspace():
            at += 1
            continue
        start = at
        negated = text[at] == "-"
        at += negated
        if text.startswith("(", at):
            yield Token(Kind.OPEN, start, negated)
            at += 1
            continue
        if not negated and text[at] == ")":
            yield Token(Kind.CLOSE, start)
            at += 1
            continue
        if not negated and (match := _OR_BEFORE_GROUP.match(text, at)):
            yield Token(Kind.OR, start)
            at = match.end()
            continue
        field = ""
        if match := _FIELD.match(text, at):
            field = match[1]
            at = match.end()
        if text.startswith('"', at):
            value, at, closed = _quoted(text, at + 1)
            yield Token(Kind.WORD, start, negated, field, value, True, closed)
            continue
        stop, whole = _end_of_word(text, at)
        word = text[at:stop]
        if not negated and not field and word.lower() == OR:
            yield Token(Kind.OR, start)
        else:
            yield Token(Kind.WORD, start, negated, field, word, whole=whole)
        at = stop


def _end_of_word(text: str, at: int) -> tuple[int, bool]:
    """Return where the word that begins at `at` ends, and whether all parentheses in it are closed."""
    depth = 0
    while at < len(text) and not text[at].isspace():
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            if not depth:
                break
            depth -= 1
        at += 1
    return at, not depth


def _quoted(text: str, at: int) -> tuple[str, int, bool]:
    value: list[str] = []
    while at < len(text):
        character = text[at]
        at += 1
        if character == '"':
            return "".join(value), at, True
        if character == "\\" and at < len(text):
            character = _ESCAPES.get(text[at], text[at])
            at += 1
        value.append(character)
    return "".join(value), at, False


def quote(text: str, *, bare: bool = False) -> str:
    """Write `text` as a word of the line, with quotation marks if needed; `bare`: no field precedes it."""
    plain = not any(character.isspace() or character in '"\\()' for character in text)
    if plain and not (bare and (text.startswith("-") or text.lower() == OR or _FIELD.match(text))):
        return text
    for character, name in (("\\", "\\"), ('"', '"'), ("\n", "n"), ("\r", "r"), ("\t", "t")):
        text = text.replace(character, f"\\{name}")
    return f'"{text}"'
