"""Reads one `ColumnTable` and keeps it in step with the catalogue's frame.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from store.catalogue.column_fields import Source
from store.catalogue.column_source import of_records, read_ids
from store.catalogue.column_table import ColumnTable
from store.catalogue.frame import Frame, occur_in
from store.catalogue.loader import Children, Loaded, LoaderError, Span, load_columns, spans_of
from store.catalogue.memory import give_back_memory
from store.terms.records import Copy
from store.vault.vault import Vault

#: Up to this many copies are read in a thread of this process, without child processes.
FEW_COPIES = 5_000
#: Copies per read in that thread.
_CHUNK = 1_000
#: How many rows of deleted copies a table may keep: at least this number, and this share of the frame.
_SPARE_ROWS, _SPARE_SHARE = 1_000, 0.02
#: Seconds between full searches for new traits. The newest copies without traits are checked after every change.
_SWEEP_SECONDS = 60.0


class Seen(NamedTuple):
    """Where a frame's copies are in a table.

    `places`: by row of the frame, the row of the table; `there`: whether the table has that copy. Both are None if the
    table has the same ids as the frame. `complete`: everything available was read.
    """

    table: ColumnTable
    places: pl.Series | None
    there: pl.Series | None
    complete: bool = False

    @property
    def lacking(self) -> int:
        """The number of the frame's copies that the table has no row for."""
        return 0 if self.there is None else len(self.there) - int(self.there.sum() or 0)

    def spread(self, mask: pl.Series) -> pl.Series:
        """Convert a mask by row of the table to one by row of the frame; False where the table has no row."""
        if self.places is None or self.there is None:
            return mask
        if not len(mask):
            return self.there
        return mask[self.places] & self.there


def lie_in(frame: Frame, table: ColumnTable) -> Seen:
    """Find where a frame's copies are in a table."""
    ids, mine = frame.ids, table.ids
    if len(ids) == len(mine) and (ids == mine).all():
        return Seen(table, None, None)
    if not len(mine):
        return Seen(table, _zeros(len(ids)), pl.repeat(False, len(ids), dtype=pl.Boolean, eager=True))
    places = mine.search_sorted(ids).clip(upper_bound=len(mine) - 1).cast(pl.UInt32)
    return Seen(table, places, mine[places] == ids)


