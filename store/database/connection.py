"""Connections to a store's database (SQLite in one file, or PostgreSQL under a URL), and SQL that runs on both.

Statements are strings with `?` for a value and `= ANY(?)` for a list of integers; `run` and `run_many` translate them
for the database in use. `pragma` is for SQLite only. Models (`store.database.schema`) are used only to read and write
whole rows, because those are signed or sealed; counts, single columns, updates and deletes are SQL strings. Only this
package calls the driver or Peewee's `execute_sql`. Each statement is written beside the functions that use it, in the
package that owns its table.

The driver's errors become `StoreUnavailable`, with advice; passwords are removed from the locations in messages.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import struct
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from store.database.advice import advice_on
from store.database.authorizing import Authorizer
from store.database.committing import DOUBT, Doubtful, Unanswered, answered, commit
from store.database.modes import Mode, ReadOnly
from store.database.orm import (
    Database,
    LenientSqlite,
    PeeweeException,
    SqliteDatabase,
    TellingPostgresql,
    forget_connection,
    load_postgresql,
)
from store.database.server_session import BUSY_SECONDS, NO_HURRY, SET_UP, options_of
from store.terms.errors import MailholdError, StoreDamaged, StoreFormat, StoreUnavailable, TamperedError

PAGE_SIZE = 4096
#: Suffix of the reserve file beside the store, which is deleted to gain space when the disk is full.
BALLAST = ".ballast"
#: Pages in the log at which SQLite checkpoints, and the limit on a small disk: a 24th of the disk.
_LOG_PAGES, _LOG_SHARE = 1000, 24
#: Smallest size of a write-ahead log's index (bytes).
_INDEX_BYTES = 64 * 1024


class SqliteStore(LenientSqlite):
    """A store's database in one SQLite file."""

    def __init__(self, path: Path, mode: Mode, read_only: ReadOnly | None, **options: Any) -> None:
        self.mode = mode
        self.read_only = read_only
        self._authorizer = Authorizer()
        super().__init__(path.as_uri() + mode.value, uri=True, **options)

    def connection_made(self, connection: Any) -> None:
        connection.set_authorizer(self._authorizer)

    def making(self) -> AbstractContextManager[None]:
        """Allow this thread to create and drop tables inside the block."""
        return self._authorizer.making()

    def begin(self, lock_type: str | None = None) -> None:
        """Begin a transaction, bypassing Peewee. `lock_type` None means IMMEDIATE, a write transaction."""
        self.connection().execute("BEGIN IMMEDIATE" if lock_type is None else f"BEGIN {lock_type}")

    def commit(self) -> None:
        """Commit. Raises Doubtful where that failed but may nevertheless be in the log."""
        commit(self.connection())

    def rollback(self) -> None:
        """Roll back, unless SQLite did so itself, as it does when a write fails."""
        if self.connection().in_transaction:
            super().rollback()

    def abandon(self) -> None:
        """Forget every connection without closing it, in a forked child: the parent still uses them."""
        forget_connection(self)

    def heal(self) -> None:
        """Do nothing: no server can close a SQLite connection."""

    def close_all(self) -> None:
        """Close this thread's connection and drop the references to the others.

        The others close when their thread ends or this object is freed: closing a SQLite connection while another
        thread executes a statement on it would crash the process.
        """
        with suppress(*driver_errors()):
            self.close()
        forget_connection(self)


class PostgresStore(TellingPostgresql):
    """A store's database on a PostgreSQL server. Keeps track of the connections of all threads."""

    mode, read_only = Mode.WRITE, None

    def making(self) -> AbstractContextManager[None]:
        """Do nothing: PostgreSQL has no authorizer that would refuse to create tables."""
        return nullcontext()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._opened: weakref.WeakSet[Any] = weakref.WeakSet()
        self._opened_lock = threading.Lock()
        super().__init__(*arguments, **options)

    def connection_made(self, connection: Any) -> None:
        from store.database.binary_results import BinaryCursor

        connection.cursor_factory = BinaryCursor
        connection.execute(SET_UP)
        connection.commit()
        with self._opened_lock:
            self._opened.add(connection)

    def close_all(self) -> None:
        """Close the connections of all threads: a server accepts only so many."""
        with self._opened_lock:
            opened = list(self._opened)
            self._opened.clear()
        for connection in opened:
            with suppress(*driver_errors()):
                connection.close()
        forget_connection(self)

    def abandon(self) -> None:
        """Forget every connection without closing it, in a forked child: the parent still uses them."""
        self._opened, self._opened_lock = weakref.WeakSet(), threading.Lock()
        forget_connection(self)

    def commit(self) -> None:
        """Commit. Raises Unanswered where the server may have committed nevertheless."""
        with answered(lambda: self.connection().closed):
            super().commit()

    def rollback(self) -> None:
        """Roll back, unless the connection was lost: failing here would hide the reason."""
        if not self.connection().closed:
            super().rollback()

    def heal(self) -> None:
        """Drop this thread's connection if the server closed it, so that the next use opens a new one."""
        if not self.is_closed() and self.connection().closed:
            forget_connection(self)


