"""An open database and the keys to it: transactions, change detection, and closing."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from store.database.committing import DOUBT
from store.database.connection import StoreDatabase, Translated, connect, driver_errors, is_url, run
from store.database.modes import Mode
from store.database.orm import SqliteDatabase
from store.database.schema import Models
from store.database.verifying import Watch
from store.sealing.keys import StoreKeys
from store.sealing.signatures import Right
from store.terms.errors import StoreError, StoreUnavailable
from store.vault.counters import lock as lock_counters
from store.vault.witness import Witness

_open_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


def _after_fork() -> None:
    for session in list(_open_sessions):
        session.forked()


os.register_at_fork(after_in_child=_after_fork)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  # before each put: a path of text takes half the time
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _state(path: Path) -> list[tuple[int, int, int] | None]:
    """Return inode, size and mtime of the store's file and of its log, which change whenever somebody writes to it."""
    found: list[tuple[int, int, int] | None] = []
    for each in (path, path.with_name(path.name + "-wal")):
        try:
            status = each.stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return found


class _Writing:
    """Context manager that holds this process's writer lock and translates driver errors. Reentrant."""

    __slots__ = ("_lock", "_translated")

    def __init__(self, lock: threading.RLock, translated: Translated) -> None:
        self._lock = lock
        self._translated = translated

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._translated.__exit__(kind, error, trace)
        finally:
            self._lock.release()


class _Transaction:
    """Context manager of one write transaction: see `Session.write`.

    A class rather than a generator, and without Peewee's own: it is entered for each put.
    """

    __slots__ = ("_counting", "_lock", "_quiet", "_session", "_witness")

    def __init__(self, session: Session, witness: Witness, *, quiet: bool, counting: bool) -> None:
        self._session = session
        self._witness = witness
        self._quiet = quiet
        self._counting = counting
        #: The writer's lock while it is held; None where the block joins a transaction.
        self._lock: threading.RLock | None = None

    def __enter__(self) -> None:
        session = self._session
        db = session.db
        if db.in_transaction():
            session.acts += 1
            return
        session.require_writable()
        lock = session.lock
        lock.acquire()
        try:
            session.require_there()
            begun = False
            try:
                db.begin()
                begun = True
                db.push_transaction(self)
                session.tables.require()
                if not self._counting:
                    session.acts += 1
                    lock_counters(db)
                self._witness.begun(quiet=self._quiet)
            except BaseException:
                self._fail(begun=begun)
                raise
        except BaseException as error:
            try:
                session.translate(error)
            finally:
                lock.release()
            raise
        self._lock = lock

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        lock = self._lock
        if lock is None:
            return
        session, witness = self._session, self._witness
        try:
            if error is not None:
                self._fail()
                session.translate(error)
                return
            db, left = session.db, False
            try:
                witness.before_commit(quiet=self._quiet)
                db.pop_transaction()
                left = True
                db.commit()
            except BaseException:
                self._fail(begun=left)
                raise
            witness.committed()
        except BaseException as failure:
            session.translate(failure)
            raise
        finally:
            lock.release()
        witness.released()

    def _fail(self, *, begun: bool = False) -> None:
        """Roll back if Peewee has a transaction open, or one has `begun` that it does not know of."""
        db = self._session.db
        try:
            if db.in_transaction():
                db.pop_transaction()
                begun = True
            if begun:
                db.rollback()
        finally:
            self._witness.failed()


