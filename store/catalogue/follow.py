"""Keeps a frame in step with its store: finds the ids to load and the copies added, removed or missed.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from store.catalogue.frame import Frame, empty_frame
from store.catalogue.repeats import Repeats
from store.catalogue.snapshot import Marks, SnapshotError
from store.terms.errors import TamperedError
from store.terms.records import Copy
from store.vault.counters import counters
from store.vault.reader import MessageRow
from store.vault.vault import Vault

#: Maximum number of new copies taken per poll, so that a poll stays short.
NEW_COPIES = 5_000
_WITNESSES = 16
_UNSETTLED_SECONDS = 60.0


class State(NamedTuple):
    """An immutable state that a query works on.

    `total`: copies in Backup. `high_water`: the highest copy id looked at. `returned`: ids up to it that came back out
    of the bin since loading began.
    """

    frame: Frame
    total: int
    complete: bool
    high_water: int
    returned: frozenset[int] = frozenset()


class Follower:
    """A frame and the point up to which it reflects the store. Thread-safe: methods take a lock, `state` needs none.

    Methods that read the database raise StoreUnavailable; the call can be repeated.
    """

    def __init__(self, vault: Vault, taken: Callable[[Sequence[Copy]], None] = lambda _copies: None) -> None:
        """Follow a vault. `taken` is called with copies before they enter the frame."""
        self._vault = vault
        self._taken = taken
        self._lock = threading.RLock()
        self._last_id = 0
        self._tombstone = self._bin_row = 0
        self._returned: frozenset[int] = frozenset()
        self._damaged: set[int] = set()
        self._gone: set[int] = set()
        #: What was loaded, to find texts that are there already. Emptied when all is.
        self.repeats = Repeats()
        self._token: object = None
        self._compare = False
        self._unexplained = 0
        self._settled_at = time.monotonic()
        self.state = State(empty_frame(), 0, False, 0)
        self.arrivals = 0
        self.deletions = 0

    @property
    def damaged(self) -> frozenset[int]:
        """Ids of the copies that do not verify; they are in no result."""
        with self._lock:
            return frozenset(self._damaged)

    def begin(self) -> tuple[int, int]:
        """Start with an empty frame. Returns the range to load: (highest id not to load, highest id to load)."""
        with self._lock:
            # Read the journals' positions before the ids: later deletions and returns are then found in the journals,
            # and later copies by their higher ids.
            self._tombstone, self._bin_row = self._vault.newest_tombstone(), self._vault.bin.newest_row()
            first, self._last_id = self._vault.id_range()
            self._damaged, self._gone, self._token = set(), set(), None
            self._publish(empty_frame(), complete=False)
            return max(0, first - 1), self._last_id

    def resume(self, frame: Frame, marks: Marks) -> tuple[int, int]:
        """Start from a snapshot after applying the deletions and moves since. Returns the range to load, as `begin`.

        Raises SnapshotError if the store was put back to a state older than the snapshot.
        """
        with self._lock:
            newest, newest_row = self._vault.newest_tombstone(), self._vault.bin.newest_row()
            with self._vault.reading():
                next_id = counters(self._vault.db).next_copy_id
            older = newest < marks.tombstone or newest_row < marks.bin_row or next_id <= marks.last_id
            if older or not self._attested(marks.witnesses):
                raise SnapshotError("the store was restored to an earlier state")
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
        """Add a frame loaded from the range."""
        with self._lock:
            self._damaged.update(copy_id for copy_id in damaged if copy_id not in self._gone)
            if self._gone:
                frame = frame.without(self._gone)
            new = frame.new_to(self.state.frame)
            self.arrivals += len(new)
            self._publish(self.state.frame.merge(new, self.repeats), complete=False)

    def finish(self) -> None:
        """Mark loading as finished, and check that every copy is accounted for."""
        with self._lock:
            self._gone.clear()
            self.repeats = Repeats()
            self._publish(self.state.frame.with_shared_codes(), complete=True)
            self._token = None
            self.take_changes()

    def take_changes(self) -> bool:
        """Apply the commits since the last call. Returns whether anything changed; cheap if nothing did."""
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
        """Replace the frame `old` by `new`, which has the same rows. Returns False if `old` is no longer current."""
        with self._lock:
            if self.state.frame is not old:
                return False
            self.state = self.state._replace(frame=new)
            return True

    def marks(self) -> tuple[Frame, Marks]:
        """Return the frame and the marks to save with it in a snapshot."""
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
        """Apply moves into and out of the bin. The tables decide which of the moved copies are in Backup now.

        The journals of deletions and of the bin have no common order, so their entries cannot be replayed.
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
        """Add copies above the highest known id. Returns whether more remain than one call takes."""
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
        if not copies:
            return
        self._taken(copies)
        new = Frame.of(copies).new_to(self.state.frame)
        self.arrivals += len(new)
        self.state = self.state._replace(frame=self.state.frame.merge(new))

    def _account(self, token: object) -> None:
        """Find copies that ids and tombstones missed: one committed late, or deleted without a tombstone."""
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
