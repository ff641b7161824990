"""A store with foreign tables is read with a warning and never written; none of it hangs or executes code."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import events, record_event
from store.check import check
from store.database.connection import connect, is_url, run
from store.database.modes import Use
from store.database.tables import TABLES, make, postgresql
from store.database.verifying import Watch, differences
from store.enrolment.enrolment import enroll, open_with_credentials
from store.opening.opening import Unlock, create_store, open_store
from store.terms.errors import StoreFormat, StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.postgres import Cluster, program
from tests.store.conftest import RECORD
from tests.store.sealing.vectors import vectors
from tui.commands.cli import main

UNLOCK = Unlock.passphrase(PASSPHRASE)

#: Changes a database writer can make on both databases, each with its undo and the message shown.
ALTERED = {
    "an index": ("CREATE INDEX mine ON audit (at)", "DROP INDEX mine", "index"),
    "no index": (
        "DROP INDEX delivery_copy_id",
        'CREATE INDEX "delivery_copy_id" ON "delivery" ("copy_id")',
        "is missing",
    ),
    "a column": ("ALTER TABLE audit ADD COLUMN more INTEGER", "ALTER TABLE audit DROP COLUMN more", "audit"),
    "no table": ("DROP TABLE hello", "", "hello is missing"),
}
SQLITE = {
    "a trigger": (
        "CREATE TRIGGER forget AFTER INSERT ON audit BEGIN DELETE FROM audit; END",
        "DROP TRIGGER forget",
        "there is a trigger forget",
    ),
    "a table": ("CREATE TABLE mine (a)", "DROP TABLE mine", "there is a table mine"),
    "a view": ("CREATE VIEW mine AS SELECT 1", "DROP VIEW mine", "there is a view mine"),
}
POSTGRESQL = {
    "a trigger": (
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM audit; RETURN NULL; END';"
        "CREATE TRIGGER forget AFTER INSERT ON audit FOR EACH STATEMENT EXECUTE FUNCTION forget()",
        "DROP TRIGGER forget ON audit",
        "there is a trigger forget of table audit",
    ),
    "a default": ("ALTER TABLE audit ALTER at SET DEFAULT 5", "ALTER TABLE audit ALTER at DROP DEFAULT", "column at"),
    "a type": ("ALTER TABLE hello ALTER at TYPE integer", "ALTER TABLE hello ALTER at TYPE bigint", "column at"),
    "a constraint": (
        "ALTER TABLE audit ADD CONSTRAINT mine CHECK (at > 5)",
        "ALTER TABLE audit DROP CONSTRAINT mine",
        "there is a constraint mine",
    ),
    "no constraint": (
        "ALTER TABLE hello DROP CONSTRAINT hello_pkey",
        "ALTER TABLE hello ADD PRIMARY KEY (gateway_id)",
        "constraint hello_pkey of table hello is missing",
    ),
    "a child": ("CREATE TABLE mine () INHERITS (audit)", "DROP TABLE mine", "inheritance"),
    "row security": (
        "ALTER TABLE audit ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE audit DISABLE ROW LEVEL SECURITY",
        "table audit is different",
    ),
    "a policy": ("CREATE POLICY mine ON audit", "DROP POLICY mine ON audit", "there is a policy mine"),
    "an unlogged table": ("ALTER TABLE hello SET UNLOGGED", "ALTER TABLE hello SET LOGGED", "hello is different"),
}
#: PostgreSQL checks these in every transaction, the rest once a minute. SQLite notices all at once.
AT_ONCE = {"a trigger", "a child", "row security", "no table"}
HELLO = next(text for text in TABLES if text.startswith('CREATE TABLE "hello"'))
ENDLESS = (
    "CREATE VIEW message AS WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more) SELECT n AS id, "
    "1 AS epoch_id, 1 AS step, 1 AS stored_at, 1 AS size, 1 AS stored_size, CAST('' AS {}) AS record FROM more"
)


def alter(location: str, text: str) -> None:
    """Execute statements as a database writer."""
    if not is_url(location):
        with closing(sqlite3.connect(location)) as db:
            db.executescript(text)
        return
    import psycopg

    with psycopg.connect(location, autocommit=True) as connection:
        connection.execute(text.encode())


def only_read(vault: Vault, why: str) -> None:
    """Assert that the open vault writes nothing and a newly opened one says why it is read-only."""
    with pytest.raises(StoreUnavailable, match="not as Mailhold created them") as caught:
        record_event(vault, "noted", operator="")
    assert why in str(caught.value)
    with pytest.raises(StoreUnavailable, match="not as Mailhold created them"):
        open_store(vault.location, UNLOCK)
    reading = open_store(vault.location, UNLOCK, Use.READ)
    assert reading.read_only is not None and why in reading.read_only.says("It")
    assert reading.ids() == [1] and reading.raw(1) == b"kept"
    assert any(what == "the tables" and why in f"the {said}" for what, said in check(reading).broken)
    reading.close()


def cases(vault: Vault) -> dict[str, tuple[str, str, str]]:
    return ALTERED | (POSTGRESQL if is_url(vault.location) else SQLITE)


@pytest.fixture(scope="module")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the location of a store with one copy, which every test leaves unchanged."""
    location = str(tmp_path_factory.mktemp("made") / "store")
    if request.param == "postgresql":
        location = request.getfixturevalue("postgres").url(f"made_{os.getpid()}")
        alter(location, f"CREATE SCHEMA made_{os.getpid()}")
    vault, _ = create_store(location, passphrase=PASSPHRASE)
    vault.put(b"kept", RECORD)
    vault.close()
    yield location
    if is_url(location):
        alter(location, f"DROP SCHEMA made_{os.getpid()} CASCADE")


