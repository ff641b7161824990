"""Limits of the bin: its share under arriving mail, more than that while there is room, and its retention time."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from store.authority.deleting import bring_back, delete_copies
from store.authority.settings import Settings
from store.check import check
from store.database.connection import run
from store.helpers.clock import DAY_MS, now_ms
from store.space.bin import expire, promise, promise_for, promises
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.space.rotation import rotate, would_remove
from store.terms.records import CopyRecord
from store.vault.counters import counted, put_right
from store.vault.vault import Vault


def fill(vault: Vault, count: int, size: int = 10_000, at: int | None = None) -> list[int]:
    return vault.put_many((os.urandom(size), CopyRecord(), at) for _ in range(count))


def size_of(vault: Vault) -> int:
    return vault.get_many(vault.ids()[:1])[0].stored_size


def force(vault: Vault, maximum: int, share: int = 10, days: int = 7) -> None:
    change_settings(vault, Settings(max_size=maximum, notify_below=0, bin_share=share, bin_days=days))


def test_a_full_backup_takes_what_the_bin_has_beyond_its_share_first(any_vault: Vault) -> None:
    fill(any_vault, 20)
    one = size_of(any_vault)
    force(any_vault, 20 * one, share=20)
    delete_copies(any_vault, [11, 12, 13], operator="anna")
    delete_copies(any_vault, [1, 2, 3, 4], operator="anna")
    full = usage(any_vault)
    assert (full.used_bytes, full.binned, full.bin_bytes, full.free_bytes) == (20 * one, 7, 4 * one, 3 * one)
    fill(any_vault, 2)
    assert any_vault.bin.ids() == [1, 2, 3, 4, *any_vault.bin.ids(1)]
    assert len(any_vault.bin.ids(1)) == 1 and len(any_vault.ids()) == 15
    fill(any_vault, 3)
    assert any_vault.bin.ids() == [1, 2, 3, 4], "its share is kept, and the oldest copies go"
    assert any_vault.ids() == [*range(7, 11), *range(14, 26)]
    assert usage(any_vault).free_bytes == 0
    assert check(any_vault).broken == []


def test_what_is_over_goes_before_copies_and_by_itself(any_vault: Vault) -> None:
    fill(any_vault, 10)
    one = size_of(any_vault)
    force(any_vault, 10 * one, share=50, days=1)
    delete_copies(any_vault, [5, 6], operator="anna")
    assert expire(any_vault) == 0
    assert expire(any_vault, now=now_ms() + DAY_MS + 60_000) == 2
    assert (any_vault.bin.ids(), any_vault.bin.totals(), len(any_vault.ids())) == ([], (0, 0), 8)
    with any_vault.reading():
        causes = run(any_vault.db, "SELECT cause, gateway_id FROM tombstone").fetchall()
    assert [tuple(row) for row in causes] == [("rotated", 1)]
    assert usage(any_vault).used_bytes == 8 * one and check(any_vault).broken == []


def test_a_smaller_maximum_is_final_for_the_bin_too(any_vault: Vault) -> None:
    fill(any_vault, 20)
    one = size_of(any_vault)
    delete_copies(any_vault, range(1, 11), operator="anna")
    removal = would_remove(any_vault, 8 * one, 25)
    assert (removal.binned, removal.copies, removal.last_id, removal.held) == (8, 4, 14, 10)
    force(any_vault, 8 * one, share=25)
    assert len(any_vault.bin.ids()) == 2 and any_vault.ids() == list(range(15, 21))
    assert check(any_vault).broken == []


def test_a_row_that_somebody_moved_there_is_not_removed(any_vault: Vault) -> None:
    """Otherwise rows moved into the bin would make a gateway delete good mail."""
    fill(any_vault, 10)
    one = size_of(any_vault)
    columns = "id, epoch_id, step, stored_at, size, stored_size, record"
    act = delete_copies(any_vault, [1], operator="anna").act
    with any_vault.writing():
        for copy_id, of in ((2, act), (3, 77)):
            run(
                any_vault.db,
                f"INSERT INTO binned ({columns}, act) SELECT {columns}, {of} FROM message WHERE id = {copy_id}",
            )
            run(any_vault.db, f"DELETE FROM message WHERE id = {copy_id}")
    with any_vault.write():
        put_right(any_vault.db, counted(any_vault.db))
    broken = dict(check(any_vault).broken)
    assert broken == {f"copy {n}": "it is in the bin, but no act moved it there" for n in (2, 3)}
    force(any_vault, 9 * one, share=0)
    assert any_vault.bin.ids() == [2, 3], "the one that an operator deleted went, and no other"
    assert rotate(any_vault).over_bytes == 0
    done = bring_back(any_vault, [2, 3], operator="anna")
    assert done.restored == [2, 3]
    assert [name for name, _ in check(any_vault).broken] == []


def test_the_promise_at_todays_rate(any_vault: Vault) -> None:
    now = now_ms()
    fill(any_vault, 10, at=now - DAY_MS)
    one = size_of(any_vault)
    until = now + 7 * DAY_MS
    force(any_vault, 20 * one, share=10)
    delete_copies(any_vault, [1, 2], operator="anna")
    assert promise(any_vault, 2 * one, until, now=now).is_certain, "within its share"
    delete_copies(any_vault, range(3, 9), operator="anna")
    found = promise(any_vault, 6 * one, until, now=now)
    # Free room for 10 copies, and 2 deleted earlier go first: at 10 copies a day that is 1.2 days.
    assert found.lasts == pytest.approx(1.2 * DAY_MS, rel=0.01) and not found.is_certain
    assert promise(any_vault, 6 * one, now + DAY_MS, now=now).is_certain, "its time is over before"


def test_the_promise_said_before_is_the_one_that_holds_after(any_vault: Vault) -> None:
    now = now_ms()
    fill(any_vault, 10, at=now - DAY_MS)
    one = size_of(any_vault)
    force(any_vault, 20 * one, share=10)
    delete_copies(any_vault, [1, 2], operator="anna")
    for ids in ([3], [3, 4], range(3, 9), [*range(3, 11), 99]):
        there = [copy_id for copy_id in ids if copy_id in any_vault.ids()]
        told = promise_for(any_vault, list(ids), 7, now=now)
        assert told.until == now + 7 * DAY_MS
        delete_copies(any_vault, there, operator="anna")
        assert promise(any_vault, len(there) * one, told.until, now=now) == told
        assert told.is_certain == (len(there) <= 2)
        bring_back(any_vault, there, operator="anna")


def test_what_was_deleted_first_goes_first_so_its_promise_is_worth_less(any_vault: Vault) -> None:
    now = now_ms()
    fill(any_vault, 10, at=now - DAY_MS)
    one = size_of(any_vault)
    force(any_vault, 20 * one, share=10)
    for ids in ([1, 2], [3, 4, 5], [6]):
        delete_copies(any_vault, ids, operator="anna")
    acts = any_vault.bin.acts()
    found = promises(any_vault, acts, now=now)
    lasts = [found[act.act].lasts for act in acts]
    # Free room for 10 copies at 10 a day; the first act's 2 copies go before the second's, nothing before the first's.
    assert lasts[0] is None, "one copy is within the share"
    assert lasts[1:] == pytest.approx([1.2 * DAY_MS, 1.0 * DAY_MS], rel=0.01)
    assert [found[act.act].until for act in acts] == [act.until for act in acts]


def test_it_is_kept_for_as_long_as_was_said_whatever_the_settings_are_by_then(any_vault: Vault) -> None:
    fill(any_vault, 4)
    force(any_vault, 1 << 30, days=0)
    before = now_ms()
    result = delete_copies(any_vault, [1], operator="anna", days=3)
    assert result.binned == [1] and 0 <= result.until - before - 3 * DAY_MS < 60_000
    assert delete_copies(any_vault, [2], operator="anna").deleted == [2]
    force(any_vault, 1 << 30, days=7)
    assert delete_copies(any_vault, [3], operator="anna", days=0).deleted == [3]


@pytest.mark.parametrize("share", [0, 30])
def test_rotation_beside_an_operator(any_vault: Vault, open_again: Callable[[], Vault], share: int) -> None:
    """A gateway rotates while copies go in and out."""
    fill(any_vault, 30)
    one = size_of(any_vault)
    force(any_vault, 30 * one, share=share)
    other = open_again()
    for round_ in range(6):
        ids = any_vault.ids()
        delete_copies(any_vault, ids[round_ : round_ + 5], operator="anna")
        fill(other, 3)
        bring_back(any_vault, any_vault.bin.ids()[:2], operator="anna")
        full = usage(other)
        assert full.used_bytes <= full.max_bytes
        assert full.binned_bytes >= min(full.bin_bytes - one, full.binned_bytes)
    assert check(other).broken == []
