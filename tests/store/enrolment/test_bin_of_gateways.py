"""The bin with gateways, whose keys can remove what exceeds its limits and delete nothing else."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.authority.deleting import bring_back, delete_copies, empty_bin
from store.authority.settings import Settings
from store.backing_up.restoring import restore
from store.check import check
from store.database.connection import run
from store.delivery.administrator import watch
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.helpers.clock import DAY_MS, now_ms
from store.space import expiry
from store.space.bin import expire
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.terms.errors import UnlockError
from store.terms.records import CopyRecord
from store.vault.vault import Vault


@pytest.fixture
def gateway(any_vault: Vault, any_store: str, tmp_path: Path) -> Iterator[Vault]:
    """Open the store with the credentials of a gateway."""
    path = tmp_path / "mx1.credentials"
    enroll(any_vault, "mx1", path, operator="olga")
    opened = open_with_credentials(any_store, path)
    yield opened
    opened.close()


def fill(vault: Vault, count: int, size: int = 10_000) -> list[int]:
    return vault.put_many((os.urandom(size), CopyRecord(), None) for _ in range(count))


def tombstones(vault: Vault) -> list[tuple[str, int]]:
    with vault.reading():
        return [tuple(row) for row in run(vault.db, "SELECT cause, gateway_id FROM tombstone ORDER BY id").fetchall()]


def test_a_gateway_makes_room_in_the_bin_and_can_do_nothing_else(any_vault: Vault, gateway: Vault) -> None:
    ids = fill(gateway, 20)
    one = usage(gateway).used_bytes // 20
    change_settings(any_vault, Settings(max_size=20 * one, notify_below=0, bin_share=20))
    delete_copies(any_vault, ids[:6], operator="olga")
    fill(gateway, 2)
    assert len(gateway.bin.ids()) == 4 and len(gateway.ids()) == 16
    for work in (
        lambda: gateway.bin.put(ids[10:], until=now_ms()),
        lambda: gateway.bin.restore(gateway.bin.ids()),
        lambda: gateway.bin.empty(gateway.bin.ids()),
    ):
        with pytest.raises(UnlockError):
            work()
    assert len(gateway.bin.ids()) == 4 and len(gateway.ids()) == 16
    assert expire(gateway, now=now_ms() + 8 * DAY_MS) == 4
    assert set(tombstones(any_vault)) == {("rotated", 2)}
    assert check(any_vault).broken == []


async def test_a_gateway_removes_what_is_over(
    any_vault: Vault, gateway: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiry, "SETTLED", 0.0)
    ids = fill(any_vault, 10)
    any_vault.bin.put(ids[:4], until=now_ms() - 1000)
    any_vault.bin.put(ids[4:6], until=now_ms() + DAY_MS)
    watching = asyncio.create_task(watch(gateway, every=0.01))
    while len(await asyncio.to_thread(any_vault.bin.ids)) > 2:
        await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert any_vault.bin.ids() == ids[4:6] and any_vault.ids() == ids[6:]
    assert tombstones(any_vault) == [("rotated", 2)]


def test_a_full_gateway_beside_operators(any_vault: Vault, gateway: Vault, open_again: Callable[[], Vault]) -> None:
    """It rotates while two operators delete, bring back and empty: no id is lost or duplicated."""
    fill(gateway, 60)
    one = usage(gateway).used_bytes // 60
    change_settings(any_vault, Settings(max_size=60 * one, notify_below=0, bin_share=10))
    other, stop, failed = open_again(), threading.Event(), list[BaseException]()

    def placing() -> None:
        try:
            while not stop.is_set():
                fill(gateway, 3)
        except BaseException as error:
            failed.append(error)

    def emptying() -> None:
        try:
            while not stop.is_set():
                bring_back(other, other.bin.ids()[::2], operator="otto")
                empty_bin(other, other.bin.ids()[:1], operator="otto")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=placing), threading.Thread(target=emptying)]
    for thread in threads:
        thread.start()
    for _ in range(12):
        delete_copies(any_vault, any_vault.ids()[::3], operator="olga")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
    full = usage(any_vault)
    assert full.used_bytes <= full.max_bytes
    kept, binned, buried = any_vault.ids(), any_vault.bin.ids(), any_vault.tombstones_since(0)[1]
    assert sorted([*kept, *binned, *buried]) == list(range(1, max(kept) + 1))
    assert check(any_vault).broken == []


def test_a_gateway_is_revoked_whose_newest_copies_are_in_the_bin(
    any_vault: Vault, gateway: Vault, open_again: Callable[[], Vault]
) -> None:
    ids = fill(gateway, 6)
    delete_copies(any_vault, ids[3:], operator="olga")
    empty_bin(any_vault, ids[3:4], operator="olga")
    revoke(any_vault, "mx1", operator="olga")
    assert check(any_vault).broken == []
    again = open_again()
    assert bring_back(again, ids[3:], operator="olga").restored == ids[4:]
    assert len([again.raw(each) for each in again.ids()]) == 5
    assert check(again).broken == []


def test_a_store_is_accepted_whose_newest_copies_are_in_the_bin(any_vault: Vault) -> None:
    ids = fill(any_vault, 6)
    delete_copies(any_vault, ids[4:], operator="olga")
    restore(any_vault, operator="olga")
    assert fill(any_vault, 1) == [ids[-1] + 1]
    assert bring_back(any_vault, ids, operator="olga").restored == ids[4:]
    assert check(any_vault).broken == []
