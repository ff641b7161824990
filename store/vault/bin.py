"""The bin of one vault: deleted copies that can come back.

    put(ids, until=…)       move copies from Backup into the bin: one act, in batches with a short write lock each
    restore(ids)            move copies back from the bin, unchanged
    empty(ids)              delete copies in the bin for good, with a tombstone, overwritten as in any deletion
    rotate(ids)             remove copies from the bin to make room, as rotation does
    acts()                  list each act's copies, size, and how many came back
    oldest(…), ids(…)       list copies in the bin; `Vault.get_many(…, binned=True)` and `raw` read them
    touched_since(row)      list copies that a follower of the store must look at anew

A restored copy keeps its id, marks and releases. Sizes are bytes, times Unix milliseconds. `store.space.bin` decides
how much the bin keeps and for how long; `store.authority.deleting` records the events.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from store.database.connection import DiskFull
from store.helpers.clock import now_ms
from store.terms.errors import StoreUnavailable
from store.terms.progress import Cancelled, Progress
from store.vault import binned, live_deliveries
from store.vault.bin_contents import BinAct, BinContents
from store.vault.bin_journal import BINNED, RESTORED, append, bin_runs
from store.vault.counters import count_into_bin
from store.vault.deleting import EMPTIED, LIVE, ROTATED, Deleter, DeleteResult, Source, Spare, spare_none
from store.vault.erasing import Erasing
from store.vault.reader import Reader
from store.vault.room import Room

__all__ = ["Bin", "BinAct", "PutResult", "RestoreResult"]

Done = Callable[[list[int]], None]
#: Minimum and maximum copies per batch, and how long (seconds) a batch should hold the write lock. In batches below the
#: minimum, the cost per batch would exceed the cost of their rows. On a full disk, `LEAST_FULL` copies are a batch.
_LEAST, _MOST, _TARGET = 250, 1000, 0.016
LEAST_FULL = 20
_LONGEST_PAUSE = 0.007
TWICE = "its row is both in Backup and in the bin, so somebody changed the database: run `mailhold check`"
_WRITTEN = "SELECT COUNT(*) FROM bin_act WHERE signature = ?"


@dataclass
class PutResult:
    """The copies that act `act` put into the bin (0: none), those not in Backup, and those refused with the reason.

    `left` are copies not reached because `put` was cancelled or the disk was `full`.
    """

    act: int = 0
    until: int = 0
    binned: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    full: bool = False


@dataclass
class RestoreResult:
    """The copies restored, already in Backup (`there`), gone for good or never there, and refused with the reason.

    `left` are copies not reached because `restore` was cancelled. If the disk was `full`, those are refused instead.
    """

    restored: list[int] = field(default_factory=list)
    there: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    full: bool = False


class Bin(BinContents):
    """The bin of one vault."""

    def __init__(self, vault: Reader, room: Room, erasing: Erasing, deleter: Deleter) -> None:
        super().__init__(vault)
        self._room = room
        self._erasing = erasing
        self._deleter = deleter

    def put(
        self,
        ids: Iterable[int],
        *,
        until: int,
        operator: str = "",
        act: int = 0,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        told: Done | None = None,
        spare: Spare = spare_none,
    ) -> PutResult:
        """Move copies of Backup into the bin, to be kept until `until` (Unix ms) if there is room.

        They form a new act, or join the act `act`. `told` is called with the ids that each batch moved, inside its
        transaction. Refuses copies with a live delivery, and those that `spare` returns for a batch. Raises
        StoreUnavailable, UnlockError.
        """
        result = PutResult(act, until)

        def batch(part: list[int]) -> None:
            done, signature = PutResult(result.act), b""
            try:
                with self._vault.write():
                    signature = self._put_batch(part, until, operator, spare, done)
                    if signature and told is not None:
                        told(done.binned)
            except StoreUnavailable as error:
                self._require_done(error, signature)
            result.act = done.act
            result.binned += done.binned
            result.missing += done.missing
            result.refused += done.refused

        result.left, result.full = self._in_batches(sorted(set(ids)), batch, progress, cancelled)
        return result

    def _put_batch(self, ids: list[int], until: int, operator: str, spare: Spare, done: PutResult) -> bytes:
        """Move a batch inside the transaction. Returns the journal row's signature, b"" if nothing was moved."""
        db = self._vault.db
        rows = binned.in_backup(db, ids)
        there = {row[0] for row in rows}
        live = live_deliveries.kept(db, ids)
        twice = {row[0] for row in binned.in_bin(db, ids)} & there
        done.missing = [copy_id for copy_id in ids if copy_id not in there]
        kept = {**spare(ids), **dict.fromkeys(twice, TWICE), **dict.fromkeys(live, LIVE)}
        done.refused = [(row[0], kept[row[0]]) for row in rows if row[0] in kept]
        moved = [row for row in rows if row[0] not in kept]
        if not moved:
            return b""
        done.binned = [row[0] for row in moved]
        done.act, signature = append(self._vault, BINNED, done.act, now_ms(), until, bin_runs(moved), operator)
        binned.move_in(db, done.binned, done.act)
        count_into_bin(db, len(moved), sum(row[3] for row in moved))
        return signature

    def restore(
        self,
        ids: Iterable[int],
        *,
        operator: str = "",
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        told: Done | None = None,
    ) -> RestoreResult:
        """Move copies of the bin back to Backup, unchanged.

        `told` is called with the ids that each batch moved, inside its transaction. Raises StoreUnavailable,
        UnlockError.
        """
        result = RestoreResult()

        def batch(part: list[int]) -> None:
            done, signature = RestoreResult(), b""
            try:
                with self._vault.write():
                    signature = self._restore_batch(part, operator, done)
                    if signature and told is not None:
                        told(done.restored)
            except StoreUnavailable as error:
                self._require_done(error, signature)
            result.restored += done.restored
            result.there += done.there
            result.gone += done.gone
            result.refused += done.refused

        result.left, result.full = self._in_batches(sorted(set(ids)), batch, progress, cancelled)
        if result.full:
            result.refused += [(copy_id, "the disk is full") for copy_id in result.left]
            result.left = []
        return result

    def _restore_batch(self, ids: list[int], operator: str, done: RestoreResult) -> bytes:
        """Move a batch back inside the transaction.

        Returns the signature of a journal row, b"" if nothing was moved.
        """
        db = self._vault.db
        rows = binned.in_bin(db, ids)
        in_bin = {row[0] for row in rows}
        present = {row[0] for row in binned.in_backup(db, ids)}
        done.there = [copy_id for copy_id in ids if copy_id in present and copy_id not in in_bin]
        done.gone = [copy_id for copy_id in ids if copy_id not in present and copy_id not in in_bin]
        done.refused = [(copy_id, TWICE) for copy_id in ids if copy_id in present and copy_id in in_bin]
        moved = [row for row in rows if row[0] not in present]
        if not moved:
            return b""
        done.restored = [row[0] for row in moved]
        at, signature = now_ms(), b""
        for act, of_act in groupby(sorted(moved, key=lambda row: (row[4], row[0])), key=lambda row: row[4]):
            _, signature = append(self._vault, RESTORED, act, at, 0, bin_runs(row[:4] for row in of_act), operator)
        binned.move_back(db, done.restored)
        count_into_bin(db, -len(moved), -sum(row[3] for row in moved))
        return signature

    def empty(
        self,
        ids: Iterable[int],
        *,
        operator: str = "",
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        told: Done | None = None,
    ) -> DeleteResult:
        """Delete copies of the bin for good, as `Vault.delete` does for Backup.

        Raises StoreUnavailable, UnlockError.
        """
        return self._deleter.delete(
            ids,
            operator=operator,
            cause=EMPTIED,
            progress=progress,
            cancelled=cancelled,
            buried=told,
            source=Source.BIN,
        )

    def rotate(self, ids: Sequence[int]) -> DeleteResult:
        """Remove copies of the bin, as listed by `oldest`, to make room. In the caller's transaction."""
        return self._deleter.delete(
            ids, operator="", cause=ROTATED, progress=None, cancelled=None, buried=None, source=Source.BIN
        )

    def _require_done(self, error: StoreUnavailable, signature: bytes) -> None:
        if not signature:
            raise error
        self._vault.require_done(error, _WRITTEN, signature)

    def _in_batches(
        self,
        wanted: list[int],
        work: Callable[[list[int]], None],
        progress: Progress | None,
        cancelled: Cancelled | None,
    ) -> tuple[list[int], bool]:
        """Call `work` for one batch after another. Returns the ids not reached, and whether the disk was full."""
        # A batch's rows are in both tables until it is committed, so large batches need more space than small ones.
        squeezed = self._room.tighten()
        size, start, full = LEAST_FULL if squeezed else _LEAST, 0, False
        with self._erasing.moving():
            while start < len(wanted) and not (cancelled is not None and cancelled()):
                batch = wanted[start : start + size]
                began = time.perf_counter()
                try:
                    work(batch)
                except DiskFull:
                    if not self._room.make(frees=False):
                        full = True
                        break
                    size, squeezed = min(size, LEAST_FULL), True
                    continue
                took = time.perf_counter() - began
                start += len(batch)
                if progress is not None:
                    progress(start, len(wanted))
                size = max(_LEAST, min(_MOST, int(size * min(2.0, _TARGET / max(took, 0.001)))))
                if squeezed:
                    size = LEAST_FULL
                    self._room.done()
                if start < len(wanted):
                    time.sleep(min(took / 3, _LONGEST_PAUSE))
        if squeezed:
            self._room.settle()
        return wanted[start:], full
