"""Copies in the bin as a `Selection` for a list. The catalogue does not hold copies in the bin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from store.catalogue.selection import Selection
from store.terms.records import Row, row_of
from store.vault.reader import Reader

_UNREAD = "(cannot be read; `mailhold check` says why, if it is still in the bin)"


class BinSelection(Selection):
    """The copies `ids`, in the given order. `rows` reads from the bin, so call it in a worker.

    A copy that left the bin or does not verify gets a line that says so.
    """

    def __init__(self, vault: Reader, ids: Sequence[int]) -> None:
        self._vault = vault
        self._ids = list(ids)
        self._positions = {copy_id: position for position, copy_id in enumerate(self._ids)}
        self.count = self.total = len(self._ids)
        self.partial = False
        self.high_water = max(self._ids, default=0)

    def rows(self, start: int, stop: int, *, identifiers: bool = True) -> list[Row]:
        wanted = self._ids[max(start, 0) : max(stop, 0)]
        copies = self._vault.get_many(wanted, on_error=lambda _copy_id, _error: None, binned=True)
        found = {copy.id: row_of(copy) for copy in copies}
        return [found.get(copy_id) or _unread(copy_id) for copy_id in wanted]

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]:
        return self._ids[max(start, 0) : stop if stop is None else max(stop, 0)]

    def position(self, copy_id: int) -> int | None:
        return self._positions.get(copy_id)

    def among(self, ids: Iterable[int]) -> set[int]:
        return {copy_id for copy_id in ids if copy_id in self._positions}


def _unread(copy_id: int) -> Row:
    return Row(copy_id, 0, None, None, "", "", _UNREAD, 0, 0, "", "", False)
