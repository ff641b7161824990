"""A PostgreSQL server, or another client of it, that does not answer keeps nobody waiting for long."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pytest

from store.database.connection import connect, run, snapshot
from store.database.server_session import options_of
from store.opening.opening import Unlock, open_store
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault import session
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE


def _opened(location: str, **limits: str) -> Vault:
    options = "".join(f"%20-c{name}%3D{value}" for name, value in limits.items())
    return open_store(f"{location}&options={options}", Unlock.passphrase(PASSPHRASE))


def test_a_location_with_options_of_its_own_keeps_them() -> None:
    assert options_of("postgresql://h/db")["tcp_user_timeout"] == 60_000
    own = options_of("postgresql://h/db?connect_timeout=3&keepalives_idle=5")
    assert not {"connect_timeout", "keepalives_idle"} & own.keys() and own["keepalives_count"] == 3


@pytest.mark.integration
def test_a_session_has_limits_unless_the_administrator_set_others(postgres_store: str) -> None:
    names = ("lock_timeout", "idle_in_transaction_session_timeout", "search_path")
    for more, expected in (
        ("", ["15s", "30s", "public, pg_temp"]),
        ("&options=-clock_timeout%3D7s", ["7s", "30s", "public, pg_temp"]),
    ):
        db = connect(postgres_store + more)
        assert [run(db, f"SHOW {name}").fetchone()[0] for name in names] == expected
        with snapshot(db):
            assert run(db, "SHOW idle_in_transaction_session_timeout").fetchone()[0] == "0"
        assert run(db, "SHOW idle_in_transaction_session_timeout").fetchone()[0] == "30s"
        parameters = db.connection().info.get_parameters()
        assert parameters["keepalives_idle"] == "30" and parameters["tcp_user_timeout"] == "60000"
        db.close_all()


@pytest.mark.integration
def test_a_writer_that_does_nothing_keeps_the_others_out_only_for_a_while(
    postgres_store: str, record: CopyRecord
) -> None:
    stuck = _opened(postgres_store, idle_in_transaction_session_timeout="1000")
    waiting, hasty = _opened(postgres_store), _opened(postgres_store, lock_timeout="100")
    placed = list[int]()
    work = threading.Thread(target=lambda: placed.append(waiting.put(b"x", record)))
    with pytest.raises(StoreUnavailable, match="did nothing for too long, try again"), stuck.write():
        with pytest.raises(StoreUnavailable, match="another program locked it for too long, try again"):
            hasty.put(b"y", record)
        work.start()
        work.join(60)  # The server ends the transaction of `stuck` meanwhile.
        assert placed == [1]
        run(stuck.db, "SELECT 1")
    assert stuck.put(b"z", record) == 2
    for each in (stuck, waiting, hasty):
        each.close()


@pytest.mark.integration
def test_a_store_closes_while_the_server_owes_another_thread_an_answer(
    postgres_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = _opened(postgres_store)
    asked = threading.Event()

    def slow(db: Any, _sql: str) -> Any:
        db.connection()
        asked.set()
        return run(db, "SELECT pg_catalog.pg_sleep(3600)")

    def poll() -> None:
        with suppress(StoreUnavailable):
            vault.change_token()

    monkeypatch.setattr(session, "run", slow)
    polling = threading.Thread(target=poll, daemon=True)
    polling.start()
    assert asked.wait(30)
    closing = threading.Thread(target=vault.close, daemon=True)
    closing.start()
    closing.join(30)
    polling.join(30)
    assert not closing.is_alive() and not polling.is_alive()
