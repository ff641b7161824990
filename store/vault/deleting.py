"""Delete copies in short batches. Each batch writes a signed tombstone that says which, when and why."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from store.database.connection import DiskFull, as_bytes, pragma, run, sound
from store.database.orm import SqliteDatabase
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.helpers.runs import joined as runs_joined
from store.sealing.signatures import AUTHORITY, Right
from store.sealing.statements import statement, verify
from store.terms.errors import StoreUnavailable, TamperedError, UnlockError
from store.terms.progress import Cancelled, Progress
from store.vault import derived, live_deliveries
from store.vault.counters import count_out, count_out_of_bin
from store.vault.erasing import ERASED_BYTES, Erasing
from store.vault.operators import verify_operator
from store.vault.reader import Reader
from store.vault.room import Room

ROTATED, EMPTIED = "rotated", "emptied"
OPERATOR_ROLE = "tombstone operator"
LIVE = "its delivery is not finished: cancel that delivery first"
_READ = (
    "Not yet erased from the disk, because another program is still reading the store. It is erased with the next "
    "deletion, or when all programs have closed the store."
)
_FULL = "Not erased from the disk: the disk is full, so the deleted data could not be overwritten."
_TARGET_SECONDS = 0.02
#: Longest pause between batches (seconds). The write lock is free for as long as it was held, because a waiting writer
#: polls it only now and then. PostgreSQL wakes the waiting writer, which needs a moment to begin.
_LONGEST_PAUSE, _LONGEST_PAUSE_POSTGRESQL = 0.02, 0.002
#: Rotation merges its tombstones while the newest is younger than this (ms) and names fewer copies than this.
_JOINED_MS, _JOINED_COPIES = 3_600_000, 1000
_FIRST_BATCH, _LEAST, _MOST = 100, 20, 2000


_INSERT = "INSERT INTO tombstone (at, cause, gateway_id, entries, sealed_operator, signature) VALUES (?, ?, ?, ?, ?, ?)"
_BURIED = "SELECT COUNT(*) FROM tombstone WHERE signature = ?"
_NEWEST_TWO = (
    "SELECT id, at, cause, gateway_id, entries, sealed_operator, signature FROM tombstone ORDER BY id DESC LIMIT 2"
)


class Source(enum.Enum):
    """Table that copies are deleted from."""

    BACKUP = enum.auto()
    BIN = enum.auto()


_SIZES = {
    Source.BACKUP: "SELECT id, stored_size FROM message WHERE id = ANY(?)",
    Source.BIN: "SELECT id, stored_size FROM binned WHERE id = ANY(?)",
}
_ROWS = {
    Source.BACKUP: "SELECT id, epoch_id, step, stored_size FROM message WHERE id = ANY(?) ORDER BY id",
    Source.BIN: "SELECT id, epoch_id, step, stored_size FROM binned WHERE id = ANY(?) ORDER BY id",
}
_DELETE = {
    Source.BACKUP: "DELETE FROM message WHERE id = ANY(?)",
    Source.BIN: "DELETE FROM binned WHERE id = ANY(?)",
}


#: Called with each batch's ids inside its transaction: returns the copies to leave alone, with the reason.
Spare = Callable[[list[int]], Mapping[int, str]]


def spare_none(_ids: list[int]) -> Mapping[int, str]:
    """Leave out no copy of a batch."""
    return {}


class _Tombstone(NamedTuple):
    id: int
    at: int
    cause: str
    gateway_id: int
    entries: bytes
    sealed_operator: bytes | None
    signature: bytes


class Run(NamedTuple):
    """Copies with consecutive ids and steps: ids from `copy_id`, steps from `step` in one epoch, `length` copies."""

    copy_id: int
    epoch_id: int
    step: int
    length: int


@dataclass
class DeleteResult:
    """The copies deleted for good, missing, and refused with the reason. Copies in none of these were not reached.

    `left` says what is not overwritten on the disk, and why ("" if all is). Operators' deletions normally go into the
    bin instead: `binned`, as the bin's act `act`, kept until `until` (Unix ms). On a full disk, `no_room` are the
    refused copies that did not fit into the bin.
    """

    deleted: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    left: str = ""
    binned: list[int] = field(default_factory=list)
    act: int = 0
    until: int = 0
    no_room: list[int] = field(default_factory=list)

    @property
    def gone(self) -> list[int]:
        """The copies no longer in Backup: in the bin or deleted for good."""
        return [*self.binned, *self.deleted]


def runs_of(rows: Iterable[tuple[int, int, int]]) -> list[Run]:
    """Join rows (copy id, epoch id, step) in order of id into runs."""
    return _joined((copy_id, 1, (epoch_id, step - copy_id)) for copy_id, epoch_id, step in rows)


def entries_of(blob: bytes, what: str) -> list[Run]:
    """Decode the runs of a tombstone's row. Raises TamperedError naming `what`."""
    try:
        return [Run(*run) for run in msgpack_decoder(list[tuple[int, int, int, int]]).decode(as_bytes(blob))]
    except (msgspec.MsgspecError, TypeError):
        raise TamperedError(what, "its entries cannot be read") from None


