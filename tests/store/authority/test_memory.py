"""The memory outside of a store: a store that was put back is reported, not changed, and sends nothing."""

from __future__ import annotations

import asyncio
import fcntl
import json
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from store.authority import keeper
from store.authority.audit import record_event
from store.authority.keeper import HeadKeeper
from store.authority.memory import Memory
from store.authority.settings import Settings, read_settings, write_settings
from store.backing_up.restoring import restore
from store.check import check
from store.database.connection import is_url
from store.database.modes import Use
from store.delivery.queue import release
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.gateway.policy import LivePolicy
from store.gateway.seen import SeenVersions
from store.opening.opening import Unlock, open_store
from store.terms.errors import StoreOlder, StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.store.authority.newest_head import read_head

UNLOCK = Unlock.passphrase(PASSPHRASE)


def rows_of(location: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(location) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in tables}


def put_back(location: str, rows: dict[str, list[tuple[object, ...]]]) -> None:
    with psycopg.connect(location) as connection:
        for name, content in rows.items():
            connection.execute(f'DELETE FROM "{name}"')
            for row in content:
                connection.execute(f'INSERT INTO "{name}" VALUES ({", ".join(["%s"] * len(row))})', row)


@pytest.fixture
def rewind(any_store: str, tmp_path: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    """Return a function that saves a closed store and returns a function that puts it back."""

    def take() -> Callable[[], None]:
        if is_url(any_store):
            rows = rows_of(any_store)
            return lambda: put_back(any_store, rows)
        kept = tmp_path / "kept.store"
        shutil.copy2(any_store, kept)

        def back() -> None:
            for suffix in ("-wal", "-shm"):
                Path(any_store + suffix).unlink(missing_ok=True)
            shutil.copy2(kept, any_store)

        return back

    yield take


def test_a_store_put_back_is_told_and_not_changed(
    any_store: str, rewind: Callable[[], Callable[[], None]], record: CopyRecord
) -> None:
    vault = open_store(any_store, UNLOCK)
    assert vault.put_many((b"%d" % number, record, None) for number in range(3))
    vault.close()
    back = rewind()
    vault = open_store(any_store, UNLOCK)
    assert check(vault).broken == [] and "what was seen on this machine" in check(vault).evidence
    for _ in range(3):
        record_event(vault, "saved", operator="anna")
    vault.put(b"later", record)
    vault.close()
    back()
    with pytest.raises(StoreUnavailable, match=r"seen of it on this machine at .*: 3 events, 1 copy"):
        open_store(any_store, UNLOCK)
    vault = open_store(any_store, UNLOCK, Use.EITHER)
    assert vault.read_only is not None and len(vault.ids()) == 3
    assert "3 events, 1 copy" in dict(check(vault).broken)["the store"]
    with pytest.raises(StoreUnavailable, match="3 events"):
        vault.put(b"more", record)
    vault.close()


def test_the_first_time_nothing_was_seen(any_store: str) -> None:
    vault = open_store(any_store, UNLOCK, Use.READ)
    assert check(vault).evidence.endswith("this store was not seen on this machine before")
    vault.close()


def test_nothing_is_sent_again_from_a_store_put_back(
    any_store: str, rewind: Callable[[], Callable[[], None]], record: CopyRecord, tmp_path: Path
) -> None:
    vault = open_store(any_store, UNLOCK)
    write_settings(vault, Settings(), Settings(relay="smtp://127.0.0.1:9"), operator="anna")
    copy_id = vault.put(b"Subject: x\r\n\r\nx\r\n", record)
    enroll(vault, "mx1", tmp_path / "mx1")
    release(vault, [copy_id], original=True, operator="anna")
    vault.close()
    back = rewind()
    seen = tmp_path / "mx1.seen"
    gateway = open_with_credentials(any_store, tmp_path / "mx1", seen)
    gateway.put(b"x", record)
    record_event(gateway, "gateway started", operator="", detail="mx1")
    gateway.close()
    back()
    gateway = open_with_credentials(any_store, tmp_path / "mx1", seen)
    assert "older than what was seen" in gateway.witness.problem
    with gateway.reading(), pytest.raises(StoreOlder):
        gateway.witness.require_current()
    worker = DeliveryWorker(gateway, owner="test")
    asyncio.run(worker.run_until_idle(deadline=1))
    assert "older than what was seen" in worker.problem
    # Mail is still kept, under an unused id.
    assert gateway.put(b"y", record) == copy_id + 2
    gateway.close()
    vault = open_store(any_store, UNLOCK, Use.READ)
    head = read_head(vault, 2)
    assert head is not None and head.epoch == 0  # It did not sign a head lower than the one it had seen.
    vault.close()


@pytest.mark.parametrize("between", [1, 2, 5])
def test_a_store_put_back_stays_older_however_much_is_written_until_an_operator_accepts_it(
    any_store: str, rewind: Callable[[], Callable[[], None]], record: CopyRecord, tmp_path: Path, between: int
) -> None:
    """`between`: events that the gateway writes from one look to the next."""
    vault = open_store(any_store, UNLOCK)
    enroll(vault, "mx1", tmp_path / "mx1")
    vault.close()
    back = rewind()
    seen = tmp_path / "mx1.seen"
    gateway = open_with_credentials(any_store, tmp_path / "mx1", seen)
    gateway.put(b"lost", record)
    for _ in range(3):
        record_event(gateway, "lost", operator="", detail="mx1")
    gateway.close()
    back()
    gateway = open_with_credentials(any_store, tmp_path / "mx1", seen)
    assert "3 events, 1 copy" in gateway.witness.problem
    for number in range(1, 11):  # Fewer events than it saw, as many, and more.
        record_event(gateway, "later", operator="", detail=f"mx1: {number}")
        gateway.put(b"later", record)
        if number % between == 0:
            with gateway.reading(), pytest.raises(StoreOlder):
                gateway.witness.require_current()
            gateway.witness.beat()
    restorer = open_store(any_store, UNLOCK, Use.EITHER)
    restore(restorer)
    restorer.close()
    with gateway.reading():
        gateway.witness.require_current()
    assert not gateway.witness.problem
    gateway.close()


def test_a_fork_is_told(any_store: str, rewind: Callable[[], Callable[[], None]], state_home: Path) -> None:
    vault = open_store(any_store, UNLOCK)
    record_event(vault, "saved", operator="anna")
    vault.close()
    back = rewind()
    vault = open_store(any_store, UNLOCK)
    record_event(vault, "saved", operator="anna")
    vault.close()
    back()
    state_home.rename(state_home.with_name("aside"))
    vault = open_store(any_store, UNLOCK)
    for _ in range(3):
        record_event(vault, "deleted", operator="bert")
    vault.close()
    shutil.rmtree(state_home)
    state_home.with_name("aside").rename(state_home)
    vault = open_store(any_store, UNLOCK, Use.EITHER)
    assert any("forked" in why for _, why in check(vault).broken)
    assert isinstance(vault.witness, HeadKeeper) and vault.witness.older is not None and vault.witness.older.forked
    vault.close()


def test_the_file(vault: Vault, state_home: Path) -> None:
    record_event(vault, "saved", operator="anna")
    vault.close()
    path = state_home / "mailhold" / "seen" / vault.store_id.hex()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["store"] == vault.store_id.hex()
    kept = Memory(path, vault.store_id).read()
    assert [head.writer for head in kept.heads] == [0, 1]
    # Memory that is older, or of another store, removes nothing.
    assert Memory(path, vault.store_id).keep([]) == ""
    assert Memory(path, vault.store_id).read() == kept
    assert Memory(path, b"another").read().heads == []


def test_a_memory_that_cannot_be_kept_stops_nothing(store: str, state_home: Path) -> None:
    state_home.parent.mkdir(exist_ok=True)
    state_home.write_text("in the way")
    vault = open_store(store, UNLOCK)
    record_event(vault, "saved", operator="anna")
    assert isinstance(vault.witness, HeadKeeper) and "Not a directory" in vault.witness.unkept
    vault.close()
    state_home.unlink()


def test_nobody_who_puts_waits_for_it_to_be_kept(
    vault: Vault, tmp_path: Path, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "SIGN_SECONDS", 0.0)  # Memory is saved with each head.
    enroll(vault, "mx1", tmp_path / "mx1")
    gateway = open_with_credentials(vault.location, tmp_path / "mx1", tmp_path / "mx1.seen")
    gateway.put(b"first", record)
    before = read_head(gateway, 2)
    with (tmp_path / "mx1.seen.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Simulate a slow disk.
        keeping = threading.Thread(target=gateway.witness.beat)
        keeping.start()
        while read_head(gateway, 2) == before:
            assert keeping.is_alive()
        placed = threading.Event()

        def put() -> None:
            gateway.put(b"second", record)
            placed.set()

        putting = threading.Thread(target=put)
        putting.start()
        assert placed.wait(30) and keeping.is_alive()
    keeping.join()
    putting.join()
    kept = Memory(tmp_path / "mx1.seen", vault.store_id).read().heads
    gateway.close()
    assert {head.writer for head in kept} >= {2}


def test_a_gateway_goes_on_judging_by_the_newest_that_it_saw(
    any_store: str, rewind: Callable[[], Callable[[], None]], tmp_path: Path
) -> None:
    vault = open_store(any_store, UNLOCK)
    write_settings(vault, Settings(), Settings(local_domains=("old.example",)), operator="anna")
    enroll(vault, "mx1", tmp_path / "mx1")
    vault.close()
    back = rewind()
    vault = open_store(any_store, UNLOCK)
    write_settings(vault, read_settings(vault), Settings(local_domains=("new.example",)), operator="anna")
    enroll(vault, "mx2", tmp_path / "mx2")
    revoke(vault, "mx2")  # The settings are sealed with a key that the older store has no grant for.
    vault.close()
    seen = tmp_path / "mx1.seen"

    def judges_by() -> tuple[str, ...]:
        gateway = open_with_credentials(any_store, tmp_path / "mx1", seen)
        live = LivePolicy(lambda *_args, **_fields: None, SeenVersions(seen))
        live.refresh(gateway)
        gateway.close()
        assert live.policy.settings is not None and live.policy.complete
        return live.policy.settings.local_domains

    assert judges_by() == ("new.example",)
    back()
    assert judges_by() == ("new.example",)
    assert judges_by() == ("new.example",)
