"""Parsing of the ids and id ranges that a command line names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from store.terms.errors import UsageError


def parse_ids(words: Sequence[str]) -> list[tuple[int, int]]:
    """Parse ids and ranges: `["3", "7-9"]` -> `[(3, 3), (7, 9)]`. Raises UsageError for anything else."""
    ranges = []
    for word in words:
        first, dash, last = word.partition("-")
        if not (first.isascii() and first.isdigit()) or (dash and not (last.isascii() and last.isdigit())):
            raise UsageError(f"`{word}` is not a valid ID. Use a number, or a range such as 17-25.")
        low, high = _number(first), _number(last if dash else first)
        if high < low:
            raise UsageError(f"The range `{word}` is backwards. Write {high}-{low}.")
        ranges.append((low, high))
    return ranges


def in_range(ids: Sequence[int], low: int, high: int) -> Sequence[int]:
    """Return those of the ascending `ids` that are in a range, both ends included."""
    return ids[bisect_left(ids, low) : bisect_right(ids, high)]


def _number(digits: str) -> int:
    """Convert `digits`, cut to 25 digits: still larger than any id, and cheap to parse."""
    return int(digits.lstrip("0")[:25] or "0")
