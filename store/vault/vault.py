"""The vault: put, read, delete and count sealed message copies. The only module that joins schema and sealing.

A `Vault` comes from `store.opening`. Every method may be called from any thread; each thread has its own connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from store.database.connection import StoreDatabase, as_bytes, connect, is_url, run, translated
from store.database.schema import Models
from store.helpers.clock import now_ms
from store.sealing.keys import StoreKeys, reader_keys, reader_material
from store.terms.errors import MailholdError, StoreFormat, StoreUnavailable, TamperedError, UnlockError
from store.terms.records import CopyRecord
from store.vault.ballast import Ballast
from store.vault.deleting import ROTATED, Deleter, DeleteResult, ids_of, verified_runs
from store.vault.epochs import EpochWriter
from store.vault.reader import Reader
from store.vault.writer import Writer, prepare

__all__ = ["DeleteResult", "Usage", "Vault"]

#: Without settings that verify nothing is rotated away.
_UNKNOWN_MAXIMUM = 1 << 62


class Usage(NamedTuple):
    """How full the store is. Bytes; `oldest` is the time the oldest copy was placed (Unix ms), None without copies."""

    messages: int
    used_bytes: int
    max_bytes: int
    free_bytes: int
    oldest: int | None


class Vault(Reader):
    """An open store."""

    def __init__(self, location: str, db: StoreDatabase, models: Models, keys: StoreKeys) -> None:
        super().__init__(location, db, models, keys)
        self.epoch_writer = EpochWriter(db, models, keys, self.epoch_reader)
        self._writer = Writer(self)
        self._deleter = Deleter(self)
        self._maximum: tuple[object, int] = (None, 0)
        self._ballast = None if is_url(location) else Ballast(self._path)
        self._ballast_tried = False

    @classmethod
    def from_key_material(cls, location: str, material: bytes) -> Vault:
        """Open a store for reading only, with what `worker_key_material` gave. Raises StoreUnavailable, UnlockError."""
        keys = reader_keys(material)
        db = connect(location)
        vault = cls(location, db, Models(db), keys)
        with translated(location):
            row = vault.models.Store.get_or_none()
        if row is None or as_bytes(row.store_id) != keys.store_id:
            raise UnlockError("The key material belongs to another store.")
        return vault

    def worker_key_material(self) -> bytes:
        """What a child process needs to read this store. Secret: pass it on a pipe and nowhere else."""
        return reader_material(self.keys)

    # --- Putting -----------------------------------------------------------------------------------------------------

    def put(self, raw: bytes, record: CopyRecord, *, stored_at: int | None = None) -> int:
        """Store a copy of the message `raw`. Returns its id once it is durable.

        The vault fills the record's `size` and `sha256`. `stored_at` (Unix ms) is now by default. The oldest copies go
        where the maximum size is exceeded. Raises StoreUnavailable.
        """
        copy_id = self._writer.put(prepare(raw, record, stored_at))
        self._load_ballast()
        return copy_id

    def put_many(self, items: Iterable[tuple[bytes, CopyRecord, int | None]]) -> list[int]:
        """Store many copies (raw, record, stored_at), about 50 or 4 MB to a commit. Returns their ids, in order."""
        ids = self._writer.put_many(prepare(raw, record, stored_at) for raw, record, stored_at in items)
        self._load_ballast()
        return ids

    def _load_ballast(self) -> None:
        if self._ballast is not None and not self._ballast_tried:
            self._ballast_tried = True
            self._ballast.load()

    def maximum(self) -> int:
        """The maximum size in bytes, as the settings say. Read again only when the settings changed."""
        from store.authority.settings import NAME, Settings, read_settings

        sql = "SELECT id, version FROM configuration WHERE name = ? ORDER BY id DESC LIMIT 1"
        key = run(self.db, sql, NAME).fetchone()
        if key is None:
            return Settings().max_size
        if key != self._maximum[0]:
            self._maximum = (key, read_settings(self).max_size)
        return self._maximum[1]

    def maximum_or_last(self) -> int:
        """As `maximum`, but the last one known where the settings do not verify: intake must not stop for that."""
        try:
            return self.maximum()
        except (TamperedError, StoreFormat):
            return self._maximum[1] or _UNKNOWN_MAXIMUM

    def rotate(self) -> int:
        """Remove the oldest copies until the maximum is kept. Returns the bytes still above it: inside a transaction,
        no more than one batch goes.
        """
        from store.space.rotation import rotate

        return rotate(self).over_bytes

    # --- Deleting ----------------------------------------------------------------------------------------------------

    def delete(
        self,
        ids: Iterable[int],
        *,
        operator: str = "",
        cause: str = "deleted",
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> DeleteResult:
        """Delete copies for good, in batches that hold the write lock for under 50 ms, each with a signed tombstone.

        A copy with a live delivery is refused. `cause` is "deleted" or "rotated". What `cancelled` prevented is in
        none of the result's lists. Raises StoreUnavailable.
        """
        result = self._deleter.delete(ids, operator=operator, cause=cause, progress=progress, cancelled=cancelled)
        if result.deleted and cause != ROTATED:
            self._space_freed()
        return result

    def _space_freed(self) -> None:
        from store.space.notice import space_freed

        try:
            space_freed(self)
        except MailholdError:
            pass  # The copies are gone all the same; what is wrong with the notice shows at its next look.

    def newest_tombstone(self) -> int:
        """The newest tombstone's id, 0 where nothing was deleted yet."""
        sql = "SELECT COALESCE(MAX(id), 0) FROM tombstone"
        with self.reading():
            return int(run(self.db, sql).fetchone()[0])

    def tombstones_since(self, tombstone_id: int) -> tuple[int, list[int]]:
        """The newest tombstone's id, and the ids of the copies deleted after the tombstone `tombstone_id`."""
        table = self.models.Tombstone
        newest, ids = tombstone_id, []
        with self.reading():
            rows = list(table.select().where(table.id > tombstone_id).order_by(table.id))
        for row in rows:
            newest = row.id
            try:
                ids += ids_of(verified_runs(self, row))
            except TamperedError:
                pass  # Nothing is believed to be deleted for it; `check` reports it.
        return newest, ids

    def make_room(self) -> bool:
        """Give up the ballast of a store whose disk is full. Whether that freed anything."""
        return self._ballast is not None and self._ballast.give_up()

    def settle(self) -> None:
        """After deletions on a full disk: give freed pages back to it, and make the ballast again."""
        if self._ballast is None:
            return
        try:
            with self.writing():
                connection = self.db.connection()
                connection.executescript("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.executescript("PRAGMA incremental_vacuum(4096)")
                connection.executescript("PRAGMA wal_checkpoint(TRUNCATE)")
        except StoreUnavailable:
            pass
        self._ballast.load()

    # --- Counting ----------------------------------------------------------------------------------------------------

    def usage(self) -> Usage:
        """How full the store is."""
        with self.reading():
            counted = self.db.execute_sql("SELECT messages, used_bytes FROM state WHERE id = 1").fetchone()
            oldest = self.db.execute_sql("SELECT stored_at FROM message ORDER BY id LIMIT 1").fetchone()
            maximum = self.maximum()
        if counted is None:
            raise TamperedError("the table of counters", "it is empty")
        messages, used = counted
        return Usage(messages, used, maximum, max(0, maximum - used), oldest[0] if oldest else None)

    # --- Closing -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the epoch and every connection, and wipe the keys; again, or where the store is gone, no complaint."""
        self._writer.close()
        with self._lock:
            if self._closed:
                return
            try:
                if self.epoch_writer.needs_finish():
                    with self.write():
                        self.epoch_writer.finish(now_ms())
                    self.epoch_writer.committed()
            except MailholdError:
                pass  # An epoch that stays open is valid: the next `check` reports it as open.
            finally:
                self.epoch_writer.drop()
                self._closed = True
                self._close_connections()
                self.epoch_reader.clear()
                self.keys.wipe()

    def forked(self) -> None:
        super().forked()
        self._writer = Writer(self)
        self.epoch_writer.drop()