class Session:
    """A store's database, its models and the keys at hand. Every method may be called from any thread."""

    def __init__(self, location: str, db: StoreDatabase, models: Models, keys: StoreKeys) -> None:
        self.location = location
        self.db = db
        self.models = models
        self.keys = keys
        self.store_id = keys.store_id
        #: Why the store can only be read, None if it can be changed.
        self.read_only = db.read_only
        self.tables = Watch(db, location)
        self.witness = Witness()
        #: How many write transactions there were, and blocks that joined one. Puts aside.
        self.acts = 0
        #: Whether an act that needs a right, signed by an operator at a time (Unix ms), needs a second operator's
        #: signature.
        self.takes_two: Callable[[Right, int], bool] = lambda _right, _at: False
        self._translated = Translated(location, db)
        self.lock = threading.RLock()
        self._writing = _Writing(self.lock, self._translated)
        self._watcher: Any = None
        self._watcher_lock = threading.Lock()
        self._closed = False
        self._path = Path(location).absolute()
        self._path_text = str(self._path)
        self._file = None if is_url(location) else _identity(self._path_text)
        self._frozen = _state(self._path) if db.mode is Mode.FROZEN else None
        _open_sessions.add(self)

    def writing(self) -> AbstractContextManager[None]:
        """Hold this process's writer lock."""
        return self._writing

    def write(
        self, *, quiet: bool = False, witnessed: bool = True, counting: bool = False
    ) -> AbstractContextManager[None]:
        """Open a write transaction, one at a time among all writers of the store. Joins this thread's open one.

        Every change of rows goes through here. Keep it under 50 ms. A `quiet` transaction is one of many: the witness
        may leave its work to a later one. A transaction that is not `witnessed` must not change anything. One that is
        `counting` must update the counters first, which keeps other writers out as well as a lock. Raises
        StoreUnavailable.
        """
        return _Transaction(self, self.witness if witnessed else Witness(), quiet=quiet, counting=counting)

    def translate(self, error: BaseException) -> None:
        """Raise the translation of a driver's error. Do nothing for another."""
        self._translated.__exit__(None, error, None)

    def require_writable(self) -> None:
        """Raise StoreError if the session is closed, or the store can only be read."""
        if self._closed:
            self._require_open()
        if self.read_only is not None:
            raise self.read_only.refusal()

    def written(self) -> object:
        """Return a value that is as in an earlier write transaction if only puts of this process wrote since.

        None where that is not known, as on PostgreSQL.
        """
        others = self.tables.others
        return None if others is None else (others, self.acts)

    def require_done(self, error: StoreUnavailable, sql: str, *values: Any) -> None:
        """Find out whether a transaction that failed with `error` was committed after all; if not, raise `error`.

        A commit can succeed although its answer is lost. `sql` counts rows that only that transaction wrote. Raises
        StoreUnavailable, which says so if the outcome stays unknown.
        """
        try:
            with self.write(witnessed=False):
                [found] = run(self.db, sql, *values).fetchone()
        except StoreUnavailable:
            raise StoreUnavailable(str(error) if DOUBT in str(error) else f"{error} {DOUBT}") from None
        if not found:
            # A server knows; SQLite may yet find the transaction in its log.
            raise StoreUnavailable(str(error).removesuffix(f" {DOUBT}")) if is_url(self.location) else error

    def reading(self) -> AbstractContextManager[None]:
        """Translate driver errors during a read."""
        self._require_open()
        self.tables.require_readable()
        return self._translated

    def _require_open(self) -> None:
        if self._closed:
            raise StoreError("The store was closed, or was opened before a fork. Open it again.")

    def require_there(self) -> None:
        """Raise StoreUnavailable if the file was removed or replaced: writes to it would be lost."""
        if self._file is None:
            return
        try:
            status = os.stat(self._path_text)  # noqa: PTH116  # before each put: a path of text takes half the time
            if (status.st_dev, status.st_ino) == self._file:
                return
        except OSError:
            raise StoreUnavailable(
                f"The store {self.location} is not there any more: it was moved or removed, or its file system is not "
                "mounted. Put it back."
            ) from None
        raise StoreUnavailable(
            f"Another store was put in the place of {self.location} while it was open. Open it again."
        )

    def _require_frozen(self) -> None:
        """Raise StoreUnavailable if another program wrote to a file that is read without locks."""
        if self._frozen != _state(self._path):
            raise StoreUnavailable(f"The store {self.location} was changed while it was being read. Open it again.")

    def change_token(self) -> object:
        """Return a value that changes after any process committed a change to the store. Compare for equality; cheap.

        Raises StoreUnavailable if that happened to a file that is read without locks.
        """
        self._require_open()
        if self.db.mode is Mode.FROZEN:
            self._require_frozen()
            return self._frozen
        if not isinstance(self.db, SqliteDatabase):
            with self._translated:
                return run(self.db, "SELECT pg_current_snapshot()::text").fetchone()[0]
        with self._watcher_lock, self._translated:
            # data_version counts commits of other connections only; so use a connection that never commits.
            if self._watcher is None:
                watcher = connect(self.location, self.db.mode)
                self._watcher = (watcher, watcher.connection())
            return self._watcher[1].execute("PRAGMA data_version").fetchone()[0]

    def forked(self) -> None:
        """Close the session in a forked child, which must use neither its parent's keys nor its connections."""
        self._closed = True
        self.lock = threading.RLock()
        self._writing = _Writing(self.lock, self._translated)
        self._watcher_lock = threading.Lock()
        self._watcher = None
        self.db.abandon()

    def _close_connections(self) -> None:
        with self._watcher_lock:
            if self._watcher is not None:
                # Another thread may have opened it; that is safe, as it is only used under this lock.
                with suppress(*driver_errors()):
                    self._watcher[1].close()
                self._watcher = None
        self.db.close_all()
