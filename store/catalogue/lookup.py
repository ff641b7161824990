"""Looks masks of texts up by code, for every row.

Works in slices on every processor. Their short-lived columns are so small that one slice reuses the memory of the one
before it: a column of a million entries is new memory each time, and takes as long to map as to look up.
Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_

import polars as pl

from store.catalogue.slices import by_slices

#: One way in which a row may fit: masks of texts, each with the rows' codes, all of which must be True.
Way = Sequence[tuple[pl.Series, pl.Series]]


def fits_any(ways: Sequence[Way], count: int) -> pl.Series:
    """Return a mask of `count` rows: those that fit any of the ways."""
    tables = [way for way in map(_tables, ways) if way is not None]
    if not tables or () in tables:
        return pl.repeat(bool(tables), count, dtype=pl.Boolean, eager=True)

    def part(start: int, stop: int) -> pl.Series:
        found = [
            reduce(and_, [table.gather(codes.slice(start, stop - start)) for table, codes in way]) for way in tables
        ]
        return reduce(or_, found) != 0

    return by_slices(part, 0, count)


def looked_up(mask: pl.Series, codes: pl.Series) -> pl.Series:
    """Return the mask's value for each code."""
    return fits_any([[(mask, codes)]], len(codes))


def _tables(way: Way) -> Way | None:
    """Return the way with bytes for bits, which are looked up faster, and without masks that are all True.

    None: no row fits it.
    """
    if not all(mask.any() for mask, _ in way):
        return None
    return tuple((mask.cast(pl.UInt8), codes) for mask, codes in way if not mask.all())
