"""One table of columns as it is read and kept in step with the catalogue's frame.

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
from store.catalogue.column_source import read_ids
from store.catalogue.column_table import ColumnTable
from store.catalogue.frame import Frame, occur_in
from store.catalogue.loader import Children, Loaded, LoaderError, Span, load_columns, spans_of
from store.catalogue.memory import give_back_memory
from store.terms.records import Copy
from store.vault.vault import Vault

#: Up to so many copies are read without child processes, in a thread beside the one that paints.
FEW_COPIES = 5_000
#: Copies that are read at once there.
_CHUNK = 1_000
#: Rows of copies that are gone which a table may keep, at least and as a share.
_SPARE_ROWS, _SPARE_SHARE = 1_000, 0.02
#: Seconds between looks at all copies without traits; the newest of them are looked at whenever something changed.
_SWEEP_SECONDS = 60.0


class Seen(NamedTuple):
    """How the rows of a table lie in a frame: `places` by row of the frame, and whether it is `there`; None: as they
    are in the table, and all of them. `complete`: all was read that there was.
    """

    table: ColumnTable
    places: pl.Series | None
    there: pl.Series | None
    complete: bool = False

    @property
    def lacking(self) -> int:
        """Of how many copies of the frame nothing is known."""
        return 0 if self.there is None else len(self.there) - int(self.there.sum() or 0)

    def spread(self, mask: pl.Series) -> pl.Series:
        """Convert a mask by row of the table to one by row of the frame, False where the table has no row."""
        if self.places is None or self.there is None:
            return mask
        if not len(mask):
            return self.there
        return mask.gather(self.places) & self.there


def lie_in(frame: Frame, table: ColumnTable) -> Seen:
    """How the rows of a table lie in a frame."""
    ids, mine = frame.ids, table.ids
    if len(ids) == len(mine) and (ids == mine).all():
        return Seen(table, None, None)
    if not len(mine):
        return Seen(table, _zeros(len(ids)), pl.repeat(False, len(ids), dtype=pl.Boolean, eager=True))
    places = mine.search_sorted(ids).clip(upper_bound=len(mine) - 1).cast(pl.UInt32)
    return Seen(table, places, mine.gather(places) == ids)


class ColumnReader:
    """The table of one source. `take`, `seen` and `stop` are for any thread, `catch_up` for one."""

    def __init__(self, vault: Vault, source: Source) -> None:
        self._vault = vault
        self._source = source
        self._lock = threading.Lock()
        self._children: Children[ColumnTable] | None = None
        self._stopping = False
        self._share = 0.0
        #: Copies of the frame, ascending, of which there is nothing to read: no traits yet, or damaged since.
        self._without = pl.Series([], dtype=pl.Int64)
        self._token: object = None
        self._swept_at = 0.0
        self._last: tuple[weakref.ref[Frame], Seen] | None = None
        self.table = ColumnTable.empty(source)
        #: True once everything was read that was there.
        self.complete = False

    def seen(self, frame: Frame) -> Seen:
        """Return what there is of a frame's copies.

        Traits are made at any time: whether those of a new copy were looked for yet makes no difference.
        """
        complete = self.complete
        seen = self._lie(frame)
        if complete and self._source is Source.RECORD:
            complete = not len(self._lacking(frame, seen))
        return seen._replace(complete=complete)

    def _lie(self, frame: Frame) -> Seen:
        last, table = self._last, self.table
        if last is None or last[0]() is not frame or last[1].table is not table:
            last = weakref.ref(frame), lie_in(frame, table)
            self._last = last
        return last[1]

    def _lacking(self, frame: Frame, seen: Seen) -> pl.Series:
        """List the copies of a frame that are still to be read."""
        if seen.there is None or not seen.lacking:
            return self._without.clear()
        lacking = frame.ids.filter(~seen.there)
        return lacking.filter(~occur_in(lacking, self._without))

    def progress(self, total: int) -> tuple[int, int]:
        """How many of the `total` copies were read."""
        return (total if self.complete else int(total * self._share)), total

    def take(self, copies: Sequence[Copy]) -> None:
        """Add what the records of copies say that come into the frame now."""
        self._add([ColumnTable.of_copies([copies])])

    def _add(self, tables: Sequence[ColumnTable]) -> None:
        with self._lock:
            table = self.table
            for one in tables:
                table = table.merge(one)
            self.table = table

    def catch_up(self, frame: Frame, go_on: Callable[[], bool], *, thorough: bool = False) -> bool:
        """Read what lacks of a frame's copies. True where answers may be other ones now. Raises StoreUnavailable.

        `go_on` is asked now and then.

        `thorough`: miss no traits that were made since the last look, which takes a second for half a million copies
        that have none.
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
        """Read these copies, ascending. Returns of how many there was something to read."""
        before = len(self.table)
        for start in range(0, len(ids), _CHUNK):
            self._add([read_ids(self._vault, self._source, ids[start : start + _CHUNK], _ignore)])
            if not go_on():
                break
        return len(self.table) - before

    def _look_again(self, go_on: Callable[[], bool], all_of_them: bool) -> None:
        """Look for traits that were made since: newest first, as they are made, or in all copies that had none."""
        ids = self._without
        for end in range(len(ids), 0, -_CHUNK):
            start = max(0, end - _CHUNK)
            found = self._read_some(ids.slice(start, end - start).to_list(), go_on)
            if self._stopping or not (found or all_of_them):
                return
        self._swept_at = time.monotonic()

    def _read_spans(self, spans: list[Span], go_on: Callable[[], bool]) -> None:
        """Read spans of ids: in child processes, or here where a child fails."""
        first, last = spans[-1].after, spans[0].until
        try:
            children: Children[ColumnTable] = Children(self._vault, spans, self._source)
            self._children = children
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
        """Take up tables, more at once as they grow in number. Returns the spans that did not come."""
        left, waiting = list(spans), list[ColumnTable]()
        for loaded in source:
            left.remove(loaded.span)
            # Each has lower ids than the one before it.
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
        """Drop the rows of copies that are gone, and words of none; after the `first` reading words held twice too."""
        table = self.table
        if first or len(table) > len(frame) + max(_SPARE_ROWS, int(_SPARE_SHARE * len(frame))):
            # Copies above the frame were taken before they are seen in it.
            later = table.ids.filter(table.ids > frame.last_id)
            tight = table.only(pl.concat([frame.ids, later]) if len(later) else frame.ids)
            with self._lock:
                if self.table is table:
                    self.table = tight
            give_back_memory()

    def stop(self) -> None:
        """Let `catch_up` come to its end soon."""
        self._stopping = True
        if (children := self._children) is not None:
            children.stop()


def _ignore(_copy_id: int, _error: Exception) -> None:
    """Skip a copy that does not verify; `mailhold check` names it."""


def _zeros(count: int) -> pl.Series:
    return pl.repeat(0, count, dtype=pl.UInt32, eager=True)
