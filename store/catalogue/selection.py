"""Selections: the results of filters, in order. They are read page by page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from store.terms.records import Row

if TYPE_CHECKING:
    import polars as pl

    from store.catalogue.frame import Frame
    from store.catalogue.order import LastFirst


class Selection(ABC):
    """The copies that match a filter, in a sort order: an immutable result, thread-safe.

    `count`: copies found; `total`: copies in Backup; `partial`: more may be found once loading is complete.

    `high_water`: the highest copy id looked at, so copies that arrived later are not in the result; `returned`: ids of
    copies that came back out of the bin since loading began.

    `unread`: copies whose traits the filter needs and that have none yet. Positions count from 0.
    """

    count: int
    total: int
    partial: bool
    high_water: int
    returned: frozenset[int] = frozenset()
    unread: int = 0

    @abstractmethod
    def rows(self, start: int, stop: int, *, identifiers: bool = True) -> list[Row]:
        """Return the lines at positions `start` to `stop` (exclusive); fewer at the end.

        Without `identifiers` the lines may lack the message's identifiers, which take long to read.
        """

    @abstractmethod
    def ids(self, start: int = 0, stop: int | None = None) -> list[int]:
        """Return the ids at positions `start` to `stop` (exclusive), or to the end."""

    @abstractmethod
    def position(self, copy_id: int) -> int | None:
        """Return the position of a copy; None if it is not in the selection."""

    @abstractmethod
    def among(self, ids: Iterable[int]) -> set[int]:
        """Return those of the ids that are in the selection. The cost grows with the number of ids."""

    def __contains__(self, copy_id: int) -> bool:
        return self.position(copy_id) is not None


class RowSelection(Selection):
    """A selection of rows read straight from the database: the newest copies, until the catalogue is loaded."""

    def __init__(self, rows: Sequence[Row], *, total: int, partial: bool, high_water: int, unread: int = 0) -> None:
        self._rows = list(rows)
        self._positions = {row.id: position for position, row in enumerate(self._rows)}
        self.count = len(self._rows)
        self.total = total
        self.partial = partial
        self.high_water = high_water
        self.unread = unread

    def rows(self, start: int, stop: int, *, identifiers: bool = True) -> list[Row]:
        return self._rows[max(start, 0) : max(stop, 0)]

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]:
        return [row.id for row in self.rows(start, self.count if stop is None else stop)]

    def position(self, copy_id: int) -> int | None:
        return self._positions.get(copy_id)

    def among(self, ids: Iterable[int]) -> set[int]:
        return {copy_id for copy_id in ids if copy_id in self._positions}


class FrameSelection(Selection):
    """A selection of a frame's rows.

    `positions`: row numbers in order, None for all by ascending id. `mask`: by row, whether it is selected, None for
    all.
    """

    def __init__(
        self,
        frame: Frame,
        positions: pl.Series | LastFirst | None,
        mask: pl.Series | None,
        *,
        total: int,
        partial: bool,
        high_water: int,
        returned: frozenset[int] = frozenset(),
        unread: int = 0,
        use: object = None,
    ) -> None:
        """Hold `use` as long as the selection exists, which keeps the column tables of its filter in memory."""
        self.returned = returned
        self.unread = unread
        self._use = use
        self._frame = frame
        self._positions = positions
        self._mask = mask
        self.count = len(frame) if positions is None else len(positions)
        self.total = total
        self.partial = partial
        self.high_water = high_water

    def _slice(self, start: int, stop: int | None) -> pl.Series:
        import polars as pl

        start = min(max(start, 0), self.count)
        stop = self.count if stop is None else min(max(stop, start), self.count)
        if self._positions is None:
            return pl.arange(start, stop, dtype=pl.UInt32, eager=True)
        return self._positions.slice(start, stop - start)

    def rows(self, start: int, stop: int, *, identifiers: bool = True) -> list[Row]:
        return self._frame.row_list(self._slice(start, stop), identifiers=identifiers)

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]:
        return self._frame.ids[self._slice(start, stop)].to_list()

    def position(self, copy_id: int) -> int | None:
        import polars as pl

        row = self._frame.position(copy_id)
        if row is None or (self._mask is not None and not self._mask[row]):
            return None
        if self._positions is None:
            return row
        if isinstance(self._positions, pl.Series):
            return int((self._positions == row).arg_true()[0])
        return self._positions.place(row)

    def among(self, ids: Iterable[int]) -> set[int]:
        rows = self._frame.rows_of(ids)
        if self._mask is not None:
            rows = rows.filter(self._mask[rows])
        return set(self._frame.ids[rows].to_list())
