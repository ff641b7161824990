"""Consecutive numbers as runs: joined, printed, and their gaps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key")


def joined(pieces: Iterable[tuple[int, int, Key]]) -> Iterator[tuple[int, int, Key]]:
    """Join consecutive pieces (first number, count, key) that have the same key into one."""
    first = length = 0
    key: Key | None = None
    for start, count, its in pieces:
        if length and start == first + length and its == key:
            length += count
            continue
        if length:
            yield first, length, key  # type: ignore[misc]  # a piece came, and its key
        first, length, key = start, count, its
    if length:
        yield first, length, key  # type: ignore[misc]  # a piece came, and its key


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield ascending numbers as runs (first, count)."""
    return ((first, length) for first, length, _ in joined((number, 1, None) for number in numbers))


def ranges(numbers: Iterable[int], limit: int | None = None) -> str:
    """Format ascending numbers as ``3-5, 9``; at most `limit` runs, then an ellipsis."""
    found = runs(numbers)
    shown = [str(first) if length == 1 else f"{first}-{first + length - 1}" for first, length in islice(found, limit)]
    more = limit is not None and next(found, None) is not None
    return ", ".join(shown) + (" …" if more else "")


def gaps(runs: Iterable[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """List the gaps between the runs (first, count), from 1 to below `end`, as runs."""
    found, at = [], 1
    for first, length in [*sorted(runs), (end, 0)]:
        if at < min(first, end):
            found.append((at, min(first, end) - at))
        at = max(at, first + length)
    return found