def ids_of(runs: Sequence[Run]) -> list[int]:
    """List the copy ids of runs."""
    return [copy_id for run in runs for copy_id in range(run.copy_id, run.copy_id + run.length)]


def tombstone_statement(
    store_id: bytes, at: int, cause: str, gateway_id: int, entries: bytes, operator: bytes | None
) -> bytes:
    """Build the statement that the authority (gateway_id 0) or the rotating gateway signs."""
    return statement("tombstone", store_id, at, cause, gateway_id, entries, operator or b"")


def verified_runs(vault: Reader, row: Any) -> list[Run]:
    """Verify a tombstone's signature and return the deleted runs. Raises TamperedError naming it.

    A gateway may sign for rotation only; every other cause needs an operator's signature.
    """
    what = f"tombstone {row.id}"
    with sound(what):
        entries = as_bytes(row.entries)
        operator = None if row.sealed_operator is None else as_bytes(row.sealed_operator)
        data = tombstone_statement(vault.store_id, row.at, row.cause, row.gateway_id, entries, operator)
        if row.gateway_id == AUTHORITY:
            verify_operator(vault, data, as_bytes(row.signature), what, Right.DELETE, at=row.at)
        elif row.cause == ROTATED:
            verify(vault.signers.key(row.gateway_id), as_bytes(row.signature), data, what)
        else:
            raise TamperedError(what, "a gateway may not delete for this reason")
        return entries_of(entries, what)


def _whole(value: object) -> int:
    """Return a row's number, 0 if it is of another type, so that a copy with a forged column can be deleted as well."""
    return value if isinstance(value, int) else 0


def joined(runs: Sequence[Run]) -> list[Run]:
    """Merge consecutive runs."""
    return _joined((run.copy_id, run.length, (run.epoch_id, run.step - run.copy_id)) for run in runs)


def _joined(pieces: Iterable[tuple[int, int, tuple[int, int]]]) -> list[Run]:
    """Merge pieces (copy id, length, (epoch id, step - copy id)) into runs: step - copy id is constant within a run."""
    return [
        Run(copy_id, epoch_id, copy_id + ahead, length) for copy_id, length, (epoch_id, ahead) in runs_joined(pieces)
    ]


