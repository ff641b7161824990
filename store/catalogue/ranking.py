"""Ranks of texts in code point order.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import polars as pl

_SECTION = 1 << 16
_GAP = 1 << 24
_NONE = pl.Series([], dtype=pl.Boolean)


def sorted_places(texts: pl.Series) -> pl.Series:
    """Return the positions (UInt32) in order of the texts, sorted in one thread.

    That takes as long as with several, and no query waits behind it for Polars' threads.
    """
    return pl.DataFrame({"text": texts}).select(pl.arg_sort_by("text", multithreaded=False)).to_series()


def ranked(keys: pl.Series) -> pl.Series:
    """Return the rank of each sort key in code point order: 1, 2, 3, … (UInt32), the same for equal keys."""
    order = sorted_places(keys)
    starts = range(0, len(order), _SECTION)
    first = pl.concat([_NONE, *(_first_of_equals(keys, order, start) for start in starts)], rechunk=True)
    return pl.repeat(0, len(keys), dtype=pl.UInt32, eager=True).scatter(order, first.cast(pl.UInt32).cum_sum())


def _first_of_equals(keys: pl.Series, order: pl.Series, start: int) -> pl.Series:
    """Return a mask for a section of the ordered positions: whether the key differs from the one before it.

    Works by section (from `start`): the ordered keys of all would take as much memory as the keys.
    """
    before = min(start, 1)
    ordered = keys[order.slice(start - before, _SECTION + before)]
    return (ordered != ordered.shift(1)).fill_null(True).slice(before)


def one_of_each(ranks: pl.Series) -> pl.Series:
    """Return the position of one entry of each rank, in order of rank."""
    count = int(ranks.max() or 0)  # type: ignore[arg-type]  # a number, of a column of numbers
    each = pl.arange(len(ranks), dtype=pl.UInt32, eager=True)
    return pl.repeat(0, count, dtype=pl.UInt32, eager=True).scatter(ranks - 1, each)


def between(place: pl.Series, equal: pl.Series, keys: pl.Series) -> pl.Series:
    """Return the ranks, of those that are `widened`, of keys that sort directly before the one of rank `place` + 1, or
    are `equal` to it.
    """
    below = place.cast(pl.UInt64) * _GAP
    return (below + _GAP).zip_with(equal, below + keys.rank("dense").cast(pl.UInt64))


def widened(ranks: pl.Series) -> pl.Series:
    """Return the ranks (UInt64) with room for others between them."""
    return ranks.cast(pl.UInt64) * _GAP
