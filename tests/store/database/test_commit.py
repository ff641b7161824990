"""Commits that fail or whose answer is lost: the store's actual content is looked up and reported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import record_event
from store.authority.settings import Settings, read_settings
from store.check import check
from store.database.orm import PostgresqlDatabase
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests import system_calls
from tests.conftest import PASSPHRASE
from tests.system_calls import Fault


def _group(record: CopyRecord) -> list[tuple[bytes, CopyRecord, None]]:
    return [(b"%d:" % number * 100, record, None) for number in range(10)]


def _found_after_a_crash(vault: Vault, folder: Path) -> int:
    """Return how many copies a new process finds after reading the log as this process left it."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(vault.location + suffix, folder / f"mail.store{suffix}")
    again = open_store(str(folder / "mail.store"), Unlock.passphrase(PASSPHRASE))
    try:
        assert check(again).broken == []
        return len(again.ids())
    finally:
        again.close()


def _writes_of(work: Callable[[], object]) -> int:
    """Return how many times SQLite writes to the log during `work`."""
    seen = 0

    def count(path: Path, _number: int) -> None:
        nonlocal seen
        seen += path.name.endswith("-wal")

    with system_calls.writes(count):
        work()
    return seen


@pytest.mark.parametrize("once", [True, False])
def test_a_commit_whose_last_write_fails_stays_undone_or_is_said_to_be_doubtful(
    vault: Vault, record: CopyRecord, tmp_path: Path, once: bool
) -> None:
    vault.put_many(_group(record))
    last = _writes_of(lambda: vault.put_many(_group(record))) - 1

    def answer(_path: Path, number: int) -> Fault | None:
        if number == last:
            return Fault.WRITTEN
        return Fault.LOST if number > last and not once else None

    with system_calls.writes(answer), pytest.raises(StoreUnavailable, match="disk I/O error") as caught:
        vault.put_many(_group(record))
    assert ("The change that was being written may or may not be" in str(caught.value)) is not once
    assert "rollback" not in str(caught.value)
    assert len(vault.ids()) == 20
    assert _found_after_a_crash(vault, tmp_path / "crashed") == (20 if once else 30)
    vault.put_many(_group(record))
    assert _found_after_a_crash(vault, tmp_path / "after") == 30
    assert check(vault).broken == []


@pytest.fixture
def lost_answer(empty_postgres: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Vault, Callable[[], None]]:
    """Yield a vault on a server, and a function that makes the server drop the connection after the next commit."""
    import psycopg

    vault, _recovery = create_store(empty_postgres, passphrase=PASSPHRASE)
    commit = vault.db.commit

    def lose() -> None:
        monkeypatch.setattr(vault.db, "commit", commit)
        backend = vault.db.connection().info.backend_pid
        commit()
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
        vault.db.execute_sql("SELECT 1")

    return vault, lambda: monkeypatch.setattr(vault.db, "commit", lose)


@pytest.mark.integration
def test_a_commit_whose_answer_is_lost_is_found_done(
    lost_answer: tuple[Vault, Callable[[], None]], record: CopyRecord
) -> None:
    vault, lose = lost_answer
    lose()
    ids = vault.put_many(_group(record))
    assert vault.ids() == ids and len(ids) == 10
    lose()
    assert vault.delete(ids[:4], operator="ada").deleted == ids[:4]
    record_event(vault, "delete", operator="ada", copies=ids[:4])
    assert vault.ids() == ids[4:]
    vault.put(b"more", record)
    assert check(vault).broken == []
    vault.close()


@pytest.mark.integration
def test_a_change_whose_commit_has_no_answer_is_said_to_be_doubtful(
    empty_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    vault, _recovery = create_store(empty_postgres, passphrase=PASSPHRASE)
    commit = PostgresqlDatabase.commit

    def lose(db: Any) -> None:
        monkeypatch.setattr(PostgresqlDatabase, "commit", commit)
        backend = db.connection().info.backend_pid
        commit(db)
        with psycopg.connect(empty_postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
        db.execute_sql("SELECT 1")

    monkeypatch.setattr(PostgresqlDatabase, "commit", lose)
    with pytest.raises(StoreUnavailable, match="The change that was being written may or may not be in the store"):
        change_settings(vault, Settings(hold=7))
    assert read_settings(vault).hold == 7

    def lose_before(db: Any) -> None:
        monkeypatch.setattr(PostgresqlDatabase, "commit", commit)
        db.connection().close()
        commit(db)

    monkeypatch.setattr(PostgresqlDatabase, "commit", lose_before)
    with pytest.raises(StoreUnavailable) as caught:
        vault.put(b"x", CopyRecord())
    assert "may or may not" not in str(caught.value) and vault.ids() == []  # It was looked up: it is not there.
    vault.close()
