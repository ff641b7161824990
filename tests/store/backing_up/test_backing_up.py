"""A backup holds the store at one moment, despite concurrent writers, and gets its name only after verification."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import record_event
from store.backing_up.backing_up import Backup, back_up, destination
from store.check import check
from store.database import copying
from store.database.modes import Use
from store.opening.opening import Unlock, create_store, open_store
from store.terms.errors import BackupError, StoreFormat, StoreMissing, StoreUnavailable, UsageError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.postgres import Cluster
from tests.small_disk import small_disk
from tests.store.upgrading.format_1 import in_sqlite, rows_of, secret

KEY = Unlock.passphrase(PASSPHRASE)


def ids(location: Path | str) -> list[int]:
    """Return the ids of the copies; assert that the store is intact."""
    with closing(open_store(str(location), KEY)) as vault:
        assert not check(vault).broken
        return [row[0] for row in vault.rows(0, 10_000)]


def test_what_is_written_meanwhile_is_not_in_it_and_nobody_waits(
    vault: Vault, open_again: Callable[[], Vault], put_some: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "STEP", 4)
    before = put_some(vault, 20, 2000)
    other, steps = open_again(), []

    def write(done: int, total: int) -> None:
        steps.append((done, total))
        put_some(other, 1)

    made = back_up(vault.location, tmp_path / "copy", KEY, copying=write)
    assert steps[-1][0] == steps[-1][1] and len(steps) == -(-steps[-1][1] // 4)  # No page was copied again.
    assert made == Backup(tmp_path / "copy", (tmp_path / "copy").stat().st_size, 20, newest_event=None, sealed=True)
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith("copy")} == {"copy"}
    assert ids(made.path) == before and vault.count().messages == 20 + len(steps)


def test_what_was_seen_since_does_not_make_it_older(
    vault: Vault, open_again: Callable[[], Vault], put_some: Any, tmp_path: Path
) -> None:
    put_some(vault, 2)

    def write(_done: int, _total: int) -> None:
        with closing(open_again()) as other:
            record_event(other, "saved", operator="ann")

    assert back_up(vault.location, tmp_path / "copy", KEY, copying=write).broken == []
    vault.close()
    with pytest.raises(StoreUnavailable, match="older than what was seen"):
        open_store(str(tmp_path / "copy"), KEY)


def test_a_writer_who_is_in_the_midst_of_it_is_not_waited_for(
    vault: Vault, put_some: Any, sql: Any, tmp_path: Path
) -> None:
    put_some(vault, 3)
    with vault.write():
        sql(vault, "DELETE FROM message")
        made = back_up(vault.location, tmp_path / "copy")
    assert (made.messages, made.broken) == (3, [])


def test_without_a_key(vault: Vault, put_some: Any, sql: Any, tmp_path: Path) -> None:
    put_some(vault, 3)
    made = back_up(vault.location, tmp_path / "copy")
    assert (made.messages, made.sealed, made.broken) == (3, False, [])
    sql(vault, "UPDATE state SET messages = 4")
    sql(vault, "CREATE INDEX other ON audit (at)")
    broken = dict(back_up(vault.location, tmp_path / "other").broken)
    assert broken == {
        "the table of counters": "its counts do not match the copies",
        "the tables": "there is a index other",
    }


def test_what_is_broken_in_the_store_is_copied_but_over_no_other(
    vault: Vault, put_some: Any, sql: Any, tmp_path: Path
) -> None:
    first, _ = put_some(vault, 2)
    good = tmp_path / "good"
    back_up(vault.location, good, KEY)
    before = good.read_bytes()
    sql(vault, "UPDATE body SET sealed = zeroblob(length(sealed)) WHERE id = ?", first)
    made = back_up(vault.location, tmp_path / "other", KEY)
    assert [what for what, _ in made.broken] == [f"copy {first}"] and made.path.exists()
    with pytest.raises(BackupError, match=f"good was not replaced.*copy {first}"):
        back_up(vault.location, good, KEY, force=True)
    assert good.read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))
    back_up(vault.location, good, force=True)
    assert good.read_bytes() != before


def test_a_damaged_file_is_no_backup(vault: Vault, put_some: Any, tmp_path: Path) -> None:
    put_some(vault, 300)
    vault.close()
    with Path(vault.location).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(size - 40 * 4096)
        file.write(bytes(40 * 4096))
    with pytest.raises(BackupError, match="The backup is damaged, and was not kept"):
        back_up(vault.location, tmp_path / "copy")
    assert not list(tmp_path.glob("copy*"))


@pytest.mark.parametrize(("unlock", "stop_at"), [(None, 1), (KEY, 2)])
def test_it_can_be_called_off(vault: Vault, put_some: Any, tmp_path: Path, unlock: Unlock, stop_at: int) -> None:
    put_some(vault, 5)
    asked: list[None] = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) >= stop_at

    with pytest.raises(KeyboardInterrupt):
        back_up(vault.location, tmp_path / "copy", unlock, cancelled=cancelled)
    assert not list(tmp_path.glob("copy*"))


def test_the_wrong_key_is_told_before_anything_is_copied(store: str, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="No key slot opens"):
        back_up(store, tmp_path / "copy", Unlock.passphrase("wrong"), copying=lambda *_: pytest.fail("it was copied"))


def test_a_full_disk_is_told_as_that_of_the_backup(vault: Vault, record: CopyRecord, tmp_path: Path) -> None:
    vault.put(os.urandom(2_000_000), record)
    with small_disk(1) as folder:
        with pytest.raises(BackupError, match=f"cannot be written: the disk of {folder} is full"):
            back_up(vault.location, folder / "copy")
        assert not list(folder.iterdir())


def test_a_store_of_a_former_format(tmp_path: Path) -> None:
    location = in_sqlite(tmp_path)
    made = back_up(location, tmp_path / "copy", Unlock.key_file(secret("key-file", tmp_path)))
    assert (made.format, made.sealed, made.broken) == (1, False, [])
    assert rows_of(str(made.path)) == rows_of(location)


def test_where_it_is_written(store: str, tmp_path: Path) -> None:
    there, folder = tmp_path / "there", tmp_path / "folder"
    there.write_text("x")
    folder.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert destination(store, tmp_path / "new") == tmp_path / "new"
    assert destination(store, there, force=True) == there
    assert destination(store, folder).parent == folder
    assert destination(store, folder).name.startswith("mail-2") and destination(store, folder).suffix == ".store"
    for target in (there, tmp_path / "link"):
        with pytest.raises(UsageError, match="already exists"):
            destination(store, target)
    with pytest.raises(UsageError, match="is the store itself"):
        destination(store, Path(store), force=True)
    (tmp_path / "there-wal").touch()
    with pytest.raises(UsageError, match="a store in use"):
        destination(store, there, force=True)
    with pytest.raises(StoreMissing):
        destination(str(tmp_path / "none"), tmp_path / "new")
    with pytest.raises(StoreFormat):
        destination(str(there), tmp_path / "new")


def test_a_folder_that_is_not_there(store: str, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"No such file or directory\. Give another place"):
        back_up(store, tmp_path / "none" / "copy")


@pytest.fixture
def archives(postgres: Cluster, empty_postgres: str) -> Iterator[Callable[[Path], str]]:
    """Return a function that restores an archive into an empty database and returns its location."""
    import psycopg

    name = f"restored{os.getpid()}"
    schema = empty_postgres.rpartition("%3D")[2]
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())

    def restore(archive: Path) -> str:
        location = postgres.database_url(name)
        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        options = ["--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={location}"]
        subprocess.run(["pg_restore", *options, archive], check=True)
        return f"{location}&options=-csearch_path%3D{schema}"

    yield restore
    with psycopg.connect(postgres.database_url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.integration
def test_an_archive_of_postgresql(
    empty_postgres: str, archives: Callable[[Path], str], put_some: Any, sql: Any, tmp_path: Path
) -> None:
    vault, _ = create_store(empty_postgres, passphrase=PASSPHRASE)
    with closing(vault):
        before = put_some(vault, 7)
        sql(vault, "CREATE TABLE strangers (id BIGINT)")
        made = back_up(empty_postgres, tmp_path / "copy", KEY)
        assert (made.messages, made.sealed, made.broken) == (7, True, [])
        assert made.path.stat().st_mode & 0o777 == 0o600 and made.path.stat().st_size == made.size
        without = back_up(empty_postgres, tmp_path / "other")
        assert (without.messages, without.sealed, without.broken) == (7, False, [])
        put_some(vault, 1)
    assert ids(archives(made.path)) == before


@pytest.mark.integration
def test_programs_of_postgresql_that_fail(postgres_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()

    def make(name: str, text: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)

    def fails(why: str, stop: bool = False) -> None:
        with pytest.raises(KeyboardInterrupt if stop else BackupError, match=why or None):
            back_up(location, tmp_path / "copy", cancelled=lambda: stop)
        assert not list(tmp_path.glob("copy*"))

    location = postgres_store.replace("postgres@", "postgres:hush@")
    monkeypatch.setenv("PATH", str(programs))
    fails("needs pg_dump, which is not installed. Install")
    make("pg_restore", "")
    make("pg_dump", f'echo "$PGPASSWORD $*" > {tmp_path}/said; echo "pg_dump: error: no luck" >&2; exit 1')
    fails("pg_dump failed, and no backup was kept: pg_dump: error: no luck")
    password, _, command = (tmp_path / "said").read_text().partition(" ")
    assert password == "hush" and "hush" not in command
    make("pg_dump", "")
    fails("lacks rows of the table")
    make("pg_dump", "exec /bin/sleep 60")
    fails("", stop=True)


def test_a_backup_is_opened_without_a_file_beside_it(vault: Vault, tmp_path: Path) -> None:
    made = back_up(vault.location, tmp_path / "copy")
    with closing(open_store(str(made.path), KEY, Use.STILL)) as opened:
        assert opened.read_only is not None and opened.read_only.why == "it is a backup"
        assert not list(tmp_path.glob("copy?*"))
    with closing(sqlite3.connect(made.path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
