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

from store.catalogue.masks import all_are
from store.catalogue.slices import by_slices

#: One way in which a row may fit: masks of texts, each with the rows' codes, all of which must be True.
Way = Sequence[tuple[pl.Series, pl.Series]]
#: The same of rows whose codes are known: a mask for each column of codes; None: any text.
Masks = Sequence[pl.Series | None]

#: Results that `LookUps` keeps, of 1 bit a row: of a letter, and of those that were foreseen after it.
_KEPT = 6


def fits_any(ways: Sequence[Way], count: int) -> pl.Series:
    """Return a mask of `count` rows: those that fit any of the ways."""
    tables = [way for way in map(_tables, ways) if way is not None]
    if not tables or () in tables:
        return all_are(bool(tables), count)

    def part(start: int, stop: int) -> pl.Series:
        found = [reduce(and_, [table[codes.slice(start, stop - start)] for table, codes in way]) for way in tables]
        return reduce(or_, found) != 0

    return by_slices(part, 0, count)


class LookUps:
    """Looks up in the columns of codes of the same rows. Thread-safe.

    The latest results are kept: typing on in a word mostly finds the same texts, for which `Texts.find` returns the
    same masks.
    """

    def __init__(self, columns: Sequence[pl.Series]) -> None:
        self._columns = tuple(columns)
        self._latest: list[tuple[list[Masks], pl.Series]] = []

    def fits_any(self, ways: Sequence[Masks]) -> pl.Series:
        """Return a mask by row: those that fit any of the ways."""
        possible = [way for way in ways if all(mask is None or mask.any() for mask in way)]
        latest = self._latest
        known = next((one for one in latest if _are_same(possible, one[0])), None)
        if known is not None:
            self._latest = [known, *(one for one in latest if one is not known)]
            return known[1]
        pairs = [[pair for pair in zip(way, self._columns, strict=True) if pair[0] is not None] for way in possible]
        found = fits_any(pairs, len(self._columns[0]))  # type: ignore[arg-type]  # pairs without None
        self._latest = [(possible, found), *latest[: _KEPT - 1]]
        return found


def _are_same(ways: Sequence[Masks], others: Sequence[Masks]) -> bool:
    return len(ways) == len(others) and all(
        mask is other for way, same in zip(ways, others, strict=True) for mask, other in zip(way, same, strict=True)
    )


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
