"""Connecting to the database that holds a store: SQLite in one file, or PostgreSQL under a URL; its one manner of SQL.

A statement is text, `?` for a value and `= ANY(?)` for a list of integers, and `run` or `run_many` takes it to the
database at hand; `pragma` is for what only SQLite has. Only a row that is read or written whole, because it is signed
or sealed, goes through its model (`store.database.schema`), and models do nothing else: no counts, single columns,
updates or deletes. Nobody outside this room calls the driver or Peewee's `execute_sql`.
Text of statements stands with the functions that need it, in the room that its table belongs to.

Errors of the driver become `StoreUnavailable`, with what to do; a location never shows its password.
"""

from __future__ import annotations

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

from store.database.authorizing import Authorizer
from store.database.committing import DOUBT, Doubtful, commit
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
from store.terms.errors import MailholdError, StoreDamaged, StoreFormat, StoreUnavailable, TamperedError

PAGE_SIZE = 4096
BUSY_SECONDS = 15
#: What the name of the file that is given up on a full disk has more than the store's.
BALLAST = ".ballast"
#: Pages in the log after which SQLite brings them to the file, and the part of a small disk that they may take.
_LOG_PAGES, _LOG_SHARE = 1000, 24
#: What the index of a write-ahead log takes at least.
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
        """Let this thread make and drop tables inside."""
        return self._authorizer.making()

    def begin(self, lock_type: str | None = None) -> None:
        """Begin, past Peewee: a write transaction, unless another kind is asked for."""
        self.connection().execute(f"BEGIN {lock_type or 'IMMEDIATE'}")

    def commit(self) -> None:
        """Commit. Raises Doubtful where that failed, and what was written may all the same be in the log."""
        commit(self.connection())

    def rollback(self) -> None:
        """Roll back, where SQLite did not do so by itself: it does when it cannot write."""
        if self.connection().in_transaction:
            super().rollback()

    def abandon(self) -> None:
        """Forget every connection without closing it: a forked child shares them with its parent."""
        forget_connection(self)

    def heal(self) -> None:
        """Nothing is to be done: no server closes these connections."""

    def close_all(self) -> None:
        """Close this thread's connection, and let go of the others: each closes with its thread or with this object.

        SQLite's connections do not stand being closed while another thread executes something over them: that is the
        end of the process.
        """
        with suppress(*driver_errors()):
            self.close()
        forget_connection(self)


class PostgresStore(TellingPostgresql):
    """A store's database on a PostgreSQL server, which knows the connections of all threads."""

    mode, read_only = Mode.WRITE, None

    def making(self) -> AbstractContextManager[None]:
        """Let this thread make and drop tables inside: the server asks nobody."""
        return nullcontext()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._opened: weakref.WeakSet[Any] = weakref.WeakSet()
        self._opened_lock = threading.Lock()
        super().__init__(*arguments, **options)

    def connection_made(self, connection: Any) -> None:
        connection.execute(_FIX_PATH)
        connection.commit()
        with self._opened_lock:
            self._opened.add(connection)

    def close_all(self) -> None:
        """Close the connections of all threads: a server has room for so many."""
        with self._opened_lock:
            opened = list(self._opened)
            self._opened.clear()
        for connection in opened:
            with suppress(*driver_errors()):
                connection.close()
        forget_connection(self)

    def abandon(self) -> None:
        """Forget every connection without closing it: a forked child shares them with its parent."""
        self._opened, self._opened_lock = weakref.WeakSet(), threading.Lock()
        forget_connection(self)

    def heal(self) -> None:
        """Drop this thread's connection where the server closed it, so that the next use makes a new one."""
        if not self.is_closed() and self.connection().closed:
            forget_connection(self)


#: Look for tables in one schema alone: the first in the search path that holds a store, else the first of them.
_FIX_PATH = """
SELECT pg_catalog.set_config('search_path', pg_catalog.quote_ident(COALESCE((
    SELECT nspname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = 'store' AND nspname = ANY(pg_catalog.current_schemas(false))
    ORDER BY pg_catalog.array_position(pg_catalog.current_schemas(false), nspname) LIMIT 1
), pg_catalog.current_schema(), 'public')) || ', pg_temp', false)
"""

