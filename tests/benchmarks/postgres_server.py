"""A PostgreSQL server for the benchmarks: durable, with the settings that PostgreSQL comes with, data below `.bench/`.

A store of a given size is a copy of all rows of the SQLite store of that size, so both hold the same mail under the
same keys. A copy of it to be changed is made by the server (`CREATE DATABASE … TEMPLATE`).
"""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from store.database.tables import TABLES, make
from store.opening.opening import create_store
from store.vault.vault import Vault
from tests.benchmarks import store_maker
from tests.postgres import Cluster, Missing

_FOLDER = store_maker.FOLDER / "postgresql"
_TABLE = re.compile(r'CREATE TABLE "(\w+)"')
_COLUMN = re.compile(r'"(\w+)" (INTEGER|TEXT|BLOB)')
_TYPES = {"INTEGER": "int8", "TEXT": "text", "BLOB": "bytea"}


class Server:
    """The running server and its databases."""

    def __init__(self) -> None:
        """Start it. Raises `tests.postgres.Missing`."""
        _FOLDER.mkdir(parents=True, exist_ok=True)
        self._cluster = Cluster(_FOLDER.absolute(), "")

    def stop(self) -> None:
        """Stop the server and keep its data."""
        self._cluster.halt()

    def url(self, name: str) -> str:
        """Return the location of a database."""
        return self._cluster.database_url(name)

    def ask(self, sql: str, name: str = "postgres") -> list[Any]:
        """Execute one statement in a database, outside of a transaction. Returns its rows."""
        import psycopg

        with closing(psycopg.connect(self.url(name), autocommit=True)) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def drop(self, name: str) -> None:
        """Remove a database, also one in use."""
        self.ask(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def empty(self, name: str) -> Vault:
        """Make an empty store in a new database, replacing any of that name."""
        self.drop(name)
        self.ask(f"CREATE DATABASE {name}")
        return create_store(self.url(name), key_file=key_of(name))[0]

    def store(self, size: int) -> str:
        """Return the name of the database with `size` copies; make it if it is missing."""
        name = f"mail_{size}"
        stamp = _FOLDER / f"{name}.made"
        source = store_maker.store(size)
        made = json.dumps([store_maker.maker(), (source.stat().st_ino, len(TABLES))])
        if not stamp.exists() or stamp.read_text() != made:
            self.drop(name)
            self.ask(f"CREATE DATABASE {name}")
            _fill(self.url(name), source)
            shutil.copy(store_maker.key_of(source), key_of(name))
            # What autovacuum would do within a minute, while something else is measured.
            self.ask("VACUUM (ANALYZE)", name)
            self.ask("CHECKPOINT", name)
            stamp.write_text(made)
        return name

    def copy_of(self, source: str, name: str) -> str:
        """Copy a database for changing; returns the copy's name."""
        self.drop(name)
        self.ask(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY")
        shutil.copy(key_of(source), key_of(name))
        return name


def key_of(name: str) -> Path:
    """Return the key file of the store in a database."""
    return store_maker.FOLDER / f"postgresql-{name}.key"


@contextmanager
def server() -> Iterator[Server]:
    """Run the server. Raises `tests.postgres.Missing`."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise Missing("psycopg is not installed") from None
    running = Server()
    try:
        yield running
    finally:
        running.stop()


def _fill(url: str, source: Path) -> None:
    """Make the tables in a new database and copy all rows of a SQLite store into them."""
    import psycopg

    from store.database.connection import connect

    db = connect(url)
    with db.atomic():
        make(db)
    db.close_all()
    file = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    with closing(file), psycopg.connect(url) as connection, connection.cursor() as cursor:
        for text in TABLES:
            if (found := _TABLE.match(text)) is None:
                continue
            name, columns = found[1], _COLUMN.findall(text)
            names = ", ".join(f'"{column}"' for column, _ in columns)
            with cursor.copy(f"COPY {name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types([_TYPES[kind] for _, kind in columns])
                for row in file.execute(f"SELECT {names} FROM {name}"):  # of our own text alone
                    copy.write_row(row)
            if "AUTOINCREMENT" in text:
                highest = f"(SELECT COALESCE(MAX(id), 0) + 1 FROM {name})"
                cursor.execute(f"SELECT setval('{name}_id_seq', {highest}, false)")