class ColumnReader:
    """Reads the filter fields of one source (the records, or the traits) into a table in memory.

    `take`, `seen` and `stop` are thread-safe; call `catch_up` from one thread only.
    """

    def __init__(self, vault: Vault, source: Source) -> None:
        self._vault = vault
        self._source = source
        self._lock = threading.Lock()
        self._children: Children[ColumnTable] | None = None
        self._stopping = False
        self._share = 0.0
        #: Ids of the frame's copies with nothing to read (no traits yet, or damaged), ascending.
        self._without = pl.Series([], dtype=pl.Int64)
        self._token: object = None
        self._swept_at = 0.0
        self._last: tuple[weakref.ref[Frame], Seen] | None = None
        self.table = ColumnTable.empty(source)
        #: True after the first complete reading.
        self.complete = False

    def seen(self, frame: Frame) -> Seen:
        """Return what the table has of a frame's copies.

        A table of traits stays complete when new copies arrive: traits may be made at any later time.
        """
        complete = self.complete
        seen = self._lie(frame)
        if complete and self._source.is_record:
            complete = not len(self._lacking(frame, seen))
        return seen._replace(complete=complete)

    def _lie(self, frame: Frame) -> Seen:
        last, table = self._last, self.table
        if last is None or last[0]() is not frame or last[1].table is not table:
            last = weakref.ref(frame), lie_in(frame, table)
            self._last = last
        return last[1]

    def _lacking(self, frame: Frame, seen: Seen) -> pl.Series:
        """List the ids of a frame's copies that are still to be read."""
        if seen.there is None or not seen.lacking:
            return self._without.clear()
        lacking = frame.ids.filter(~seen.there)
        return lacking.filter(~occur_in(lacking, self._without))

    def progress(self, total: int) -> tuple[int, int]:
        """Return how many of `total` copies were read, and `total`."""
        return (total if self.complete else int(total * self._share)), total

    def take(self, copies: Sequence[Copy]) -> None:
        """Add the rows of copies that are about to enter the frame."""
        self._add([of_records(self._source, [copies])])

    def _add(self, tables: Sequence[ColumnTable]) -> None:
        with self._lock:
            table = self.table
            for one in tables:
                table = table.merge(one)
            self.table = table

    def catch_up(self, frame: Frame, go_on: Callable[[], bool], *, thorough: bool = False) -> bool:
        """Read the frame's missing copies. Returns whether answers may have changed. Raises StoreUnavailable.

        `go_on` is called between chunks; reading stops if it returns False.

        `thorough`: look for new traits of every copy that had none (takes a second per half a million of those).
        """
        before, first = len(self.table), not self.complete
        lacking = self._lacking(frame, self._lie(frame))
        token = self._vault.change_token() if self._source is Source.BODY else None
        if len(lacking) > FEW_COPIES:
            self._read_spans(spans_of(int(lacking[0]) - 1, int(lacking[-1])), go_on)
        elif len(lacking):
            self._read_some(lacking.to_list(), go_on)
        if self._stopping:
            return False
        if token != self._token:
            self._look_again(go_on, thorough or time.monotonic() - self._swept_at > _SWEEP_SECONDS)
            self._token = token
        there = self._lie(frame).there
        self._without = self._without.clear() if there is None else frame.ids.filter(~there)
        found = len(self.table) > before
        self._trim(frame, first=first)
        self.complete = True
        return found or first

    def _read_some(self, ids: Sequence[int], go_on: Callable[[], bool]) -> int:
        """Read these copies (ids ascending). Returns how many rows were added."""
        before = len(self.table)
        for start in range(0, len(ids), _CHUNK):
            self._add([read_ids(self._vault, self._source, ids[start : start + _CHUNK], _ignore)])
            if not go_on():
                break
        return len(self.table) - before

    def _look_again(self, go_on: Callable[[], bool], all_of_them: bool) -> None:
        """Look for traits made since: newest copies first until a chunk has none, or in all copies without traits."""
        ids = self._without
        for end in range(len(ids), 0, -_CHUNK):
            start = max(0, end - _CHUNK)
            found = self._read_some(ids.slice(start, end - start).to_list(), go_on)
            if self._stopping or not (found or all_of_them):
                return
        self._swept_at = time.monotonic()

    def _read_spans(self, spans: list[Span], go_on: Callable[[], bool]) -> None:
        """Read spans of ids in child processes; spans that a child failed to read are read in this process."""
        first, last = spans[-1].after, spans[0].until
        try:
            self._children = Children(self._vault, spans, self._source)
            with self._children as children:
                if self._stopping:
                    children.stop()
                spans = self._take_spans(children.frames(), spans, (first, last), go_on)
        except LoaderError:
            pass
        finally:
            self._children = None
        if spans and not self._stopping:
            self._take_spans(load_columns(self._vault, spans, self._source), spans, (first, last), go_on)

    def _take_spans(
        self, source: Iterator[Loaded[ColumnTable]], spans: list[Span], ends: tuple[int, int], go_on: Callable[[], bool]
    ) -> list[Span]:
        """Add tables as they arrive, in batches that grow with the table. Returns the spans that were not delivered."""
        left, waiting = list(spans), list[ColumnTable]()
        for loaded in source:
            left.remove(loaded.span)
            # Spans arrive newest first; insert at the front to keep ids ascending.
            waiting.insert(0, loaded.frame)
            if 3 * sum(map(len, waiting)) > len(self.table):
                self._add_merged(waiting)
            self._share = (ends[1] - loaded.span.after) / max(1, ends[1] - ends[0])
            if not go_on() or self._stopping:
                break
        self._add_merged(waiting)
        return left

    def _add_merged(self, waiting: list[ColumnTable]) -> None:
        if waiting:
            merged = waiting[0]
            for one in waiting[1:]:
                merged = merged.merge(one)
            waiting.clear()
            with self._lock:
                self.table = merged.merge(self.table)
            give_back_memory()

    def _trim(self, frame: Frame, *, first: bool) -> None:
        """Drop rows of deleted copies and unused words; after the `first` reading also drop duplicate words."""
        table = self.table
        if first or len(table) > len(frame) + max(_SPARE_ROWS, int(_SPARE_SHARE * len(frame))):
            # `take` adds copies before they enter the frame: keep rows with higher ids than the frame's last.
            later = table.ids.filter(table.ids > frame.last_id)
            tight = table.only(pl.concat([frame.ids, later]) if len(later) else frame.ids)
            with self._lock:
                if self.table is table:
                    self.table = tight
            give_back_memory()

    def stop(self) -> None:
        """Make a running `catch_up` end soon."""
        self._stopping = True
        if (children := self._children) is not None:
            children.stop()


def _ignore(_copy_id: int, _error: Exception) -> None:
    """Skip a copy that does not verify; `mailhold check` names it."""


def _zeros(count: int) -> pl.Series:
    return pl.repeat(0, count, dtype=pl.UInt32, eager=True)
