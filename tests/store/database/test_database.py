"""How the database is opened, and how errors of its driver are translated."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peewee
import pytest

from store.database import connection as database
from store.database.connection import DiskFull, as_bytes, run, shown_location, sound, translated
from store.opening.opening import Unlock, open_store
from store.terms.errors import MailholdError, StoreFormat, StoreUnavailable, TamperedError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE


def test_sqlite_is_set_up_for_a_file_that_others_can_write(vault: Vault, sql: Callable[..., Any]) -> None:
    expected = {
        "auto_vacuum": 2,
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 2,
        "temp_store": 2,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
    }
    assert {name: sql(vault, f"PRAGMA {name}")[0][0] for name in expected} == expected
    tables = sql(vault, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert tables and all(text.endswith((" STRICT", " STRICT, WITHOUT ROWID")) for (text,) in tables)
    for table in ("tombstone", "delivery", "delivery_recipient", "audit", "key_slot", "configuration"):
        assert any(f'"{table}"' in text and "AUTOINCREMENT" in text for (text,) in tables), table


def test_a_pragma_is_run_to_its_end(vault: Vault, sql: Callable[..., Any]) -> None:
    """One step of `incremental_vacuum` frees one page."""
    with vault.write():
        sql(vault, "CREATE TABLE filler (data BLOB)")
        sql(vault, "INSERT INTO filler VALUES (zeroblob(?))", 100 * database.PAGE_SIZE)
        sql(vault, "DROP TABLE filler")
    [(free,)] = sql(vault, "PRAGMA freelist_count")
    assert free >= 100
    database.pragma_to_its_end(vault.db, "incremental_vacuum(60)")
    assert sql(vault, "PRAGMA freelist_count") == [(free - 60,)]


def test_a_store_that_is_held_by_another_program(
    store: str, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, open_again: Callable[[], Vault]
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    vault = open_again()
    holder = sqlite3.connect(store, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="try again"):
        vault.put(b"x", record)
    assert vault.ids() == []
    holder.execute("ROLLBACK")
    holder.close()
    assert vault.raw(vault.put(b"y", record)) == b"y"


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (peewee.OperationalError("database or disk is full"), DiskFull, "free space"),
        (peewee.OperationalError("could not extend file: No space left on device"), DiskFull, "free space"),
        (sqlite3.OperationalError("database is locked"), StoreUnavailable, "try again"),
        (sqlite3.OperationalError("attempt to write a readonly database"), StoreUnavailable, "permissions"),
        (sqlite3.DatabaseError("file is not a database"), StoreFormat, "Give another"),
        (sqlite3.DatabaseError("database disk image is malformed"), StoreFormat, "damaged"),
        (sqlite3.DatabaseError("database disk image is malformed"), StoreUnavailable, "disk errors"),
        (peewee.InterfaceError(""), StoreUnavailable, "no reason given"),
    ],
)
def test_errors_say_what_to_do(error: Exception, kind: type[MailholdError], advice: str) -> None:
    with pytest.raises(kind, match=advice) as caught, translated("postgresql://u:secret@host/db"):
        raise error
    assert "secret" not in str(caught.value)


def test_the_end_of_a_password_that_the_driver_takes_for_a_host_is_not_shown() -> None:
    with pytest.raises(StoreUnavailable) as caught, translated("postgresql://u:pw@secret@host/db"):
        raise peewee.OperationalError("failed to resolve host 'secret@host': Name or service not known")
    assert "secret" not in str(caught.value) and "host" in str(caught.value)


def test_our_own_errors_and_mistakes_pass() -> None:
    for error in (StoreFormat("x"), KeyError("x")):
        with pytest.raises(type(error)), translated("somewhere"):
            raise error


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/var/lib/mail.store", "/var/lib/mail.store"),
        ("postgresql://u:pw@h/db", "postgresql://u:…@h/db"),
        ("postgresql://u:p/w@d@h/db", "postgresql://u:…@h/db"),
        ("postgresql://h:5432/db", "postgresql://h:5432/db"),
        ("postgresql://u@h/db?password=pw&x=1", "postgresql://u@h/db?password=…&x=1"),
        ("postgresql:///db?host=/run", "postgresql:///db?host=/run"),
    ],
)
def test_a_location_never_shows_its_password(location: str, shown: str) -> None:
    assert shown_location(location) == shown


def test_absurd_values() -> None:
    with pytest.raises(TypeError):
        as_bytes(1 << 40)
    for error in (TypeError, ValueError, OverflowError):
        with pytest.raises(TamperedError, match="Thing"), sound("thing"):
            raise error


def test_lists_of_ids_of_any_length(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 5)
    wanted = [ids[1], *range(10_000, 60_000)]
    assert run(any_vault.db, "SELECT id FROM message WHERE id = ANY(?)", wanted).fetchall() == [(ids[1],)]
    assert run(any_vault.db, "SELECT id FROM message WHERE id = ANY(?)", []).fetchall() == []
    assert run(any_vault.db, "SELECT id FROM message WHERE id = ANY(?)", [ids[0]]).fetchall() == [(ids[0],)]


def test_an_id_that_no_row_can_have_is_not_found(vault: Vault) -> None:
    assert run(vault.db, "SELECT id FROM message WHERE id = ANY(?)", [1 << 80]).fetchall() == []
    assert vault.delete([1 << 80]).missing == [1 << 80]


def test_closing_while_another_thread_reads_does_not_end_the_process(store: str) -> None:
    code = f"""
import threading, time
from store.opening.opening import Unlock, open_store
vault = open_store({store!r}, Unlock.passphrase({PASSPHRASE!r}))
begun = threading.Event()
def read():
    with vault.reading():
        vault.db.connect(reuse_if_open=True)
        begun.set()
        for _ in range(200):
            sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000) SELECT max(x) FROM c"
            vault.db.execute_sql(sql).fetchall()
thread = threading.Thread(target=read)
thread.start()
begun.wait()
time.sleep(0.05)
vault.close()
thread.join()
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, "ended"), done.stderr


def test_a_store_that_was_removed_does_not_come_back_empty(vault: Vault) -> None:
    path = Path(vault.location)
    for name in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)

    said: list[str] = []

    def read() -> None:
        try:
            with vault.reading():
                run(vault.db, "SELECT COUNT(*) FROM message")
        except StoreUnavailable as error:
            said.append(str(error))

    thread = threading.Thread(target=read)  # Peewee makes its own connection.
    thread.start()
    thread.join()
    assert not path.exists() and len(said) == 1


def test_postgresql_sends_results_in_binary(postgres_store: str) -> None:
    """As text, a body would take two digits a byte."""
    vault = open_store(postgres_store, Unlock.passphrase(PASSPHRASE))
    copy_id = vault.put(b"raw", CopyRecord(subject="Straße"))
    with vault.reading():
        cursor = run(vault.db, "SELECT id, record FROM message WHERE id = ?", copy_id)
        assert [cursor.pgresult.fformat(column) for column in range(2)] == [1, 1]
    assert (vault.raw(copy_id), vault.get(copy_id).record.subject) == (b"raw", "Straße")
    vault.close()