StoreDatabase = SqliteStore | PostgresStore


def is_url(location: str) -> bool:
    """Whether `location` names a PostgreSQL database rather than a file."""
    return location.startswith(("postgresql://", "postgres://"))


def shown_location(location: str) -> str:
    """`location` without its password."""
    if not is_url(location):
        return location
    location = re.sub(r"(://[^:@/?]*):.*@", r"\1:…@", location)
    return re.sub(r"(password=)[^&]*", r"\1…", location)


def beside(location: str, suffix: str) -> Path:
    """Return the path beside a SQLite store with `suffix` added: "-wal" is the write-ahead log, "-shm" its index."""
    return Path(f"{Path(location).absolute()}{suffix}")


def connect(location: str, mode: Mode = Mode.WRITE, read_only: ReadOnly | None = None) -> StoreDatabase:
    """Make the database object of `location`, not yet connected; connecting raises what `translated` translates.

    `mode`, and why it is no other, are for a file of SQLite's: `store.database.access` finds them out. Raises
    NotInstalled for PostgreSQL without its driver.
    """
    if is_url(location):
        load_postgresql()
        return PostgresStore(
            "postgresql://" + location.split("://", 1)[1],
            prefer_psycopg3=True,
            isolation_level="READ COMMITTED",
            connect_timeout=10,
            application_name="mailhold",
        )
    return SqliteStore(
        Path(location).absolute(),
        mode,
        read_only,
        # None of these writes to a store: auto_vacuum, which does, is for `lay_out` alone.
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
        # Every transaction is a write transaction from its start: one that turns into one later can fail at once.
        lock_type="IMMEDIATE",
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )


def _log_pages(location: str) -> int:
    """Pages that the log may hold before they are brought to the file: on a small disk no more than its ballast has."""
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
    """Execute SQL that is written with `?` for a value and `= ANY(?)` for a list of integers. Returns the cursor."""
    if not isinstance(db, SqliteDatabase):
        return db.execute_sql(_dialect(sql, False), values)
    one = False
    if list in map(type, values):
        one = all(len(value) == 1 and value[0].bit_length() < 64 for value in values if isinstance(value, list))
        values = tuple((value[0] if one else str(value)) if isinstance(value, list) else value for value in values)
    # Past Peewee, whose way there takes longer than a short statement does.
    return db.connection().execute(_dialect(sql, True, one), values)


@contextmanager
def snapshot(db: Database) -> Iterator[None]:
    """Let all reads inside see the database at one moment. Joins a transaction that this thread has open."""
    if db.in_transaction():
        yield
        return
    way = "DEFERRED" if isinstance(db, SqliteDatabase) else "ISOLATION LEVEL REPEATABLE READ READ ONLY"
    db.execute_sql(f"BEGIN {way}")
    try:
        yield
    finally:
        db.execute_sql("ROLLBACK")


def run_many(db: Database, sql: str, rows: list[tuple[Any, ...]]) -> None:
    """Execute SQL that is written with `?` once for each of `rows`."""
    if len(rows) == 1:
        run(db, sql, *rows[0])  # Of one, psycopg would make a pipeline.
        return
    db.cursor().executemany(_dialect(sql, isinstance(db, SqliteDatabase)), rows)


def pragma(db: Database, text: str) -> Any:
    """Run ``PRAGMA text`` on SQLite and return its value, None for no value. None on PostgreSQL, which has no
    pragmas.
    """
    if not isinstance(db, SqliteDatabase):
        return None
    row = db.connection().execute(f"PRAGMA {text}").fetchone()
    return row[0] if row else None


def pragma_to_its_end(db: Database, text: str) -> None:
    """Run ``PRAGMA text`` on SQLite, outside of a transaction, to its end.

    Python's `execute` takes the first step only, which for `incremental_vacuum` frees one page.
    """
    if isinstance(db, SqliteDatabase):
        db.connection().executescript(f"PRAGMA {text}")


