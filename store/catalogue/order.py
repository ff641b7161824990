"""Sort orders of the rows of a frame.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping

import polars as pl

from store.catalogue.masks import all_are, how_many, places
from store.catalogue.sort import NEWEST, Sort, SortKey
from store.catalogue.text import RankedTexts, Texts

SORT_TEXTS = {SortKey.FROM: "from", SortKey.TO: "to", SortKey.SUBJECT: "subject"}
_SORT_NUMBERS = {SortKey.ENGINE: "verdict", SortKey.SIZE: "size", SortKey.RULE: "rule_id"}
_CACHED_ORDERS = 3
_FEW_ROWS = 16
_FEW_TEXTS = 50_000
#: Rows of a mask that are looked through at once.
_BLOCK = 1 << 16


class LastFirst:
    """The row numbers (UInt32) that a mask selects, the last first. Found when asked for: mostly a first page is."""

    def __init__(self, mask: pl.Series) -> None:
        self._mask = mask
        self._count = how_many(mask)

    def __len__(self) -> int:
        return self._count

    def slice(self, start: int, length: int) -> pl.Series:
        """Return the row numbers from a place on."""
        found, stop, left = [pl.Series([], dtype=pl.UInt32)], len(self._mask), min(length, self._count - start)
        while left > 0:
            first = max(0, stop - _BLOCK)
            block = self._mask.slice(first, stop - first)
            count, stop = how_many(block), first
            if start < count:
                rows = pl.arange(first, first + len(block), dtype=pl.UInt32, eager=True).filter(block)
                found.append(rows.reverse().slice(start, left))
                left -= len(found[-1])
            start = max(0, start - count)
        return pl.concat(found, rechunk=True)

    def place(self, row: int) -> int:
        """Return the place of a selected row."""
        return how_many(self._mask.slice(row + 1))


class Orders:
    """Computes and caches sort orders, as row numbers (UInt32). The rows are in ascending order of ids. Thread-safe.

    Among equal keys the newest come first, for either direction.
    """

    def __init__(self, rows: pl.DataFrame, texts: Mapping[str, Texts], placed: pl.Series | None = None) -> None:
        """Make the orders of `rows`. `placed`: the row numbers ordered by time placed, then id, if known."""
        self._rows = rows
        self._texts = texts
        self._lock = threading.Lock()
        self._known: OrderedDict[Sort, pl.Series] = OrderedDict()
        self._placed = placed
        self._in_time_order: bool | None = None

    @property
    def in_time_order(self) -> bool:
        """Whether the times placed ascend with the ids, so that no sort by time is needed."""
        if self._in_time_order is None:
            self._in_time_order = bool(self._rows.get_column("stored_at").is_sorted())
        return self._in_time_order

    def placed(self) -> pl.Series | None:
        """Return all row numbers by time placed, then id; None if the rows already are in that order."""
        if self.in_time_order:
            return None
        if self._placed is None:
            self._placed = self._rows.select(pl.arg_sort_by("stored_at", maintain_order=True)).to_series()
        return self._placed

    def placed_after(self, later: pl.DataFrame) -> pl.Series | None:
        """Extend `placed` for appended rows with higher ids; None if it is unknown or a new row is not later."""
        if self._placed is None or not self._rows.height or not later.height:
            return None
        newest = self._rows.get_column("stored_at")[int(self._placed[-1])]
        times = later.get_column("stored_at")
        if times[0] < newest or not times.is_sorted():
            return None
        added = pl.arange(self._rows.height, self._rows.height + later.height, dtype=pl.UInt32, eager=True)
        return pl.concat([self._placed, added], rechunk=True)

    def placed_without(self, keep: pl.Series) -> pl.Series | None:
        """Reduce `placed` to the rows of a Boolean mask; None if it is unknown."""
        if self._placed is None:
            return None
        places = keep.cast(pl.UInt32).cum_sum() - 1
        return places[self._placed.filter(keep[self._placed])]

    def order(self, sort: Sort) -> pl.Series | None:
        """Return all row numbers in this order; None if the rows already are in that order."""
        if sort.key is SortKey.PLACED:
            return self._newest_first() if sort.descending else self.placed()
        with self._lock:
            if (known := self._known.get(sort)) is not None:
                self._known.move_to_end(sort)
                return known
        order = self._sorted(self._newest_first(), sort)
        with self._lock:
            self._known[sort] = order
            while len(self._known) > _CACHED_ORDERS:
                self._known.popitem(last=False)
        return order

    def ordered(self, mask: pl.Series, sort: Sort) -> pl.Series:
        """Return the row numbers of a Boolean mask, in this order."""
        if sort.key is SortKey.PLACED:
            placed = self.placed()
            chosen = places(mask) if placed is None else placed.filter(mask[placed])
            return chosen.reverse() if sort.descending else chosen
        with self._lock:
            known = sort in self._known
        if not known and int(mask.sum() or 0) < len(mask) // _FEW_ROWS:
            return self._sorted(self.ordered(mask, Sort(SortKey.PLACED, True)), sort)
        order = self.order(sort)
        assert order is not None
        return order.filter(mask[order])

    def shown(self, mask: pl.Series | None, sort: Sort) -> pl.Series | LastFirst | None:
        """Return the row numbers of a mask (None: all), in this order; None for all rows as they are."""
        if sort == NEWEST and self.in_time_order:
            return LastFirst(all_are(True, self._rows.height) if mask is None else mask)
        return self.order(sort) if mask is None else self.ordered(mask, sort)

    def prepare(self) -> None:
        """Compute what sorts by time and by text need, so that the first such sort is fast."""
        self.placed()
        for name in SORT_TEXTS.values():
            if not self._words(name).ranked:
                self._words(name).ranks()

    def forget(self) -> None:
        """Drop the cached orders."""
        with self._lock:
            self._known.clear()

    def _newest_first(self) -> pl.Series:
        placed = self.placed()
        return (pl.arange(self._rows.height, dtype=pl.UInt32, eager=True) if placed is None else placed).reverse()

    def _sorted(self, positions: pl.Series, sort: Sort) -> pl.Series:
        if name := _SORT_NUMBERS.get(sort.key):
            keys = self._rows.get_column(name)[positions]
        else:
            name = SORT_TEXTS[sort.key]
            codes = self._rows.get_column(name)[positions]
            words = self._words(name)
            if len(positions) < _FEW_TEXTS and not words.ranked:
                keys = words.sorted_by(words.forms(codes))
            else:
                keys = words.ranks()[codes]
        by_key = pl.arg_sort_by("key", descending=sort.descending, maintain_order=True)
        return positions[pl.DataFrame({"key": keys}).select(by_key).to_series()]

    def _words(self, name: str) -> RankedTexts:
        words = self._texts[name]
        assert isinstance(words, RankedTexts)
        return words
