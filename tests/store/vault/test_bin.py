"""The bin: copies go in and come back as they were, and nothing is lost on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from store.authority.audit import events
from store.authority.deleting import bring_back, delete_copies, empty_bin, last_act
from store.authority.settings import Settings
from store.check import check
from store.database.connection import run
from store.delivery.queue import release
from store.space.changing_settings import change_settings
from store.terms.errors import CopyBinned, CopyMissing
from store.terms.records import CopyRecord
from store.vault.counters import counters
from store.vault.deleting import LIVE
from store.vault.vault import Vault

RECORD = CopyRecord(subject="x", from_="a@b.example", envelope_sender="a@b.example")


def fill(vault: Vault, count: int, size: int = 500) -> list[int]:
    return vault.put_many((os.urandom(size), RECORD, None) for _ in range(count))


def where(vault: Vault) -> tuple[list[int], list[int], list[int]]:
    """The ids in Backup, in the bin, and buried: each id is one of them, once."""
    kept, binned = vault.ids(), vault.bin.ids()
    buried = sorted(vault.tombstones_since(0)[1])
    with vault.reading():
        next_id = counters(vault.db).next_copy_id
    assert sorted([*kept, *binned, *buried]) == list(range(1, next_id))
    return kept, binned, buried


def sound(vault: Vault) -> None:
    result = check(vault)
    assert result.broken == []
    assert (result.checked, result.binned) == (len(vault.ids()), len(vault.bin.ids()))


def test_what_is_deleted_comes_back_as_it_was(any_vault: Vault) -> None:
    ids = fill(any_vault, 20)
    before = {copy_id: any_vault.raw(copy_id) for copy_id in ids}
    copies = any_vault.get_many(ids)
    used = any_vault.count().used_bytes
    result = delete_copies(any_vault, [3, 4, 5, 17, 99], operator="anna")
    assert (result.binned, result.deleted, result.missing) == ([3, 4, 5, 17], [], [99])
    assert where(any_vault)[1] == [3, 4, 5, 17]
    count = any_vault.count()
    assert (count.messages, count.used_bytes, count.binned) == (16, used, 4)
    assert count.binned_bytes == sum(copy.stored_size for copy in copies if copy.id in result.binned)
    with pytest.raises(CopyBinned, match="bin restore 4"):
        any_vault.get(4)
    with pytest.raises(CopyMissing):
        any_vault.raw(99)
    assert any_vault.get_many([4], binned=True) == [copies[3]]
    assert any_vault.raw(4, binned=True) == before[4]
    sound(any_vault)
    done = bring_back(any_vault, [4, 5, 6, 99], operator="anna")
    assert (done.restored, done.there, done.gone) == ([4, 5], [6], [99])
    assert any_vault.get_many(ids) == [copy for copy in copies if copy.id not in (3, 17)]
    assert {copy_id: any_vault.raw(copy_id) for copy_id in any_vault.ids()} == {
        copy_id: before[copy_id] for copy_id in any_vault.ids()
    }
    sound(any_vault)
    assert [event.action for event in events(any_vault)[:2]] == ["bring back", "delete into the bin"]


def test_an_act_says_what_became_of_it(any_vault: Vault) -> None:
    fill(any_vault, 10)
    first = delete_copies(any_vault, [1, 2, 3, 4], operator="anna")
    second = delete_copies(any_vault, [5, 6], operator="bert")
    bring_back(any_vault, [2], operator="bert")
    empty_bin(any_vault, [3], operator="anna")
    newest, oldest = any_vault.bin.acts()
    assert (newest.act, newest.operator, newest.copies, newest.left) == (second.act, "bert", 2, 2)
    assert (oldest.act, oldest.operator, oldest.copies) == (first.act, "anna", 4)
    assert (oldest.left, oldest.restored, oldest.gone, oldest.first) == (2, 1, 1, 1)
    assert oldest.until == first.until and oldest.at and oldest.size > oldest.left_size > 0
    assert any_vault.bin.ids(first.act) == [1, 4]
    found = last_act(any_vault, "anna")
    assert found == oldest and last_act(any_vault, "carl") is None
    bring_back(any_vault, any_vault.bin.ids(second.act), operator="bert")
    assert last_act(any_vault, "bert") is None
    assert [each.act for each in any_vault.bin.acts()] == [first.act]
    assert [each.left for each in any_vault.bin.acts(since=0)] == [0, 2]
    sound(any_vault)


def test_for_good_is_for_good(any_vault: Vault) -> None:
    fill(any_vault, 6)
    assert delete_copies(any_vault, [1], operator="anna", for_good=True).deleted == [1]
    change_settings(any_vault, Settings(bin_days=0))
    assert delete_copies(any_vault, [2], operator="anna").deleted == [2]
    change_settings(any_vault, Settings())
    delete_copies(any_vault, [3, 4], operator="anna")
    assert empty_bin(any_vault, [3], operator="anna").deleted == [3]
    assert where(any_vault) == ([5, 6], [4], [1, 2, 3])
    done = bring_back(any_vault, [1, 2, 3, 4], operator="anna")
    assert (done.restored, done.gone) == ([4], [1, 2, 3])
    sound(any_vault)


def test_a_live_delivery_and_the_bin_exclude_each_other(any_vault: Vault) -> None:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:2525"))
    record = CopyRecord(envelope_sender="a@b.example", envelope_recipients=("to@b.example",))
    any_vault.put_many((b"x" * 50, record, None) for _ in range(3))
    assert len(release(any_vault, [1], original=True).queued) == 1
    result = delete_copies(any_vault, [1, 2], operator="anna")
    assert (result.binned, result.refused) == ([2], [(1, LIVE)])
    refused = release(any_vault, [2, 3], original=True)
    assert len(refused.queued) == 1 and "is in the bin" in refused.refused[0][1]
    bring_back(any_vault, [2], operator="anna")
    assert len(release(any_vault, [2], original=True).queued) == 1
    sound(any_vault)


def test_two_operators_at_once(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    ids = fill(any_vault, 300, 50)
    other = open_again()
    both = threading.Barrier(2)
    failed: list[BaseException] = []

    def work(vault: Vault, operator: str, deletes: bool) -> None:
        try:
            both.wait(60)
            for start in range(0, 300, 30):
                part = ids[start : start + 40]
                if deletes:
                    delete_copies(vault, part, operator=operator)
                    bring_back(vault, part[::3], operator=operator)
                else:
                    bring_back(vault, part, operator=operator)
                    delete_copies(vault, part[::2], operator=operator)
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=work, args=(any_vault, "anna", True)),
        threading.Thread(target=work, args=(other, "bert", False)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    kept, binned, buried = where(any_vault)
    assert sorted([*kept, *binned]) == ids and buried == []
    sound(any_vault)
    assert run(any_vault.db, "SELECT COUNT(*) FROM body").fetchone()[0] == 300