class Deleter:
    """Deletes copies of one vault."""

    def __init__(self, vault: Reader, room: Room, erasing: Erasing) -> None:
        self._vault = vault
        self._erasing = erasing
        self._room = room
        #: Row and runs of the tombstone that this process wrote last. It mostly still is the newest and needs no
        #: verifying.
        self._last: tuple[tuple[Any, ...], list[Run]] = ((), [])

    def delete(
        self,
        ids: Iterable[int],
        *,
        operator: str,
        cause: str,
        progress: Progress | None,
        cancelled: Cancelled | None,
        buried: Callable[[list[int]], None] | None,
        source: Source = Source.BACKUP,
        spare: Spare = spare_none,
    ) -> DeleteResult:
        if cause == ROTATED or self._vault.db.in_transaction():
            return self._delete(ids, operator, cause, progress, cancelled, buried, source, spare, erased=False)
        if self._room.is_short():
            # Without overwriting: overwritten pages go through the log, and truncating the log would lose the space it
            # holds.
            result = self._delete(ids, operator, cause, progress, cancelled, buried, source, spare, erased=False)
            result.left = _FULL if result.deleted else ""
            return result
        with self._erasing.overwriting():
            result = self._delete(ids, operator, cause, progress, cancelled, buried, source, spare, erased=True)
        if not result.left and not self._erasing.finish():
            result.left = _READ
        return result

    def _delete(
        self,
        ids: Iterable[int],
        operator: str,
        cause: str,
        progress: Progress | None,
        cancelled: Cancelled | None,
        buried: Callable[[list[int]], None] | None,
        source: Source,
        spare: Spare,
        *,
        erased: bool,
    ) -> DeleteResult:
        vault, result = self._vault, DeleteResult()
        wanted = sorted(set(ids))
        nested = vault.db.in_transaction()
        size, start, squeezed = _FIRST_BATCH, 0, False
        pause = _LONGEST_PAUSE if isinstance(vault.db, SqliteDatabase) else _LONGEST_PAUSE_POSTGRESQL
        while start < len(wanted) and not (cancelled is not None and cancelled()):
            batch = wanted[start : start + size]
            if erased:
                batch = self._within(batch, source)
            began = time.perf_counter()
            try:
                done = self._batch(batch, operator, cause, buried, source, spare)
            except DiskFull as error:
                if nested:
                    raise
                if erased:
                    pragma(vault.db, "secure_delete=FAST")
                    erased, result.left = False, _FULL
                if self._room.make():
                    size, squeezed = min(size, _LEAST), True
                elif size > 1:
                    size = 1
                elif result.deleted:
                    result.refused += [(copy_id, str(error)) for copy_id in wanted[start:]]
                    break
                else:
                    raise
                continue
            took = time.perf_counter() - began
            result.deleted += done.deleted
            result.missing += done.missing
            result.refused += done.refused
            start += len(batch)
            if progress is not None:
                progress(start, len(wanted))
            size = max(_LEAST, min(_MOST, int(size * min(2.0, _TARGET_SECONDS / max(took, 0.001)))))
            if squeezed:
                size = _LEAST
                self._room.done()
            if start < len(wanted) and not nested:
                time.sleep(min(took, pause))
        if squeezed or (result.deleted and not nested and self._room.is_short()):
            self._room.settle()
        return result

    def _within(self, ids: list[int], source: Source) -> list[int]:
        """Return as many of `ids` as one batch can overwrite, at least one."""
        with self._vault.reading():
            sizes = dict(run(self._vault.db, _SIZES[source], ids).fetchall())
        total = 0
        for number, copy_id in enumerate(ids):
            total += _whole(sizes.get(copy_id))
            if total > ERASED_BYTES:
                return ids[: max(1, number)]
        return ids

    def _batch(
        self,
        ids: list[int],
        operator: str,
        cause: str,
        buried: Callable[[list[int]], None] | None,
        source: Source,
        spare: Spare,
    ) -> DeleteResult:
        vault = self._vault
        nested, signature, result = vault.db.in_transaction(), b"", DeleteResult()
        try:
            with vault.write():
                signature = self._delete_batch(ids, operator, cause, source, spare, result)
                if signature and buried is not None:
                    buried(result.deleted)
        except StoreUnavailable as error:
            if nested or not signature:
                raise
            vault.require_done(error, _BURIED, signature)
        return result

    def _delete_batch(
        self, ids: list[int], operator: str, cause: str, source: Source, spare: Spare, result: DeleteResult
    ) -> bytes:
        """Delete inside the transaction. Returns the tombstone's signature, b"" if nothing was deleted."""
        db = self._vault.db
        rows = run(db, _ROWS[source], ids).fetchall()
        live = live_deliveries.kept(db, ids)
        present = {row[0] for row in rows}
        result.missing = [copy_id for copy_id in ids if copy_id not in present]
        kept = {**spare(ids), **dict.fromkeys(live, LIVE)}
        result.refused = [(copy_id, kept[copy_id]) for copy_id in ids if copy_id in kept and copy_id in present]
        doomed = [tuple(map(_whole, row)) for row in rows if row[0] not in kept]
        if not doomed:
            return b""
        result.deleted = [row[0] for row in doomed]
        run(db, "DELETE FROM body WHERE id = ANY(?)", result.deleted)
        derived.forget(db, result.deleted)
        run(db, _DELETE[source], result.deleted)
        count = count_out if source is Source.BACKUP else count_out_of_bin
        count(db, len(doomed), sum(row[3] for row in doomed))
        return self._bury(runs_of((row[0], row[1], row[2]) for row in doomed), operator, cause)

    def _bury(self, runs: list[Run], operator: str, cause: str) -> bytes:
        vault, keys = self._vault, self._vault.keys
        at = now_ms()
        gateway_id, signer = AUTHORITY, keys.authority
        if cause == ROTATED and keys.gateway is not None:
            gateway_id, signer = keys.gateway.gateway_id, keys.gateway.signing
        if signer is None:
            raise UnlockError("This key cannot delete copies. Unlock the store with an operator key.")
        buried = sum(each.length for each in runs)
        if cause == ROTATED:
            runs = self._taken_over(gateway_id, at) + runs
        runs = joined(runs)
        entries = msgspec.msgpack.encode(runs)
        sealed_operator = vault.seal(OPERATOR_ROLE, operator.encode()) if operator else None
        data = tombstone_statement(vault.store_id, at, cause, gateway_id, entries, sealed_operator)
        row = (at, cause, gateway_id, entries, sealed_operator, signer.sign(data))
        run(vault.db, _INSERT, *row)
        vault.witness.count_buried(buried)
        self._last = (row, runs)
        return row[-1]

    def _taken_over(self, gateway_id: int, at: int) -> list[Run]:
        """Delete the newest tombstone and return its runs if the next tombstone may include them; else return [].

        When Backup is full, every put rotates, and one tombstone each would outgrow the copies. The oldest tombstone is
        never merged: whoever follows the tombstones detects by it whether unseen ones are gone.
        """
        rows = run(self._vault.db, _NEWEST_TWO).fetchall()
        if len(rows) < 2:
            return []
        newest = _Tombstone(*rows[0])
        if (newest.cause, newest.gateway_id) != (ROTATED, gateway_id):
            return []
        written, runs = self._last
        if newest[1:] != written:
            try:
                runs = verified_runs(self._vault, newest)
            except TamperedError:
                return []
        if not 0 <= at - newest.at < _JOINED_MS or sum(run.length for run in runs) >= _JOINED_COPIES:
            return []
        run(self._vault.db, "DELETE FROM tombstone WHERE id = ?", newest.id)
        return runs