def driver_errors() -> tuple[type[Exception], ...]:
    """Return the exception types of the database's driver, raised through Peewee or beside it."""
    psycopg = sys.modules.get("psycopg")
    return (PeeweeException, sqlite3.Error, *([psycopg.Error] if psycopg else []))


class DiskFull(StoreUnavailable):
    """The database refused a write because its disk is full."""


class Clash(StoreUnavailable):
    """The database refused a row because there is one of that id already."""


def disk_full(location: str, doubt: str = "") -> DiskFull:
    """Make the error of a full disk. If the ballast is there, it advises to delete copies."""
    possible = not is_url(location) and beside(location, BALLAST).exists()
    advice = "free space on that disk" + (", or delete copies" if possible else "")
    return DiskFull(f"The store {shown_location(location)} is not available (its disk is full): {advice}.{doubt}")


def _is_full(text: str, location: str) -> bool:
    """Whether the disk is full. SQLite calls it an I/O error where there is no room for the log's index."""
    text = text.lower()
    if "disk is full" in text or "no space left" in text:
        return True
    if is_url(location) or not ("disk i/o error" in text or "unable to open" in text):
        return False
    try:
        return shutil.disk_usage(Path(location).absolute().parent).free < _INDEX_BYTES
    except OSError:
        return False


@contextmanager
def sound(what: str) -> Iterator[None]:
    """Turn what a row of absurd values provokes (text where a number belongs) into `TamperedError` naming `what`."""
    try:
        yield
    except ABSURD:
        raise TamperedError(what, "a field holds a value that it cannot have") from None


#: What absurd values in a row provoke.
ABSURD = (TypeError, ValueError, OverflowError, AttributeError, struct.error)


def as_bytes(value: object) -> bytes:
    """Return a binary column's value. Raises TypeError for other types: `bytes(3)` would silently make three zeros."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("not bytes")
    return bytes(value)


class Translated:
    """Turns the driver's errors into `StoreUnavailable`, `StoreDamaged` or `StoreFormat`, naming the store.

    Holds no state, so that one may be entered again and again, by several threads. `db` is healed after an error.
    """

    __slots__ = ("_db", "_location")

    def __init__(self, location: str, db: StoreDatabase | None = None) -> None:
        self._location = location
        self._db = db

    def __enter__(self) -> None:
        """Nothing is to be done before an error."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None and isinstance(error, driver_errors()):
            if self._db is not None:
                self._db.heal()
            raise _translation(error, self._location) from None


def translated(location: str) -> Translated:
    """Turn the driver's errors into `StoreUnavailable` or `StoreFormat`, naming the store."""
    return Translated(location)


def _translation(error: BaseException, location: str) -> MailholdError:
    where = shown_location(location)
    text = next(iter(str(error).strip().splitlines()), "no reason given")
    # Of a password with an @ in it the driver takes the end for the host's.
    text = re.sub(r"""(['"])[^'"\s]*@""", r"\1…@", text)
    if "not authorized" in text or "prohibited" in text:
        return StoreFormat(
            f"The tables of {where} are not those that Mailhold makes ({text}), so this was not done: run "
            "`mailhold check`."
        )
    if "malformed" in text:
        return StoreDamaged(where, text)
    if "not a database" in text:
        return StoreFormat(f"{where} is not a Mailhold store, or it is damaged ({text}): name another one.")
    doubt = f" {DOUBT}" if isinstance(error, Doubtful) else ""
    if _is_full(str(error), location):
        return disk_full(location, doubt)
    if "Integrity" in type(error).__name__ or "Violation" in type(error).__name__:
        return Clash(f"The store {where} refused a row ({text}): run `mailhold check`.")
    if "readonly" in text or "read-only" in text or "permission" in text.lower():
        advice = "check who owns it and its permissions"
    elif "disk I/O error" in text:
        advice = "look for errors of its disk in the system's log"
    elif "locked" in text:
        advice = "another program has held it for too long, try again"
    else:
        advice = "check that the database is there and that this user may use it"
    return StoreUnavailable(f"The store {where} is not available ({text}): {advice}.{doubt}")
