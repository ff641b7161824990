"""A full store in PostgreSQL keeps its size while mail passes through it, without the server's own VACUUM."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from store.authority.settings import Settings
from store.database import vacuuming
from store.database.connection import run, translated
from store.opening.opening import Unlock, open_store
from store.space import reclaiming
from store.space.changing_settings import change_settings
from store.space.rotation import Rotation
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE

BODY = 50_000
#: Copies that fill the store, and how often as many pass through it.
COPIES, TIMES = 20, 10


@pytest.fixture
def vault(postgres_store: str) -> Iterator[Vault]:
    vault = open_store(postgres_store, Unlock.passphrase(PASSPHRASE))
    yield vault
    vault.close()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free the space of a store of a megabyte after two copies."""
    monkeypatch.setattr(reclaiming, "_LEAST_BYTES", 2 * BODY)


def put(vault: Vault, count: int) -> None:
    for _ in range(count):
        vault.put(os.urandom(BODY), CopyRecord())
        upkeep(vault).reclaiming.wait()


def upkeep(vault: Vault) -> Rotation:
    assert isinstance(vault._upkeep, Rotation)
    return vault._upkeep


def body_bytes(vault: Vault) -> int:
    return int(run(vault.db, "SELECT pg_catalog.pg_total_relation_size('body')").fetchone()[0])


def full(vault: Vault) -> int:
    """Fill the store to its maximum. Returns the bytes of the table of bodies."""
    put(vault, COPIES)
    change_settings(vault, Settings(max_size=vault.count().used_bytes))
    return body_bytes(vault)


def test_a_full_store_keeps_its_size_while_ten_times_as_much_passes(vault: Vault) -> None:
    before = full(vault)
    put(vault, TIMES * COPIES)
    assert vault.count().messages <= COPIES
    assert body_bytes(vault) < 1.5 * before


def test_without_freeing_it_grows_with_each_copy(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would otherwise prove nothing: the test server's own VACUUM is off."""
    monkeypatch.setattr(reclaiming, "vacuum", lambda _db: None)
    before = full(vault)
    put(vault, 2 * COPIES)
    assert body_bytes(vault) > 2 * before


def test_what_fails_stops_no_put(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def fail(_db: object) -> None:
        tried.append(True)
        raise StoreUnavailable("no")

    monkeypatch.setattr(reclaiming, "vacuum", fail)
    full(vault)
    put(vault, COPIES)
    assert len(tried) > 1
    assert vault.count().messages <= COPIES


def test_a_store_in_sqlite_starts_no_thread(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vault = open_store(store, Unlock.passphrase(PASSPHRASE))
    monkeypatch.setattr(reclaiming, "vacuum", lambda _db: pytest.fail("SQLite needs no VACUUM"))
    full_of = [vault.put(os.urandom(BODY), CopyRecord()) for _ in range(5)]
    change_settings(vault, Settings(max_size=vault.count().used_bytes))
    for _ in range(10):
        vault.put(os.urandom(BODY), CopyRecord())
    assert vault.count().messages == len(full_of)
    assert upkeep(vault).reclaiming._thread is None
    vault.close()


def test_the_server_vacuums_early_what_copies_pass_through(vault: Vault) -> None:
    """Where the gateway may not VACUUM because another database user owns the tables."""
    rows = run(
        vault.db,
        "SELECT one.relname, one.reloptions, large.reloptions FROM pg_catalog.pg_class AS one LEFT JOIN "
        "pg_catalog.pg_class AS large ON large.oid = one.reltoastrelid WHERE one.relname = ANY(?)",
        list(vacuuming._TABLES),
    )
    found = {name: (own, large) for name, own, large in rows.fetchall()}
    early = ["autovacuum_vacuum_scale_factor=0.02"]
    assert found == {name: (early, None if name == "state" else early) for name in vacuuming._TABLES}


def test_vacuum_frees_what_is_deleted_and_leaves_sqlite_alone(any_vault: Vault) -> None:
    any_vault.put(os.urandom(BODY), CopyRecord())
    with translated(any_vault.location):
        vacuuming.vacuum(any_vault.db)
    assert any_vault.count().messages == 1


def test_copies_are_stored_also_if_the_system_has_no_thread_left(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    full(vault)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        before = vault.id_range()[1]
        put(vault, 4)
        assert vault.id_range()[1] == before + 4
    put(vault, 1)
    assert upkeep(vault).reclaiming._thread is not None, "the next removal tries again"
