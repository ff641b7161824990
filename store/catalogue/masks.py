"""Masks: Boolean columns of texts or rows, and the positions that they select.

Beside this: `series[codes]` looks up like `series.gather(codes)`, which is a query of Polars and takes 25 µs more for
few codes, and twice as long for many.
Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

#: Entries whose positions are numbered at once: the next ones reuse their memory, which is quicker than new memory.
_PLACES = 1 << 17


def places(mask: pl.Series) -> pl.Series:
    """Return the positions (UInt32) of the True values. Polars' `arg_true` takes five times as long."""
    starts = range(0, max(1, len(mask)), _PLACES)
    return pl.concat([_places(mask.slice(start, _PLACES), start) for start in starts], rechunk=True)


def _places(mask: pl.Series, start: int) -> pl.Series:
    return pl.arange(start, start + len(mask), dtype=pl.UInt32, eager=True).filter(mask)


def all_are(value: bool, count: int) -> pl.Series:
    """Return a mask of one value. Polars' `repeat` takes 100 µs."""
    return pl.Series([value], dtype=pl.Boolean).new_from_index(0, count)


def only(codes: pl.Series, count: int) -> pl.Series:
    """Return a mask of `count` entries: True for these codes."""
    return all_are(False, count).scatter(codes, True)


def how_many(mask: pl.Series) -> int:
    """Return how many values are True."""
    return int(mask.sum() or 0)


def first(mask: pl.Series, count: int) -> pl.Series:
    """Return the mask of the first entries: the same object if these are all."""
    return mask if len(mask) == count else mask.head(count)


def contains_any(texts: pl.Series, needles: Sequence[str]) -> pl.Series:
    """Return a mask: texts that contain any of the needles. One pass over the texts, whatever the number of needles."""
    if len(needles) == 1:
        return texts.str.contains(needles[0], literal=True)
    if not needles:
        return all_are(False, len(texts))
    return texts.str.contains("|".join(map(re.escape, needles)))
