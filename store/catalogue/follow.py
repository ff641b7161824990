"""Keeps a frame in step with its store: what to load, which copies came, which went, and whether any was missed.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from store.catalogue.frame import Frame, empty_frame
from store.catalogue.snapshot import Marks, SnapshotError
from store.terms.errors import TamperedError
from store.terms.records import Copy
from store.vault.counters import counters
from store.vault.reader import MessageRow
from store.vault.vault import Vault

#: The most new copies that one look takes up, so that it stays short; the rest is for the next look.
NEW_COPIES = 5_000
_WITNESSES = 16
_UNSETTLED_SECONDS = 60.0


class State(NamedTuple):
    """What a query works on. `total` copies are in Backup; none above `high_water` was looked at.

    Those `returned` below it came back out of the bin since the frame was begun.
    """

    frame: Frame
    total: int
    complete: bool
    high_water: int
    returned: frozenset[int] = frozenset()


class Follower:
    """A frame and how far it knows the store. `state` may be read by any thread; methods hold a lock meanwhile.

    Where a method asks the database it raises StoreUnavailable, and can be called again.
    """

    def __init__(self, vault: Vault, taken: Callable[[Sequence[Copy]], None] = lambda _copies: None) -> None:
        """`taken` is called with copies before they are in the frame."""
        self._vault = vault
        self._taken = taken
        self._lock = threading.RLock()
        self._last_id = 0
        self._tombstone = self._bin_row = 0
        self._returned: frozenset[int] = frozenset()
        self._damaged: set[int] = set()
        self._gone: set[int] = set()
        self._token: object = None
        self._compare = False
        self._unexplained = 0
        self._settled_at = time.monotonic()
        self.state = State(empty_frame(), 0, False, 0)
        self.arrivals = 0
        self.deletions = 0

    @property
    def damaged(self) -> frozenset[int]:
        """The copies that do not verify: they are in no result."""
        with self._lock:
            return frozenset(self._damaged)

    # --- Loading -----------------------------------------------------------------------------------------------------

    def begin(self) -> tuple[int, int]:
        """Start from nothing. Returns the range to load: ids above the first and up to the second."""
        with self._lock:
            # The marks are read first: what is deleted or comes back later is found by them, what is put by its id.
            self._tombstone, self._bin_row = self._vault.newest_tombstone(), self._vault.bin.newest_row()
            first, self._last_id = self._vault.id_range()
            self._damaged, self._gone, self._token = set(), set(), None
            self._publish(empty_frame(), complete=False)
            return max(0, first - 1), self._last_id

    def resume(self, frame: Frame, marks: Marks) -> tuple[int, int]:
        """Start from a snapshot, brought in step with the tombstones first. Returns the range to load, as `begin`.

        Raises SnapshotError where the store is not the one that the snapshot was made of, but an older copy of it.
        """
        with self._lock:
            newest, newest_row = self._vault.newest_tombstone(), self._vault.bin.newest_row()
            with self._vault.reading():
                next_id = counters(self._vault.db).next_copy_id
            older = newest < marks.tombstone or newest_row < marks.bin_row or next_id <= marks.last_id
            if older or not self._attested(marks.witnesses):
                raise SnapshotError("the store was put back to an earlier state")
            self._last_id, self._tombstone, self._damaged = marks.last_id, marks.tombstone, set(marks.damaged)
            self._bin_row = marks.bin_row
            self._gone, self._token = set(), None
            self.state = State(frame, len(frame), False, self._last_id)
            self._take_deleted()
            self._take_moved()
            _, top = self._vault.id_range()
            after, self._last_id = self._last_id, max(self._last_id, top)
            self._publish(self.state.frame, complete=False)
            return after, self._last_id

    def add_loaded(self, frame: Frame, damaged: Iterable[int]) -> None:
        """Take up what was loaded of the range."""
        with self._lock:
            self._damaged.update(copy_id for copy_id in damaged if copy_id not in self._gone)
            if self._gone:
                frame = frame.without(self._gone)
            new = frame.new_to(self.state.frame)
            self.arrivals += len(new)
            self._publish(self.state.frame.merge(new), complete=False)

    def finish(self) -> None:
        """Note that the range is loaded: from now on every copy is accounted for."""
        with self._lock:
            self._gone.clear()
            self._publish(self.state.frame, complete=True)
            self._token = None
            self.take_changes()

    # --- Following ---------------------------------------------------------------------------------------------------

    def take_changes(self) -> bool:
        """Take up what was committed since the last look. True where anything changed. Cheap where nothing did."""
        with self._lock:
            token = self._vault.change_token()
            if token == self._token and not self._compare:
                return False
            before = self.arrivals, self.deletions
            self._take_deleted()
            self._take_moved()
            more = self._take_new()
            if self.state.complete and not more:
                self._account(token)
            self._publish(self.state.frame, complete=self.state.complete)
            self._token = None if more else token
            return (self.arrivals, self.deletions) != before

    def swap(self, old: Frame, new: Frame) -> bool:
        """Put a frame with the same rows in the place of another, unless that one is no longer the current one."""
        with self._lock:
            if self.state.frame is not old:
                return False
            self.state = self.state._replace(frame=new)
            return True

    def marks(self) -> tuple[Frame, Marks]:
        """Return the frame and its marks, as a snapshot keeps them."""
        with self._lock:
            return self.state.frame, self._marks()

    def _marks(self) -> Marks:
        return Marks(self._last_id, self._tombstone, sorted(self._damaged), self._witnesses(), self._bin_row)

    def _take_deleted(self) -> None:
        oldest, newest = self._vault.tombstone_range()
        if oldest > self._tombstone + 1:
            self._compare = True
        try:
            self._tombstone, gone = self._vault.tombstones_since(self._tombstone)
        except TamperedError:
            self._tombstone, gone = newest, []
            self._compare = True
        self._remove(gone)

    def _take_moved(self) -> None:
        """Take up what went into the bin and what came back: the tables say what of it is there now.

        Two journals have no common order, and neither has one with the copies that come in.
        """
        try:
            self._bin_row, touched = self._vault.bin.touched_since(self._bin_row)
        except TamperedError:
            self._bin_row, touched, self._compare = self._vault.bin.newest_row(), [], True
        if not touched:
            return
        there = self._vault.present(sorted(set(touched)))
        self._remove(copy_id for copy_id in touched if copy_id not in there)
        self._gone -= there
        back = sorted(copy_id for copy_id in there if copy_id <= self._last_id)
        self._returned |= frozenset(back)
        for start in range(0, len(back), NEW_COPIES):
            note, damaged = self._noting()
            self._add(self._vault.get_many(back[start : start + NEW_COPIES], on_error=note), damaged)

    def _remove(self, gone: Iterable[int]) -> None:
        gone = set(gone)
        if not gone:
            return
        if not self.state.complete:
            self._gone |= gone
        self._damaged -= gone
        frame = self.state.frame.without(gone)
        self.deletions += len(self.state.frame) - len(frame)
        self.state = self.state._replace(frame=frame)

    def _take_new(self) -> bool:
        """Take up copies above the newest known. True where there are more than one look takes."""
        seen: list[int] = []
        note, damaged = self._noting()
        copies = []
        for copy in self._vault.scan(self._last_id, NEW_COPIES, on_error=note):
            seen.append(copy.id)
            copies.append(copy)
        self._add(copies, damaged)
        self._last_id = max([self._last_id, *seen[-1:], *damaged])
        return len(seen) + len(damaged) >= NEW_COPIES

    def _add(self, copies: Sequence[Copy], damaged: Iterable[int]) -> None:
        self._damaged.update(damaged)
        self._taken(copies)
        new = Frame.of(copies).new_to(self.state.frame)
        self.arrivals += len(new)
        self.state = self.state._replace(frame=self.state.frame.merge(new))

    def _account(self, token: object) -> None:
        """Find what ids and tombstones did not tell: a copy that was committed late, a deletion without a tombstone."""
        messages = self._vault.count().messages
        settled = self._vault.change_token() == token
        now = time.monotonic()
        if not settled and now - self._settled_at < _UNSETTLED_SECONDS and not self._compare:
            return
        self._settled_at = now
        if self._compare or messages != len(self.state.frame) + len(self._damaged) + self._unexplained:
            self._compare_ids()
            self._compare = False
            self._unexplained = messages - len(self.state.frame) - len(self._damaged) if settled else 0

    def _compare_ids(self) -> None:
        extra, lacking = self.state.frame.missing_from(self._vault.ids())
        self._damaged &= set(lacking)
        self._remove(extra)
        for start in range(0, len(lacking), NEW_COPIES):
            note, damaged = self._noting()
            copies = self._vault.get_many(lacking[start : start + NEW_COPIES], on_error=note)
            self._damaged -= {copy.id for copy in copies}
            self._add(copies, damaged)
        self._last_id = max([self._last_id, *lacking[-1:]])

    # --- Asking the database -----------------------------------------------------------------------------------------

    def _publish(self, frame: Frame, *, complete: bool) -> None:
        known = len(frame)
        total = known if complete else max(known, self._vault.count().messages)
        self.state = State(frame, total, complete, self._last_id, self._returned)

    def _witnesses(self) -> dict[int, bytes]:
        return {row[0]: _digest(row) for row in self._vault.newest_rows(_WITNESSES, self._last_id)}

    def _attested(self, witnesses: dict[int, bytes]) -> bool:
        ids = list(witnesses)
        rows = [*self._vault.rows_of(ids), *self._vault.rows_of(ids, binned=True)]
        return all(_digest(row) == witnesses[row[0]] for row in rows)

    @staticmethod
    def _noting() -> tuple[Callable[[int, TamperedError], None], list[int]]:
        damaged: list[int] = []
        return lambda copy_id, _error: damaged.append(copy_id), damaged


def _digest(row: MessageRow) -> bytes:
    _, epoch_id, step, *_, record = row
    return hashlib.sha256(f"{epoch_id} {step} ".encode() + bytes(record)).digest()
