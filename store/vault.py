"""The vault: put, read, delete and count sealed message copies. The only module that joins schema and sealing.

A `Vault` comes from `store.opening`. Every method may be called from any thread; each thread has its own connection.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
from peewee import SqliteDatabase

from store import sealing
from store.ballast import Ballast
from store.clock import now_ms
from store.database import ABSURD, StoreDatabase, as_bytes, connect, is_url, run, sound, translated
from store.deleting import ROTATED, Deleter, DeleteResult, ids_of, verified_runs
from store.epochs import EpochReader, EpochWriter
from store.errors import (
    CopyMissing,
    MailholdError,
    StoreError,
    StoreFormat,
    StoreUnavailable,
    TamperedError,
    UnlockError,
)
from store.keys import StoreKeys, reader_keys, reader_material
from store.records import Copy, CopyRecord
from store.schema import Models
from store.sealing import BODY, RECORD, Place
from store.writer import Writer, prepare

__all__ = ["DeleteResult", "Usage", "Vault"]

_SCAN_ROWS = 2000
_SELECT = "SELECT id, epoch_id, step, stored_at, size, stored_size, record FROM message "
_LARGEST_ID = (1 << 63) - 1
#: Without settings that verify nothing is rotated away.
_UNKNOWN_MAXIMUM = 1 << 62
_RELEASE = "released body key"
MessageRow = tuple[int, int, int, int, int, int, bytes]
OnError = Callable[[int, TamperedError], None]


_open_vaults: weakref.WeakSet[Vault] = weakref.WeakSet()


def _after_fork() -> None:
    for vault in list(_open_vaults):
        vault._forked()


os.register_at_fork(after_in_child=_after_fork)


class Usage(NamedTuple):
    """How full the store is. Bytes; `oldest` is the time the oldest copy was placed (Unix ms), None without copies."""

    messages: int
    used_bytes: int
    max_bytes: int
    free_bytes: int
    oldest: int | None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Vault:
    """An open store."""

    def __init__(self, location: str, db: StoreDatabase, models: Models, keys: StoreKeys) -> None:
        self.location = location
        self.db = db
        self.models = models
        self.keys = keys
        self.store_id = keys.store_id
        self.epoch_reader = EpochReader(models, keys)
        self.epoch_writer = EpochWriter(db, models, keys, self.epoch_reader)
        self._decoder = msgspec.msgpack.Decoder(CopyRecord)
        self._lock = threading.RLock()
        self._watcher: Any = None
        self._watcher_lock = threading.Lock()
        self._maximum: tuple[object, int] = (None, 0)
        self._writer = Writer(self)
        self._deleter = Deleter(self)
        self._closed = False
        self._path = Path(location).absolute()
        self._file = None if is_url(location) else _identity(self._path)
        self._ballast = None if is_url(location) else Ballast(self._path)
        self._ballast_tried = False
        _open_vaults.add(self)

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

    # --- Transactions ------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold this process's writer lock."""
        with self._lock, translated(self.location), self.db.healed():
            yield

    @contextmanager
    def write(self) -> Iterator[None]:
        """A write transaction: serialised with every other writer of the store. Joins one that this thread has open.

        Whatever changes rows goes through here. Keep it under 50 ms. Raises StoreUnavailable.
        """
        if self.db.in_transaction():
            yield
            return
        self._require_open()
        with self.writing():
            self._require_there()
            with self.db.atomic():
                if not isinstance(self.db, SqliteDatabase):
                    self.db.execute_sql("SELECT id FROM state WHERE id = 1 FOR UPDATE")
                yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Translate the driver's errors of a read."""
        self._require_open()
        with translated(self.location), self.db.healed():
            yield

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError("The store was closed, or opened before a fork: open it again.")

    def _require_there(self) -> None:
        """Refuse to write to a file that was removed or replaced: what is written there would be lost."""
        if self._file is not None and self._file != _identity(self._path):
            raise StoreUnavailable(
                f"The store {self.location} was removed or replaced while it was open: open it again."
            )

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
        from store.settings import NAME, Settings, read_settings

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
        from store.retention import rotate

        return rotate(self).over_bytes

    # --- Reading -----------------------------------------------------------------------------------------------------

    def get(self, copy_id: int) -> Copy:
        """The copy of that id. Raises CopyMissing, TamperedError."""
        return self._open(self.row(copy_id))

    def get_many(self, ids: Sequence[int], *, on_error: OnError | None = None) -> list[Copy]:
        """The copies of those ids, in their order; missing ones left out.

        A copy that does not verify raises TamperedError, or is left out and reported where `on_error` is given.
        """
        rows: dict[int, MessageRow] = {}
        for start in range(0, len(ids), _SCAN_ROWS):
            chunk = list(ids[start : start + _SCAN_ROWS])
            with self.reading():
                rows.update((row[0], row) for row in run(self.db, _SELECT + "WHERE id = ANY(?)", chunk).fetchall())
        return list(self._open_all((rows[copy_id] for copy_id in ids if copy_id in rows), on_error))

    def newest(self, limit: int, before_id: int | None = None, *, on_error: OnError | None = None) -> list[Copy]:
        """Up to `limit` copies, newest first, below `before_id` where that is given. `on_error` as in `get_many`."""
        below = _LARGEST_ID if before_id is None else before_id
        with self.reading():
            rows = run(self.db, _SELECT + "WHERE id < ? ORDER BY id DESC LIMIT ?", below, limit).fetchall()
        return list(self._open_all(rows, on_error))

    def scan(self, after_id: int = 0, limit: int | None = None, *, on_error: OnError | None = None) -> Iterator[Copy]:
        """Copies in order of id, above `after_id`, without a lasting transaction. `on_error` as in `get_many`."""
        left = limit
        while left is None or left > 0:
            rows = self.rows(after_id, _SCAN_ROWS if left is None else min(left, _SCAN_ROWS))
            if not rows:
                return
            after_id = rows[-1][0]
            if left is not None:
                left -= len(rows)
            yield from self._open_all(rows, on_error)

    def rows(self, after_id: int, limit: int) -> list[MessageRow]:
        """Up to `limit` messages' rows above `after_id`, in order of id, not verified."""
        with self.reading():
            found = run(self.db, _SELECT + "WHERE id > ? ORDER BY id LIMIT ?", after_id, limit).fetchall()
        return cast("list[MessageRow]", found)

    def raw(self, copy_id: int) -> bytes:
        """The message itself, byte for byte, its SHA-256 verified. Raises CopyMissing, TamperedError."""
        copy, place, body_key = self.open_row(self.row(copy_id))
        return self.open_body(place, body_key, copy.record.sha256)

    def ids(self) -> list[int]:
        """The ids of all copies, ascending."""
        with self.reading():
            return [copy_id for (copy_id,) in self.db.execute_sql("SELECT id FROM message ORDER BY id").fetchall()]

    def row(self, copy_id: int) -> MessageRow:
        """A message's row, not verified. Raises CopyMissing."""
        with self.reading():
            row = run(self.db, _SELECT + "WHERE id = ?", copy_id).fetchone() if abs(copy_id) <= _LARGEST_ID else None
        if row is None:
            raise CopyMissing(copy_id)
        return cast("MessageRow", row)

    def _open_all(self, rows: Iterable[MessageRow], on_error: OnError | None) -> Iterator[Copy]:
        for row in rows:
            try:
                yield self._open(row)
            except TamperedError as error:
                if on_error is None:
                    raise
                on_error(row[0], error)

    def _open(self, row: MessageRow) -> Copy:
        return self.open_row(row)[0]

    def open_row(self, row: MessageRow, reader: EpochReader | None = None) -> tuple[Copy, Place, bytes]:
        """A row's copy, its place, and the key of its body. Raises TamperedError naming the copy."""
        copy_id, epoch_id, step, stored_at, size, stored_size, sealed = row
        what = f"copy {copy_id}"
        try:
            if not isinstance(step, int) or not 0 <= step < sealing.EPOCH_STEPS:
                raise TamperedError(what, "it claims a step that no epoch has")
            chains = (reader or self.epoch_reader).chains(epoch_id)
            if chains.name.epoch_id != epoch_id:
                raise TamperedError(what, "it claims an epoch that there is not")
            record_key, body_key = chains.keys(step)
            place = Place(chains.name, step, copy_id, stored_at, size, stored_size)
            record = self._decoder.decode(sealing.open_part(record_key, place, RECORD, sealed))
        except TamperedError as error:
            if error.what == what:
                raise
            raise TamperedError(what, f"{error.what}, which it belongs to, does not verify") from None
        except msgspec.MsgspecError:
            raise TamperedError(what, "its record is in a form that this release does not know") from None
        except ABSURD:
            raise TamperedError(what, "a field of its row holds a value that it cannot have") from None
        return Copy(copy_id, stored_at, stored_size, record), place, body_key

    def open_body(self, place: Place, body_key: bytes, sha256: bytes) -> bytes:
        """The message that belongs to a place. Raises CopyMissing, TamperedError naming the copy."""
        what = f"copy {place.copy_id}"
        with self.reading():
            row = run(self.db, "SELECT sealed FROM body WHERE id = ?", place.copy_id).fetchone()
        if row is None:
            self.row(place.copy_id)
            raise TamperedError(what, "its body is missing")
        with sound(what):
            raw = sealing.unpack_body(sealing.open_part(body_key, place, BODY, row[0]), place.size, what)
        if hashlib.sha256(raw).digest() != sha256:
            raise TamperedError(what, "its body is not the one that its record describes")
        return raw

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
        from store.free_space import space_freed

        try:
            space_freed(self)
        except MailholdError:
            pass  # The copies are gone all the same; what is wrong with the notice shows at its next look.

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

    # --- Counting and watching ---------------------------------------------------------------------------------------

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

    def change_token(self) -> object:
        """Something that is not equal after any process committed a change of the store. Cheap."""
        self._require_open()
        with self._watcher_lock, translated(self.location):
            if not isinstance(self.db, SqliteDatabase):
                return self.db.execute_sql("SELECT pg_current_snapshot()::text").fetchone()[0]
            # data_version tells a connection of the commits of all others: this one never commits anything itself.
            if self._watcher is None:
                watcher = connect(self.location)
                self._watcher = (watcher, watcher.connection())
            return self._watcher[1].execute("PRAGMA data_version").fetchone()[0]

    # --- Sealing for other modules -----------------------------------------------------------------------------------

    def seal(self, role: str, plaintext: bytes) -> bytes:
        """Seal bytes that are no copy (settings, snapshots, recipients), bound to this store and `role`."""
        return sealing.seal_with(self.keys.sealing_key(role), role, self.store_id, plaintext)

    def unseal(self, role: str, sealed: bytes) -> bytes:
        """Open what `seal` made for the same role. Raises TamperedError naming the role."""
        return sealing.unseal_with(self.keys.sealing_key(role), role, self.store_id, sealed)

    def sign(self, role: str, data: bytes) -> bytes:
        """The authority's signature of `data`, bound to this store and `role`."""
        if self.keys.authority is None:
            raise UnlockError(f"The keys at hand cannot sign the {role}: unlock the store as an operator.")
        return self.keys.authority.sign(sealing.statement("signed", role, self.store_id, data))

    def verify(self, role: str, data: bytes, signature: bytes) -> None:
        """Check what `sign` made. Raises TamperedError naming the role."""
        signed = sealing.statement("signed", role, self.store_id, data)
        sealing.verify(self.keys.authority_verifier(), signature, signed, role)

    # --- Releasing for delivery --------------------------------------------------------------------------------------

    def release_body_key(self, copy_id: int, delivery_id: int) -> bytes:
        """Seal a copy's body key to the gateway that delivers, for that delivery alone, signed by the authority."""
        copy, _place, body_key = self.open_row(self.row(copy_id))
        gateway = self.keys.gateway
        if gateway is None:
            raise UnlockError("The keys at hand cannot release a copy: unlock the store as an operator.")
        info = sealing.statement(_RELEASE, self.store_id, gateway.gateway_id, delivery_id, copy_id)
        sealed = sealing.hpke_seal(gateway.delivery.public_key(), info, body_key + copy.record.sha256)
        return self.sign(_RELEASE, info + sealed) + sealed

    def released_raw(self, delivery: Any) -> bytes:
        """The message that a delivery's row releases, its SHA-256 verified. Raises CopyMissing, TamperedError."""
        gateway, what = self.keys.gateway, f"delivery {delivery.id}"
        if gateway is None:
            raise UnlockError("The keys at hand cannot deliver: unlock the store as an operator.")
        if delivery.sealed_body_key is None:
            raise TamperedError(what, "it holds no key of its copy")
        with sound(what):
            info = self.verify_release(delivery)
        blob = as_bytes(delivery.sealed_body_key)
        opened = sealing.hpke_open(gateway.delivery, info, blob[64:], what)
        copy_id, epoch_id, step, stored_at, size, stored_size, _record = self.row(delivery.copy_id)
        name = self.epoch_reader.chains(epoch_id).name
        place = Place(name, step, copy_id, stored_at, size, stored_size)
        return self.open_body(place, opened[:32], opened[32:])

    def verify_release(self, delivery: Any) -> bytes:
        """Check that the authority released the body key in a delivery's row. Returns the info it is sealed with."""
        info = sealing.statement(_RELEASE, self.store_id, delivery.gateway_id, delivery.id, delivery.copy_id)
        blob = as_bytes(delivery.sealed_body_key)
        try:
            self.verify(_RELEASE, info + blob[64:], blob[:64])
        except TamperedError:
            why = "the key that it releases was not released by the authority"
            raise TamperedError(f"delivery {delivery.id}", why) from None
        return info

    # --- Closing -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the epoch and every connection; again, or where the store is gone, without complaint."""
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

    def _forked(self) -> None:
        """In a forked child: neither the parent's keys nor its connections may be used twice."""
        self._closed = True
        self._lock = threading.RLock()
        self._watcher_lock = threading.Lock()
        self._watcher = None
        self._writer = Writer(self)
        self.epoch_writer.drop()
        self.db.abandon()

    def _close_connections(self) -> None:
        with self._watcher_lock:
            if self._watcher is not None:
                self._watcher[0].close_all()
                self._watcher = None
        self.db.close_all()
