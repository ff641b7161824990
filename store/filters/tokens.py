"""The filter line in pieces: words, parentheses, and `or`; and texts in quotation marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from store.terms.errors import FilterError

#: A word that stands for itself only in quotation marks.
OR = "or"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_FIELD = re.compile(r"([A-Za-z][A-Za-z_-]*|sha256):", re.IGNORECASE)
_OR_BEFORE_GROUP = re.compile(r"or(?=\()", re.IGNORECASE)


class Kind(Enum):
    """What a piece of the line is."""

    WORD = auto()
    OPEN = auto()
    CLOSE = auto()
    OR = auto()


class Token(NamedTuple):
    """A piece of the line, `position` characters from its start.

    Of a word: its field ("" for a bare one) and its text; whether it was in quotation marks, and whether those are
    `closed`; `whole` is False where a parenthesis in it is not closed.
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
    """What is there could become good by typing on."""


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
    """Where the word that begins at `at` ends, and whether all parentheses in it are closed there."""
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
    """`text` as a word of the line has it, in quotation marks where it needs them; `bare`: it follows no field."""
    plain = not any(character.isspace() or character in '"\\()' for character in text)
    if plain and not (bare and (text.startswith("-") or text.lower() == OR or _FIELD.match(text))):
        return text
    for character, name in (("\\", "\\"), ('"', '"'), ("\n", "n"), ("\r", "r"), ("\t", "t")):
        text = text.replace(character, f"\\{name}")
    return f'"{text}"'
