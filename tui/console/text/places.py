"""Finds a text in lines, however they are wrapped: case, blanks and the ends of lines make no difference."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from store.filters.folding import fold
from tui.terminal.lines import Line

#: Lines searched at once; a search may be given up between two such parts.
_PART = 1_000


class Place(NamedTuple):
    """The lines that a text was found in, from the first to the last."""

    first: int
    last: int


def sought(text: str) -> str:
    """Return the form in which a text is looked for; "" for blanks alone."""
    return "".join(fold(text).split())


def text_of(line: Line) -> str:
    """Return a line's text without its styles."""
    return "".join(span.text for span in line)


def next_place(
    lines: Sequence[Line], needle: str, start: int, step: int, *, wanted: Callable[[], bool] = lambda: True
) -> Place | None:
    """Find the first place that begins in line `start` or after it; with `step` -1, the last that begins before it.

    `needle` is a result of `sought`. None if there is none, or if the search is no longer `wanted`.
    """
    parts = range(max(0, start), len(lines), _PART) if step > 0 else range(min(start, len(lines)), 0, -_PART)
    for at in parts:
        if not wanted():
            return None
        begin, end = (at, min(at + _PART, len(lines))) if step > 0 else (max(0, at - _PART), at)
        if (place := _place_in(lines, needle, begin, end, step)) is not None:
            return place
    return None


def _place_in(lines: Sequence[Line], needle: str, begin: int, end: int, step: int) -> Place | None:
    """Find the first (or last) place that begins in the lines from `begin` to `end` (exclusive)."""
    texts = [sought(text_of(lines[number])) for number in range(begin, end)]
    length = sum(map(len, texts))
    room = length + len(needle) - 1
    while end < len(lines) and length < room:
        texts.append(sought(text_of(lines[end])))
        length += len(texts[-1])
        end += 1
    text = "".join(texts)
    found = text.find(needle, 0, room) if step > 0 else text.rfind(needle, 0, room)
    if found < 0:
        return None
    ends = list(accumulate(map(len, texts)))
    return Place(begin + bisect_right(ends, found), begin + bisect_right(ends, found + len(needle) - 1))
