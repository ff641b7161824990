"""A machine never sends the same order again, whatever database rows are put back."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from store.authority.memory import user_spent
from store.delivery import shift
from store.delivery import spent as room
from store.delivery.leases import LeaseLost
from store.delivery.queue import cancel, deliveries, retry
from store.delivery.spent import Spending, Spent
from store.delivery.together import Start
from store.delivery.worker import DeliveryWorker
from store.helpers.clock import now_ms
from store.mail.outcome import State
from store.opening.opening import create_store
from store.terms.errors import StoreUnavailable
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.store.delivery.test_delivery_worker import DEADLINE, fill, send, until, use
from tests.store.mail.smtp_server import ScriptedServer, offering

NONCE = bytes(16)
LATER = now_ms() + 86_400_000


def rows(vault: Vault) -> list[tuple[str, list[tuple[Any, ...]]]]:
    with vault.reading():
        return [
            (name, vault.db.execute_sql(f"SELECT * FROM {name}").fetchall())
            for name in ("delivery", "delivery_recipient")
        ]


def put_back(vault: Vault, content: list[tuple[str, list[tuple[Any, ...]]]]) -> None:
    mark = vault.db.param
    with vault.db.atomic():
        for name, found in content:
            vault.db.execute_sql(f"DELETE FROM {name}")
            for row in found:
                vault.db.execute_sql(f"INSERT INTO {name} VALUES ({', '.join([mark] * len(row))})", row)


async def test_a_row_put_back_is_not_sent_again_and_an_operators_new_order_is(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        fill(any_vault, 2)
        before = rows(any_vault)
        await send(any_vault)
        assert len(server.taken) == 2
        put_back(any_vault, before)
        await send(any_vault)
        assert len(server.taken) == 2
        assert {each.state for each in deliveries(any_vault)} == {State.UNKNOWN}
        retry(any_vault, deliveries(any_vault)[0].id, operator="anna")
        await send(any_vault)
        assert len(server.taken) == 3


async def test_a_cancelled_order_put_back_is_not_sent(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LOOK_SECONDS", 0.0)
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        fill(any_vault, 1)
        before = rows(any_vault)
        cancel(any_vault, deliveries(any_vault)[0].id, operator="anna")
        await send(any_vault)
        put_back(any_vault, before)
        await send(any_vault)
        assert server.taken == [] and deliveries(any_vault)[0].state is State.UNKNOWN


async def test_a_message_announced_ahead_and_not_sent_counts_as_not_sent(vault: Vault, tmp_path: Path) -> None:
    """The session ends before the announcement is written, and the relay cannot be reached again."""

    def script(point: str, argument: str) -> str | None:
        if point != "dot" or sender.paused:
            return None
        sender._paused_until = time.monotonic() + DEADLINE  # As if another connection had failed.
        return "421 4.3.2 going down"

    def worker() -> DeliveryWorker:
        return DeliveryWorker(vault, owner="test", connections=1, poll=0.05, spent=tmp_path / "spent")

    with offering(True):
        async with ScriptedServer(script) as server:
            use(vault, server.port)
            fill(vault, 2)
            sender = worker()
            await asyncio.wait_for(sender.run_until_idle(), DEADLINE)
            assert {each.state for each in deliveries(vault)} == {State.DEFERRED} and not server.taken
            server.script = lambda _point, _argument: None
            vault.models.Delivery.update(next_attempt_at=0).execute()
            await asyncio.wait_for(worker().run_until_idle(), DEADLINE)
            assert len(server.taken) == 2
    assert {each.state for each in deliveries(vault)} == {State.SENT}


async def test_a_message_whose_announcement_is_still_being_written_at_the_end_counts_as_not_sent(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, start = threading.Event(), threading.Event(), shift.start_all

    def slowly(vault: Vault, starts: Sequence[Start]) -> list[LeaseLost | None]:
        begun.set()
        assert go_on.wait(DEADLINE)
        return start(vault, starts)

    def worker() -> DeliveryWorker:
        return DeliveryWorker(vault, owner="test", connections=1, poll=0.05, spent=tmp_path / "spent")

    monkeypatch.setattr(shift, "start_all", slowly)
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 1)
        sending = asyncio.create_task(worker().run_until_idle())
        await until(begun.is_set)
        sending.cancel()
        await asyncio.sleep(0.2)
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(worker().run_until_idle(), DEADLINE)
        assert len(server.taken) == 1
    assert {each.state for each in deliveries(vault)} == {State.SENT}


def test_what_the_relay_refused_is_struck_out(vault: Vault) -> None:
    kept = Spent(user_spent(vault.store_id))
    kept.spend([Spending(NONCE, ["a@x.example", "b@x.example"], LATER)])
    kept.strike(NONCE, ["a@x.example"])
    assert kept.of(NONCE, ["a@x.example", "b@x.example", "c@x.example"]) == ["b@x.example"]
    assert kept.of(b"another", ["b@x.example"]) == []


def test_processes_see_what_others_spent(tmp_path: Path) -> None:
    one, two = Spent(tmp_path / "spent"), Spent(tmp_path / "spent")
    assert two.of(NONCE, ["a"]) == []
    one.spend([Spending(NONCE, ["a"], LATER)])
    assert two.of(NONCE, ["a"]) == ["a"]
    assert stat.S_IMODE((tmp_path / "spent").stat().st_mode) == 0o600


def test_a_torn_record_loses_none_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "spent"
    Spent(path).spend([Spending(NONCE, ["a"], LATER)])
    path.write_bytes(path.read_bytes() + b"torn")
    assert Spent(path).of(NONCE, ["a"]) == ["a"]
    Spent(path).spend([Spending(NONCE, ["b"], LATER)])
    assert Spent(path).of(NONCE, ["a", "b"]) == ["a", "b"]


def test_what_counts_no_more_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "spent"
    kept = Spent(path)
    kept.spend([Spending(NONCE, ["live", "struck"], LATER)])
    kept.strike(NONCE, ["struck"])
    kept.spend([Spending(NONCE, [str(number) for number in range(1000)], 1)])
    kept.tidy()
    assert path.stat().st_size == 24
    assert kept.of(NONCE, ["live", "struck"]) == Spent(path).of(NONCE, ["live", "struck"]) == ["live"]


def test_where_nothing_can_be_kept_nothing_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="Nothing is sent"):
        Spent(tmp_path / "file" / "spent").spend([Spending(NONCE, ["a"], LATER)])


def test_nothing_is_left_behind_of_a_store_that_was_just_made(tmp_path: Path, state_home: Path) -> None:
    vault, _recovery = create_store(str(tmp_path / "mail.store"), passphrase=PASSPHRASE)
    assert DeliveryWorker(vault, owner="demo").spent is None
    vault.close()
    assert not state_home.exists()


def test_a_record_that_the_disk_takes_in_parts_is_written_whole(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Spent(user_spent(vault.store_id))
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:30]))
        kept.spend([Spending(NONCE, ["a@x.example", "b@x.example"], LATER)])
    assert Spent(user_spent(vault.store_id)).of(NONCE, ["a@x.example", "b@x.example"]) == ["a@x.example", "b@x.example"]
