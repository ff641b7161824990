"""The store of format 1 kept as test data, as a file or in PostgreSQL; and its content."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "data" / "stores" / "format_1"
CONTENT = json.loads((DATA / "content.json").read_text())
PASSPHRASE = CONTENT["passphrase"]


def secret(name: str, folder: Path) -> Path:
    """Copy a secret file of the store, readable by its owner only."""
    path = folder / name
    shutil.copyfile(DATA / name, path)
    path.chmod(0o600)
    return path


def in_sqlite(folder: Path) -> str:
    """Return the location of the store as a file in `folder`."""
    return str(secret("mail.store", folder))


def in_postgresql(location: str) -> str:
    """Fill the empty schema of `location` with the tables and rows of the format 1 store."""
    import psycopg
    from psycopg import sql

    with (
        closing(sqlite3.connect(f"file:{DATA / 'mail.store'}?mode=ro&immutable=1", uri=True)) as source,
        psycopg.connect(location) as target,
    ):
        target.execute((DATA / "postgresql.sql").read_bytes())
        for table in CONTENT["rows"]:
            rows = source.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                text = sql.SQL("INSERT INTO {} VALUES ({})").format(
                    sql.Identifier(table), sql.SQL(", ").join([sql.Placeholder()] * len(rows[0]))
                )
                target.cursor().executemany(text, rows)
        numbers = "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)"
        for table, newest in source.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
            target.execute(numbers, (table, newest))
    return location


def rows_of(location: str) -> dict[str, Any]:
    """Return every row of every table and the tables' definitions: equal for two equal stores."""
    found: dict[str, Any] = {}
    if "://" not in location:
        with closing(sqlite3.connect(location)) as db:
            found["schema"] = sorted(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall())
            found["version"] = db.execute("PRAGMA user_version").fetchall()
            for table in [name for kind, name, *_ in found["schema"] if kind == "table"]:
                found[table] = sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
        return found
    import psycopg

    with psycopg.connect(location) as connection:
        columns = (
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = current_schema() ORDER BY 1, 2"
        )
        found["schema"] = connection.execute(columns).fetchall()
        for table in sorted({name for name, *_ in found["schema"]}):
            rows = connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
            found[table] = sorted([tuple(map(_plain, row)) for row in rows], key=repr)
    return found


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else value
