"""Import Peewee's names from here, never from Peewee: six uses of it below rely on undocumented behaviour.

They are marked "part one" to "part six", each with why no public function serves. They hold for Peewee 4.5.0 and
4.5.3; `test_orm.py` tests each by its effect.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from store.terms.errors import NotInstalled

# Part one: on import, Peewee imports every PostgreSQL driver it finds (70 ms and 12 MB in every console, command and
# child process) but works without. So hide the drivers from it.
_DRIVERS = [name for name in ("psycopg", "psycopg2", "psycopg2cffi") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_DRIVERS))  # type: ignore[arg-type]  # None is how the import system spells "not there"
try:
    import peewee
    from peewee import (
        SQL,
        BigAutoField,
        BigIntegerField,
        BlobField,
        Case,
        Database,
        Field,
        Model,
        Node,
        PeeweeException,
        PostgresqlDatabase,
        SqliteDatabase,
        TextField,
        fn,
    )
finally:
    for _name in _DRIVERS:
        del sys.modules[_name]

__all__ = [
    "SQL",
    "BigAutoField",
    "BigIntegerField",
    "BlobField",
    "Case",
    "Database",
    "Field",
    "LenientSqlite",
    "Model",
    "Node",
    "PeeweeException",
    "PostgresqlDatabase",
    "SqliteDatabase",
    "TellingPostgresql",
    "TextField",
    "fn",
    "forget_connection",
    "load_postgresql",
]


def load_postgresql() -> None:
    """Import psycopg and give it to Peewee. Raises NotInstalled where that, or its libpq, is missing.

    Part two: Peewee keeps the driver in variables of its module and in the class `Psycopg3Adapter`, and nowhere else.
    """
    if vars(peewee)["psycopg"] is not None:
        return
    try:
        import psycopg
        from psycopg.pq import TransactionStatus
        from psycopg.types.json import Json, Jsonb
    except ImportError:
        raise NotInstalled("A store in PostgreSQL", "psycopg with its libpq", "postgresql") from None
    adapter = peewee.Psycopg3Adapter
    adapter.txn_idle, adapter.txn_inerror = TransactionStatus.IDLE, TransactionStatus.INERROR
    adapter.txn_unknown = TransactionStatus.UNKNOWN
    names = {"psycopg": psycopg, "TransactionStatus": TransactionStatus, "Json_pg3": Json, "Jsonb_pg3": Jsonb}
    vars(peewee).update(names)


def forget_connection(db: Database) -> None:
    """Drop the reference to this thread's connection without talking to the database.

    Part three: Peewee's `close` talks to the server, and refuses inside a transaction.
    """
    db._state.reset()  # type: ignore[attr-defined]  # Peewee has no types


class TellingPostgresql(PostgresqlDatabase):
    """A PostgreSQL database with a hook for each new connection.

    Part four: Peewee has no such hook, and knows only the connection of the calling thread.
    """

    def connection_made(self, connection: Any) -> None:
        """Set up a new connection of the driver, in the thread that will use it."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]  # a mixin's base is known where it is mixed in
        self.connection_made(connection)
        return connection


class LenientSqlite(SqliteDatabase):
    """A SQLite database that reads invalid UTF-8 in a text column as U+FFFD, so that one bad value hides no other row.

    Part five: `sqlite3` raises for such text unless `text_factory` is set before the connection is used. Has the same
    hook for new connections.
    """

    def connection_made(self, connection: Any) -> None:
        """Set up a new connection of `sqlite3`, in the thread that will use it."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]  # Peewee has no types
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        self.connection_made(connection)
        return connection

    def connection(self) -> Any:
        """Return this thread's connection. Connects if there is none.

        Part six: Peewee's own does the same in three calls, before each statement.
        """
        state = self._state  # type: ignore[attr-defined]  # Peewee has no types
        if state.closed:
            self.connect()
        return state.conn
