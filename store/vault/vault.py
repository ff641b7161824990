"""The vault: put, read, delete and count sealed message copies. The only module that joins schema and sealing.

`store.opening` makes a `Vault` and passes its `Upkeep`. Every method may be called from any thread; each thread has its
own connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from store.database.access import reach
from store.database.connection import StoreDatabase, as_bytes, run, translated
from store.database.modes import Use
from store.database.schema import Models
from store.helpers.clock import now_ms
from store.sealing.keys import StoreKeys, reader_keys, reader_material
from store.terms.errors import MailholdError, TamperedError, UnlockError
from store.terms.progress import Cancelled, Progress
from store.terms.records import CopyRecord
from store.vault.bin import Bin
from store.vault.counters import Counters, counted, counters
from store.vault.deleting import ROTATED, Deleter, DeleteResult, Spare, ids_of, spare_none, verified_runs
from store.vault.epochs import EpochWriter
from store.vault.erasing import Erasing
from store.vault.prepared import prepare
from store.vault.reader import Reader
from store.vault.room import Room
from store.vault.unanswered import Unanswered
from store.vault.upkeep import NoUpkeep, Upkeep
from store.vault.writer import Told, Writer

__all__ = ["Count", "DeleteResult", "Vault"]


class Count(NamedTuple):
    """How much the store holds. `oldest` is when the oldest copy was placed (Unix ms), None without copies.

    `used_bytes` includes the `binned` copies (`binned_bytes`) and derived data (`derived_bytes`); `messages` and
    `oldest` are of Backup only.
    """

    messages: int
    used_bytes: int
    oldest: int | None
    binned: int = 0
    binned_bytes: int = 0
    derived_bytes: int = 0


class Vault(Reader):
    """An open store."""

    def __init__(
        self,
        location: str,
        db: StoreDatabase,
        models: Models,
        keys: StoreKeys,
        upkeep: Callable[[Vault], Upkeep],
    ) -> None:
        """Make a vault; `upkeep(vault)` makes what manages its space, usually a `store.space.rotation.Rotation`."""
        super().__init__(location, db, models, keys)
        #: Label of the key slot that unlocked the store, as the name of the operator; "" for a gateway.
        self.opened_by = ""
        #: Id of that key slot; 0 for a gateway.
        self.opened_slot = 0
        self.room = Room(self)
        self.unanswered = Unanswered(self)
        self.epoch_writer = EpochWriter(db, models, keys, self.epoch_reader)
        self._upkeep = upkeep(self)
        self._writer = Writer(self, self.epoch_writer, self._upkeep, self.room, self.unanswered)
        self.erasing = Erasing(self)
        self._deleter = Deleter(self, self.room, self.erasing)
        self.bin = Bin(self, self.room, self.erasing, self._deleter)

    @classmethod
    def from_key_material(cls, location: str, material: bytes, use: Use = Use.READ) -> Vault:
        """Open a store with the result of `worker_key_material`, to read it or to write unsigned rows.

        Raises StoreUnavailable, UnlockError.
        """
        keys = reader_keys(material)
        db = reach(location, use)
        vault = cls(location, db, Models(db), keys, lambda _vault: NoUpkeep())
        with translated(location):
            row = vault.models.Store.get_or_none()
        if row is None or as_bytes(row.store_id) != keys.store_id:
            raise UnlockError("The key belongs to another store.")
        return vault

    def worker_key_material(self, *, settings: bool = False) -> bytes:
        """Pack the keys that a child process needs to read this store, with `settings` also its configuration keys.

        Secret: pass it through a pipe only. Raises UnlockError, with `settings` StoreUnavailable.
        """
        if not settings:
            return reader_material(self.keys)
        with self.reading():
            generations = range(1, self.grants.newest() + 1)
            for number in generations:
                self.grants.keys(number)
        return reader_material(self.keys, generations)

    def put(
        self,
        raw: bytes,
        record: CopyRecord,
        *,
        stored_at: int | None = None,
        tag: bytes = b"",
        digest: bytes | None = None,
    ) -> int:
        """Store a copy of the message `raw`. Returns its id once it is durable.

        With a `tag` (`Unanswered.tag`), also notes that the message's client has no answer yet. `digest` is the SHA-256
        of `raw`, if already known.

        The record's `size` and `sha256` are filled in. `stored_at` (Unix ms) is now by default. If the maximum size is
        exceeded, the oldest copies are removed. Raises StoreUnavailable.
        """
        self.room.keep()
        return self._writer.put(prepare(raw, record, stored_at, tag, digest))

    def hand_in(
        self, raw: bytes, record: CopyRecord, told: Told, *, tag: bytes = b"", digest: bytes | None = None
    ) -> None:
        """Store a copy as `put` does, but return before it is durable.

        The committing thread then calls `told` with the id, or with the error if the copy was not stored. Raises
        StoreUnavailable.
        """
        self.room.keep()
        self._writer.hand_in(prepare(raw, record, None, tag, digest), told)

    def run_before_commit(self, work: Callable[[], None]) -> None:
        """Have the committing thread do `work`, which may call `hand_in`, before its next commit; return at once.

        `work` should take little time: it delays copies that others handed in.
        """
        self._writer.run_before_commit(work)

    def write_answers(self) -> None:
        """Delete durably the `pending` rows of clients that got their answers. The next put does so anyway.

        Raises StoreUnavailable.
        """
        if self.unanswered.needs_writing():
            with self.write():
                answered = self.unanswered.write(())
            self.unanswered.written(answered)

    def put_many(
        self,
        items: Iterable[tuple[bytes, CopyRecord, int | None]],
        placed: Callable[[list[int]], None] | None = None,
    ) -> list[int]:
        """Store many copies (raw, record, stored_at), up to 50 or 4 MB per commit. Returns their ids, in order.

        `placed` is called with the ids of each commit, inside its transaction. Raises StoreUnavailable.
        """
        self.room.keep()
        return self._writer.put_many((prepare(raw, record, stored_at) for raw, record, stored_at in items), placed)

    def delete(
        self,
        ids: Iterable[int],
        *,
        operator: str = "",
        cause: str = "deleted",
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
        buried: Callable[[list[int]], None] | None = None,
        spare: Spare = spare_none,
    ) -> DeleteResult:
        """Delete copies for good, in batches that hold the write lock for under 50 ms, each with a signed tombstone.

        `buried` is called with the ids that each batch deleted, inside its transaction.

        Refuses copies with a live delivery, and those that `spare` returns for a batch. `cause` is "deleted" or
        "rotated". Copies not reached before `cancelled` are in none of the result's lists. Raises StoreUnavailable.
        """
        result = self._deleter.delete(
            ids, operator=operator, cause=cause, progress=progress, cancelled=cancelled, buried=buried, spare=spare
        )
        if result.deleted and cause != ROTATED:
            self.after_delete()
        return result

    def after_delete(self) -> None:
        """Run the upkeep after copies were deleted, or moved into the bin."""
        self._upkeep.after_delete()

    def newest_tombstone(self) -> int:
        """Return the newest tombstone's id, 0 if nothing was deleted yet."""
        return self.tombstone_range()[1]

    def tombstone_range(self) -> tuple[int, int]:
        """Return the oldest and the newest tombstone's ids; zeros if nothing was deleted yet."""
        with self.reading():
            sql = "SELECT (SELECT MIN(id) FROM tombstone), (SELECT MAX(id) FROM tombstone)"
            oldest, newest = run(self.db, sql).fetchone()
        return oldest or 0, newest or 0

    def freed_since(self, tombstone_id: int) -> bool:
        """Whether copies were deleted after the tombstone `tombstone_id` for another cause than rotation."""
        with self.reading():
            sql = "SELECT id FROM tombstone WHERE id > ? AND cause <> ? LIMIT 1"
            return run(self.db, sql, tombstone_id, ROTATED).fetchone() is not None

    def tombstones_since(self, tombstone_id: int) -> tuple[int, list[int]]:
        """Return the newest tombstone's id, and the ids of copies deleted after the tombstone `tombstone_id`."""
        table = self.models.Tombstone
        newest, ids = tombstone_id, []
        with self.reading():
            rows = list(table.select().where(table.id > tombstone_id).order_by(table.id))
        for row in rows:
            newest = row.id
            try:
                ids += ids_of(verified_runs(self, row))
            except TamperedError:
                pass  # An unverified tombstone proves no deletion; `check` reports it.
        return newest, ids

    def count(self) -> Count:
        """Return how much the store holds, from its counters, or by counting all rows if the counters are missing."""
        with self.reading():
            oldest = run(self.db, "SELECT stored_at FROM message ORDER BY id LIMIT 1").fetchone()
            first = oldest[0] if oldest else None
            try:
                told = counters(self.db)
            except TamperedError:
                held = counted(self.db)
                told = Counters(held.messages, held.used_bytes, 0)._replace(**held.told())
        in_bin = (told.binned, told.binned_bytes, told.derived_bytes)
        return Count(int(told.messages), int(told.all_bytes), first, *in_bin)

    def close(self) -> None:
        """Close the epoch and every connection, and wipe the keys.

        Closing again, or when the store is gone, is no error.
        """
        self._writer.close()
        with self.lock:
            if self._closed:
                return
            try:
                self.write_answers()
                if self.epoch_writer.needs_finish() or self.witness.wants_last_word():
                    with self.write(quiet=True):
                        self.epoch_writer.finish(now_ms())
                        self.witness.say_last_word()
                    self.epoch_writer.committed()
            except MailholdError:
                pass  # An unclosed epoch is valid; the next `check` reports it as open.
            finally:
                self.erasing.finish(1)
                self.witness.close()
                self.epoch_writer.drop()
                self._closed = True
                self._close_connections()
                self.room.close()
                self.epoch_reader.clear()
                self.keys.wipe()

    def forked(self) -> None:
        super().forked()
        self._writer = Writer(self, self.epoch_writer, self._upkeep, self.room, self.unanswered)
        self.epoch_writer.drop()
