"""The parts of Peewee that the store uses although Peewee does not guarantee them."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from peewee import InterfaceError

from store.database.orm import LenientSqlite, SqliteDatabase, TellingPostgresql, forget_connection, load_postgresql

#: Prints Peewee's objects that belong to a PostgreSQL driver; the test puts lines in front.
_HELD = """
import peewee, re, types
def shown(value):
    return value.__name__ if isinstance(value, types.ModuleType) else re.sub(" at 0x[0-9a-f]+", "", repr(value))
print({name: shown(value) for name, value in sorted(vars(peewee).items()) if "psycopg" in shown(value).lower()})
print({name: shown(value) for name, value in sorted(vars(peewee.Psycopg3Adapter).items()) if "txn" in name})
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout


def test_importing_it_leaves_the_drivers_alone_and_importable() -> None:
    pytest.importorskip("psycopg")
    code = "import sys, store.database.orm; print('psycopg' in sys.modules); import psycopg; print(psycopg.__name__)"
    assert run(code).split() == ["False", "psycopg"]


def test_a_driver_that_is_loaded_late_is_held_as_one_that_peewee_imported_itself() -> None:
    pytest.importorskip("psycopg")
    late = run(f"from store.database.orm import load_postgresql; load_postgresql()\n{_HELD}")
    assert late == run(_HELD)
    assert "'psycopg': 'psycopg'" in late


def test_a_connection_that_is_forgotten_is_not_closed_and_the_next_use_makes_another(tmp_path: Path) -> None:
    db = SqliteDatabase(str(tmp_path / "a.db"))
    first = db.connection()
    first.execute("BEGIN")
    forget_connection(db)
    assert db.is_closed()
    assert db.connection() is not first
    assert first.in_transaction
    db.close()
    first.close()


def test_a_database_tells_of_each_connection_that_it_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg = pytest.importorskip("psycopg")

    class Telling(TellingPostgresql):
        made: ClassVar[list[Any]] = []

        def connection_made(self, connection: Any) -> None:
            self.made.append(connection)

    load_postgresql()
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: MagicMock())
    db = Telling("postgresql://nowhere/mailhold", prefer_psycopg3=True)
    first = db.connection()
    forget_connection(db)
    second = db.connection()
    assert first is not second
    assert Telling.made == [first, second]


def test_a_connection_is_made_when_it_is_first_used_and_is_then_the_same_in_a_thread(tmp_path: Path) -> None:
    db = LenientSqlite(str(tmp_path / "a.db"))
    assert db.is_closed()
    first = db.connection()
    assert not db.is_closed() and db.connection() is first is SqliteDatabase.connection(db)
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(lambda: (db.connection(), db.connection(), db.close())).result()
    assert others[0] is others[1] is not first
    forget_connection(db)
    assert db.connection() is not first
    db.close()
    with pytest.raises(InterfaceError):
        LenientSqlite(None).connection()
    first.close()


def test_text_that_is_no_utf_8_is_read_with_a_replacement(tmp_path: Path) -> None:
    db = LenientSqlite(str(tmp_path / "a.db"))
    assert db.connection().execute("SELECT CAST(x'61E962' AS TEXT)").fetchone() == ("a\N{REPLACEMENT CHARACTER}b",)
    db.close()