StoreDatabase = SqliteStore | PostgresStore


def is_url(location: str) -> bool:
    """Whether `location` names a PostgreSQL database rather than a file."""
    return location.startswith(("postgresql://", "postgres://"))


def shown_location(location: str) -> str:
    """Return `location` with its password replaced by "…"."""
    if not is_url(location):
        return location
    location = re.sub(r"(://[^:@/?]*):.*@", r"\1:…@", location)
    return re.sub(r"(password=)[^&]*", r"\1…", location)


def real_location(location: str) -> str:
    """Return the file's own path if `location` is a symbolic link: the log and the ballast are beside that file."""
    return os.path.realpath(location) if not is_url(location) and Path(location).is_symlink() else location


def beside(location: str, suffix: str) -> Path:
    """Return the path beside a SQLite store with `suffix` added: "-wal" is the write-ahead log, "-shm" its index."""
    return Path(f"{Path(location).absolute()}{suffix}")


def connect(location: str, mode: Mode = Mode.WRITE, read_only: ReadOnly | None = None) -> StoreDatabase:
    """Make the database object of `location`, not yet connected; connecting raises what `translated` translates.

    `mode` and `read_only` (why the store cannot be written) apply to SQLite only; `store.database.access` determines
    them. Raises NotInstalled for PostgreSQL without its driver.
    """
    if is_url(location):
        load_postgresql()
        return PostgresStore(
            "postgresql://" + location.split("://", 1)[1],
            prefer_psycopg3=True,
            isolation_level="READ COMMITTED",
            application_name="mailhold",
            **options_of(location),
        )
    return SqliteStore(
        Path(location).absolute(),
        mode,
        read_only,
        # None of these writes to the file. Setting auto_vacuum would, so only `lay_out` does that.
        pragmas={
            **({"journal_mode": "WAL"} if mode is Mode.WRITE else {}),
            "synchronous": "FULL",
            "secure_delete": "FAST",
            "temp_store": "MEMORY",
            "trusted_schema": "OFF",
            "cell_size_check": "ON",
            "mmap_size": 0,
            "cache_size": -16384,
            "journal_size_limit": 64 * 1024 * 1024,
            "wal_autocheckpoint": _log_pages(location),
        },
        # Begin every transaction as a write transaction: upgrading a read transaction later fails at once if another
        # connection wrote meanwhile.
        lock_type="IMMEDIATE",
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )


