"""Peewee, without the PostgreSQL driver until a store needs it: where one is installed, Peewee imports it at once.

That takes 70 ms and 12 MB of every console, command and child process. Import Peewee's names from here, never from it.
"""

from __future__ import annotations

import sys

from store.terms.errors import NotInstalled

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
    "Model",
    "Node",
    "PeeweeException",
    "PostgresqlDatabase",
    "SqliteDatabase",
    "TextField",
    "fn",
    "load_postgresql",
]


def load_postgresql() -> None:
    """Give Peewee psycopg, as if it had imported it. Raises NotInstalled where that, or its libpq, is not there."""
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
