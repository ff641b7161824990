"""Peewee, and what the store takes from it that Peewee does not promise. Import its names from here, never from it.

Not promised are the five parts marked below, each with why nothing public does it: they are so at Peewee 4.5.0 and at
4.5.3. `test_orm.py` has a test of each, against what is seen.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from store.terms.errors import NotInstalled

# Part one: when it is imported, Peewee imports every PostgreSQL driver that it finds, and puts up with none. That takes
# 70 ms and 12 MB of every console, command and child process, so it is to find none.
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
    """Give Peewee psycopg, as if it had imported it. Raises NotInstalled where that, or its libpq, is not there.

    Part two: Peewee holds the driver in variables of its module and of the class that adapts it, and nowhere else.
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
    """Let go of this thread's connection without a word to the database.

    Part three: Peewee's `close` talks to the server, and refuses in the midst of a transaction.
    """
    db._state.reset()  # type: ignore[attr-defined]  # Peewee has no types


class TellingPostgresql(PostgresqlDatabase):
    """A PostgreSQL database that tells of each connection that it makes.

    Part four: Peewee answers only for the connection of the thread that asks, and calls nothing when it makes one.
    """

    def connection_made(self, connection: Any) -> None:
        """Set up each of the driver's connections, in the thread that will use it."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]  # a mixin's base is known where it is mixed in
        self.connection_made(connection)
        return connection


class LenientSqlite(SqliteDatabase):
    """A SQLite database in which text that is no UTF-8 reads with U+FFFD in it: one such value hides no row beside it.

    Part five: `sqlite3` raises for such text, unless the connection says otherwise before it is used. It tells of each
    connection that it makes as well.
    """

    def connection_made(self, connection: Any) -> None:
        """Set up each connection of `sqlite3`, in the thread that will use it."""

    def _connect(self) -> Any:
        connection = super()._connect()  # type: ignore[misc]  # Peewee has no types
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        self.connection_made(connection)
        return connection