@pytest.mark.parametrize(
    ("made", "name"),
    [("sqlite", name) for name in ALTERED | SQLITE]
    + [pytest.param("postgresql", name, marks=pytest.mark.integration) for name in ALTERED | POSTGRESQL],
    indirect=["made"],
)
def test_an_altered_schema_is_read_and_never_written(made: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_url(made) and name not in AT_ONCE:
        monkeypatch.setattr("store.database.verifying.AGAIN", 0.0)
    vault = open_store(made, UNLOCK)
    record_event(vault, "before", operator="")
    text, undo, why = cases(vault)[name]
    alter(made, text)
    only_read(vault, why)
    alter(made, undo or (postgresql(HELLO) if is_url(made) else HELLO))
    record_event(vault, "after", operator="")
    assert [event.action for event in events(vault, 2)] == ["after", "before"]
    vault.close()


def test_a_gateway_does_not_open_it(any_vault: Vault, tmp_path: Path) -> None:
    enroll(any_vault, "mx1", tmp_path / "mx1")
    alter(any_vault.location, "CREATE INDEX mine ON audit (at)")
    with pytest.raises(StoreUnavailable, match="not as Mailhold created them"):
        open_with_credentials(any_vault.location, tmp_path / "mx1")


@pytest.fixture
def endless(any_vault: Vault, record: CopyRecord) -> str:
    """Return the location of a store with an endless view in place of the copies."""
    any_vault.put(b"kept", record)
    alter(any_vault.location, "ALTER TABLE message RENAME TO hidden")
    alter(any_vault.location, ENDLESS.format("bytea" if is_url(any_vault.location) else "BLOB"))
    return any_vault.location


@pytest.mark.parametrize("command", ["list", "check", "status"])
def test_an_endless_view_ends_with_a_word(
    endless: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _prompt: PASSPHRASE)
    assert main([command, "--store", endless]) == 1
    said = capsys.readouterr()
    assert "message" in said.err and "internal error" not in said.err


def test_commands_read_with_a_warning_and_change_nothing(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    any_vault.put(b"kept", record)
    alter(any_vault.location, cases(any_vault)["a trigger"][0])
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _prompt: PASSPHRASE)
    here = ["--store", any_vault.location]
    assert main(["list", *here]) == 0
    said = capsys.readouterr()
    assert "Zoë" in said.out and "open for reading only: its tables are not as Mailhold created them" in said.err
    assert main(["settings", "set", "lock_after=5", *here]) == 1
    assert "cannot be changed: its tables are not as" in capsys.readouterr().err
    assert main(["check", *here]) == 1
    assert "there is a trigger forget" in capsys.readouterr().err


def test_a_store_that_is_open_reads_no_view(endless: str, any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.database.verifying.time.monotonic", lambda: 1e9)
    with pytest.raises(StoreFormat, match=r"not as Mailhold created them|message is not a table"):
        any_vault.ids()


def test_a_trigger_does_nothing_whatever_the_schema_says(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    record_event(vault, "first", operator="")
    alter(vault.location, SQLITE["a trigger"][0])
    monkeypatch.setattr(Watch, "require", lambda self: None)
    with pytest.raises(StoreFormat, match="not authorized"):
        record_event(vault, "second", operator="")
    assert [event.action for event in events(vault)] == ["first"]


def test_a_schema_version_that_was_put_back_helps_for_a_minute(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    record_event(vault, "first", operator="")
    (before,) = run(vault.db, "PRAGMA schema_version").fetchone()
    alter(vault.location, f"{SQLITE['a trigger'][0]}; PRAGMA schema_version = {before}")
    record_event(vault, "second", operator="")
    assert [event.action for event in events(vault)] == ["second", "first"]
    monkeypatch.setattr("store.database.verifying.time.monotonic", lambda: 1e9)
    with pytest.raises(StoreUnavailable, match="trigger forget"):
        record_event(vault, "third", operator="")


@pytest.mark.parametrize("text", ["CREATE TABLE mine (a)", "DROP TABLE audit", "ATTACH ':memory:' AS other"])
def test_nothing_of_ours_changes_the_schema(vault: Vault, text: str) -> None:
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        run(vault.db, text)


def test_what_sqlite_does_by_itself_is_no_difference(vault: Vault, record: CopyRecord) -> None:
    vault.put(b"kept", record)
    alter(vault.location, "ANALYZE; VACUUM")
    assert not differences(vault.db)
    record_event(vault, "noted", operator="")


@pytest.fixture
def beside(empty_postgres: str) -> Iterator[tuple[str, str]]:
    """Return the location of a store whose search path has the user's own schema in front, and that schema."""
    create_store(empty_postgres, passphrase=PASSPHRASE)[0].close()
    yield empty_postgres.replace("search_path%3D", "search_path%3D%24user,"), "postgres"
    alter(empty_postgres, "DROP SCHEMA IF EXISTS postgres CASCADE")


def test_a_schema_named_like_the_user_does_not_stand_in_front(beside: tuple[str, str]) -> None:
    location, user = beside
    alter(location, f"CREATE SCHEMA {user}; CREATE TABLE {user}.audit (id bigserial, at bigint, sealed bytea)")
    vault = open_store(location, UNLOCK)
    record_event(vault, "noted", operator="")
    assert [event.action for event in events(vault)] == ["noted"]
    vault.close()


def test_a_temporary_table_does_not_stand_in_front(empty_postgres: str) -> None:
    vault, _ = create_store(empty_postgres, passphrase=PASSPHRASE)
    run(vault.db, "CREATE TEMPORARY TABLE audit (id bigserial, at bigint, sealed bytea)")
    record_event(vault, "noted", operator="")
    assert run(vault.db, "SELECT COUNT(*) FROM pg_temp.audit").fetchone() == (0,)
    vault.close()


def test_a_restored_dump_is_no_difference(postgres: Cluster, empty_postgres: str) -> None:
    create_store(empty_postgres, passphrase=PASSPHRASE)[0].close()
    schema, name = empty_postgres.rsplit("%3D", 1)[1], f"restored_{os.getpid()}"
    here = ["-h", str(postgres.folder), "-U", "postgres"]
    dump = subprocess.run([program("pg_dump"), *here, "-n", schema, "postgres"], stdout=subprocess.PIPE, check=True)
    alter(empty_postgres, f"CREATE DATABASE {name}")
    try:
        subprocess.run([program("psql"), *here, "-q", name], input=dump.stdout, stdout=subprocess.DEVNULL, check=True)
        location = empty_postgres.replace("/postgres?", f"/{name}?")
        db = connect(location)
        assert not differences(db)
        db.close_all()
        vault = open_store(location, UNLOCK)
        record_event(vault, "noted", operator="")
        vault.close()
    finally:
        alter(empty_postgres, f"DROP DATABASE {name} WITH (FORCE)")


def test_more_than_a_minute_is_not_trusted_on_either(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[object] = []
    look: Callable[[Watch], object] = Watch.look
    monkeypatch.setattr(Watch, "look", lambda self: (whole.append(self), look(self))[1])
    clock = [1000.0]
    monkeypatch.setattr("store.database.verifying.time.monotonic", lambda: clock[0])
    for seconds, count in ((0.0, 1), (59.0, 1), (61.0, 2), (62.0, 2)):
        clock[0] = 1000.0 + seconds
        record_event(any_vault, "noted", operator="")
        assert len(whole) == count, seconds


def test_a_look_that_failed_is_no_look(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    record_event(vault, "first", operator="")
    alter(vault.location, SQLITE["a trigger"][0])
    looks = iter([sqlite3.OperationalError("disk I/O error")])
    look: Callable[[Watch], object] = Watch.look

    def failing(self: Watch) -> object:
        for error in looks:
            raise error
        return look(self)

    monkeypatch.setattr(Watch, "look", failing)
    with pytest.raises(StoreUnavailable, match="I/O"):
        record_event(vault, "second", operator="")
    with pytest.raises(StoreUnavailable, match="trigger forget"):
        record_event(vault, "third", operator="")


def test_what_others_commit_is_told_from_what_this_process_puts(
    vault: Vault, open_again: Callable[[], Vault], record: CopyRecord
) -> None:
    def told() -> object:
        vault.put(b"x", record)
        return vault.written()

    before = told()
    assert before == told() is not None
    other = open_again()
    for write in (
        lambda: other.put(b"y", record),
        lambda: record_event(other, "noted", operator=""),
        lambda: record_event(vault, "noted", operator=""),
        lambda: vault.put_many([(b"z", record, None)], lambda _ids: record_event(vault, "noted", operator="")),
        lambda: alter(vault.location, "UPDATE state SET messages = messages + 1"),
    ):
        write()
        after = told()
        assert after != before
        assert told() == after
        before = after
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(told).result() != before, "another connection may have seen something else"


def test_it_is_never_told_of_postgresql(any_vault: Vault, record: CopyRecord) -> None:
    any_vault.put(b"x", record)
    assert (any_vault.written() is None) is is_url(any_vault.location)


@pytest.mark.parametrize("case", vectors("schemas"))
def test_schema_vectors(case: dict[str, Any], tmp_path: Path) -> None:
    assert case.get("tables", list(TABLES)) == list(TABLES)
    (tmp_path / "store").touch()
    db = connect(str(tmp_path / "store"))
    make(db)
    with db.making():
        for text in case["then"]:
            db.connection().set_authorizer(None)  # VACUUM attaches its own file.
            run(db, text)
    assert bool(differences(db)) == (case["outcome"] == "another")
    db.close_all()
