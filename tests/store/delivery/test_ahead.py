"""What is opened ahead: in order, bounded in number and bytes, and given back whole."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from store.delivery import ahead
from store.delivery.ahead import Ahead
from store.delivery.leases import Claim, Row
from store.delivery.parcel import Parcel
from store.terms.errors import StoreUnavailable
from store.vault.vault import Vault

DEADLINE = 30


def claims(count: int) -> list[Claim]:
    return [Claim(Row(number, number, 1, 1, 1, b"", b"", b"", 0), 1, {}) for number in range(1, count + 1)]


def parcel(size: int) -> Parcel:
    return Parcel("", {}, b"x" * size, {}, {})


async def settled(opened: list[int]) -> int:
    """Wait until no more is opened; return how many were."""
    before = -1
    while before != len(opened):
        before = len(opened)
        await asyncio.sleep(0.1)
    return before


@pytest.mark.parametrize(("size", "most"), [(1, 8), (1000, 4)])
async def test_only_so_much_is_opened_ahead(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, size: int, most: int
) -> None:
    monkeypatch.setattr(ahead, "MOST_BYTES", 4000)
    opened: list[int] = []

    def open_one(claim: Claim) -> Parcel:
        opened.append(claim.id)
        return parcel(size)

    waiting = Ahead(vault, open_one)
    waiting.add(claims(30))
    # A thread may have begun one when the other reaches the limit.
    assert most <= await settled(opened) <= most + ahead.OPENERS - 1
    taken = [(await asyncio.wait_for(waiting.take(), DEADLINE))[0].id for _ in range(20)]
    assert sorted(taken) == taken or set(taken) <= set(range(1, 20 + ahead.OPENERS))
    left = waiting.give_up()
    await waiting.close()
    assert sorted([*taken, *(each.id for each in left)]) == list(range(1, 31))


async def test_one_of_any_size_is_opened_and_takers_share_what_comes(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "MOST_BYTES", 10)
    waiting = Ahead(vault, lambda claim: parcel(100))
    takers = [asyncio.create_task(waiting.take()) for _ in range(4)]
    await asyncio.sleep(0.05)
    takers[1].cancel()
    waiting.add(claims(3))
    found = await asyncio.wait_for(asyncio.gather(*takers, return_exceptions=True), DEADLINE)
    assert isinstance(found[1], asyncio.CancelledError)
    assert sorted(each[0].id for each in found if not isinstance(each, BaseException)) == [1, 2, 3]
    assert waiting.take_nowait() is None and waiting.unopened == 0
    await waiting.close()


async def test_a_message_that_cannot_be_opened_is_handed_on_with_its_error(vault: Vault) -> None:
    def open_one(claim: Claim) -> Parcel:
        raise StoreUnavailable("away") if claim.id == 1 else KeyError("odd")

    waiting = Ahead(vault, open_one)
    waiting.add(claims(2))
    found = {each.id: error for each, error in [await waiting.take(), await waiting.take()]}
    assert isinstance(found[1], StoreUnavailable) and isinstance(found[2], KeyError)
    await waiting.close()


async def test_what_is_being_opened_is_given_back_and_its_result_dropped(vault: Vault) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def open_one(claim: Claim) -> Parcel:
        vault.ids()
        begun.set()
        assert go_on.wait(DEADLINE)
        return parcel(1)

    closed: list[Any] = []
    waiting = Ahead(vault, open_one)
    waiting.add(claims(1))
    await asyncio.to_thread(begun.wait, DEADLINE)
    assert [each.id for each in waiting.give_up()] == [1]
    go_on.set()
    await waiting.close()
    assert waiting.take_nowait() is None and not closed


async def test_takers_that_gave_up_leave_nothing_behind(vault: Vault) -> None:
    """An idle worker gives up and waits again every few seconds, for weeks."""
    waiting = Ahead(vault, lambda claim: parcel(1))
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting.take(), 0.01)
    assert not waiting._takers
    await waiting.close()