def _log_pages(location: str) -> int:
    """Return the log's size (pages) at which SQLite checkpoints: on a small disk no larger than the ballast."""
    try:
        total = shutil.disk_usage(Path(location).absolute().parent).total
    except OSError:
        return _LOG_PAGES
    return max(32, min(_LOG_PAGES, total // _LOG_SHARE // PAGE_SIZE))


@lru_cache(maxsize=256)
def _dialect(sql: str, sqlite: bool, one: bool = False) -> str:
    if sqlite:
        return sql.replace("= ANY(?)", "= ?" if one else "IN (SELECT value FROM json_each(?))")
    return sql.replace("?", "%s")


def run(db: Database, sql: str, *values: Any) -> Any:
    """Execute SQL with `?` for each value and `= ANY(?)` for each list of integers. Returns the cursor."""
    if not isinstance(db, SqliteDatabase):
        return db.execute_sql(_dialect(sql, False), values)
    one = False
    if list in map(type, values):
        one = all(len(value) == 1 and value[0].bit_length() < 64 for value in values if isinstance(value, list))
        values = tuple((value[0] if one else str(value)) if isinstance(value, list) else value for value in values)
    # Bypass Peewee: its overhead exceeds a short statement's run time.
    return db.connection().execute(_dialect(sql, True, one), values)


@contextmanager
def snapshot(db: Database) -> Iterator[None]:
    """Give all reads inside the block one consistent view. Joins a transaction that this thread has open."""
    if db.in_transaction():
        yield
        return
    way = "DEFERRED" if isinstance(db, SqliteDatabase) else "ISOLATION LEVEL REPEATABLE READ READ ONLY"
    db.execute_sql(f"BEGIN {way}")
    try:
        if not isinstance(db, SqliteDatabase):
            db.execute_sql(NO_HURRY)
        yield
    finally:
        db.execute_sql("ROLLBACK")


def run_many(db: Database, sql: str, rows: list[tuple[Any, ...]]) -> None:
    """Execute SQL with `?` for each value, once for each of `rows`."""
    if len(rows) == 1:
        run(db, sql, *rows[0])  # psycopg's executemany would set up a pipeline even for one row.
        return
    db.cursor().executemany(_dialect(sql, isinstance(db, SqliteDatabase)), rows)


def pragma(db: Database, text: str) -> Any:
    """Run ``PRAGMA text`` on SQLite and return its value, None if it has none. Returns None on PostgreSQL."""
    if not isinstance(db, SqliteDatabase):
        return None
    row = db.connection().execute(f"PRAGMA {text}").fetchone()
    return row[0] if row else None


def pragma_to_its_end(db: Database, text: str) -> None:
    """Run ``PRAGMA text`` on SQLite to completion, outside of a transaction. Does nothing on PostgreSQL.

    Python's `execute` takes only the first step, which frees a single page for `incremental_vacuum`.
    """
    if isinstance(db, SqliteDatabase):
        db.connection().executescript(f"PRAGMA {text}")


def driver_errors() -> tuple[type[Exception], ...]:
    """Return the exception types of the database driver, whether or not Peewee wraps them."""
    psycopg = sys.modules.get("psycopg")
    return (PeeweeException, sqlite3.Error, *([psycopg.Error] if psycopg else []))


class DiskFull(StoreUnavailable):
    """The database refused a write because its disk is full."""


class Clash(StoreUnavailable):
    """The database refused a row because another row has the same key."""


def disk_full(location: str, doubt: str = "") -> DiskFull:
    """Make the error for a full disk. Advises deleting copies if the ballast exists to give up."""
    possible = not is_url(location) and beside(location, BALLAST).exists()
    advice = "free space on that disk" + (", or delete copies" if possible else "")
    return DiskFull(f"The store {shown_location(location)} is not available (its disk is full): {advice}.{doubt}")


def _is_full(text: str, location: str) -> bool:
    """Whether the disk is full. SQLite reports an I/O error if there is no room for the log's index."""
    text = text.lower()
    if "disk is full" in text or "no space left" in text:
        return True
    if is_url(location) or not ("disk i/o error" in text or "unable to open" in text):
        return False
    try:
        return shutil.disk_usage(Path(location).absolute().parent).free < _INDEX_BYTES
    except OSError:
        return False


class sound:
    """Turn errors that impossible values in a row cause (text in a number, say) into `TamperedError` naming `what`."""

    __slots__ = ("_what",)

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        """Do nothing: only errors need work."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and isinstance(error, ABSURD):
            raise TamperedError(self._what, "a field holds an impossible value") from None


#: Errors that impossible values in a row can cause.
ABSURD = (TypeError, ValueError, OverflowError, AttributeError, struct.error)


def as_bytes(value: object) -> bytes:
    """Return a binary column's value. Raises TypeError for other types: `bytes(3)` would silently make three zeros."""
    if type(value) is not bytes and not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("not bytes")
    return bytes(value)


class Translated:
    """Turns driver errors inside a `with` block into `StoreUnavailable`, `StoreDamaged` or `StoreFormat`.

    The errors name the store. Stateless, so one instance may be entered repeatedly and by several threads. After an
    error it calls `db.heal()`.
    """

    __slots__ = ("_db", "_location")

    def __init__(self, location: str, db: StoreDatabase | None = None) -> None:
        self._location = location
        self._db = db

    def __enter__(self) -> None:
        """Do nothing: only errors need work."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and isinstance(error, driver_errors()):
            if self._db is not None:
                self._db.heal()
            raise _translation(error, self._location) from None


def translated(location: str) -> Translated:
    """Turn the driver's errors inside the block into `StoreUnavailable`, `StoreDamaged` or `StoreFormat`."""
    return Translated(location)


def _translation(error: BaseException, location: str) -> MailholdError:
    where = shown_location(location)
    text = next(iter(str(error).strip().splitlines()), "no reason given")
    # If the password contains '@', the driver's message shows its tail as part of the host name.
    text = re.sub(r"""(['"])[^'"\s]*@""", r"\1…@", text)
    if "not authorized" in text or "prohibited" in text:
        return StoreFormat(
            f"Not done: the tables of {where} are not as Mailhold created them ({text}). Run `mailhold check`."
        )
    if "malformed" in text:
        return StoreDamaged(where, text)
    if "not a database" in text:
        return StoreFormat(f"{where} is not a Mailhold store, or it is damaged ({text}). Give another one.")
    doubt = f" {DOUBT}" if isinstance(error, Doubtful | Unanswered) else ""
    if _is_full(str(error), location):
        return disk_full(location, doubt)
    if "Integrity" in type(error).__name__ or "Violation" in type(error).__name__:
        return Clash(f"The store {where} refused a row ({text}). Run `mailhold check`.")
    what = advice_on(text, None if is_url(location) else location)
    return StoreUnavailable(f"The store {where} is not available ({text}): {what}.{doubt}")
