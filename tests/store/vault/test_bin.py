"""The bin: copies go in and come back unchanged, and nothing is lost on the way."""

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
from store.vault import checking_bin
from store.vault.bin import TWICE
from store.vault.counters import counters
from store.vault.deleting import LIVE
from store.vault.vault import Vault

RECORD = CopyRecord(subject="x", from_="a@b.example", envelope_sender="a@b.example")


def fill(vault: Vault, count: int, size: int = 500) -> list[int]:
    return vault.put_many((os.urandom(size), RECORD, None) for _ in range(count))


def where(vault: Vault) -> tuple[list[int], list[int], list[int]]:
    """Return the ids in Backup, in the bin, and buried; assert that each id is in one of them, once."""
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


def changed(vault: Vault, *statements: str) -> dict[str, str]:
    """Return what `check` finds after these statements were executed."""
    with vault.writing():
        for each in statements:
            run(vault.db, each)
    return dict(check(vault).broken)


def in_bin(vault: Vault) -> int:
    """Make a store with copies 1 to 10, of which 2 to 5 are in the bin and 4 came back; return the act."""
    fill(vault, 10)
    act = delete_copies(vault, [2, 3, 4, 5], operator="anna").act
    bring_back(vault, [4], operator="anna")
    assert check(vault).broken == []
    return act


COLUMNS = "id, epoch_id, step, stored_at, size, stored_size, record"


def test_rows_that_were_moved_are_named(any_vault: Vault) -> None:
    act = in_bin(any_vault)
    broken = changed(
        any_vault,
        f"INSERT INTO binned ({COLUMNS}, act) SELECT {COLUMNS}, {act} FROM message WHERE id IN (4, 7)",
        "DELETE FROM message WHERE id IN (4, 7)",
        f"INSERT INTO message ({COLUMNS}) SELECT {COLUMNS} FROM binned WHERE id = 2",
        "DELETE FROM binned WHERE id IN (2, 3)",
        "UPDATE binned SET act = 9 WHERE id = 5",
    )
    assert broken.pop("the table of counters")
    assert broken.pop("epoch 1").startswith("copies are missing without a tombstone")
    assert broken.pop("body 3") == "its copy does not exist"
    assert broken == {
        "copy 4": "it is in the bin, but no act moved it there",
        "copy 7": "it is in the bin, but no act moved it there",
        "copy 5": "it is in the bin, but no act moved it there",
        "copy 2": "it was deleted into the bin, but its row is in Backup again",
        "copy 3": "it was in the bin, and is missing without a tombstone",
    }


def test_a_copy_in_both_tables_is_named_and_not_moved(any_vault: Vault) -> None:
    in_bin(any_vault)
    broken = changed(any_vault, f"INSERT INTO message ({COLUMNS}) SELECT {COLUMNS} FROM binned WHERE id = 3")
    assert broken["copy 3"] == "its row is both in Backup and in the bin"
    assert bring_back(any_vault, [3], operator="anna").refused == [(3, TWICE)]
    assert delete_copies(any_vault, [3], operator="anna").refused == [(3, TWICE)]


def test_a_copy_in_the_bin_is_verified_whole(any_vault: Vault) -> None:
    in_bin(any_vault)
    broken = changed(
        any_vault,
        "UPDATE binned SET size = size + 1 WHERE id = 2",
        "DELETE FROM body WHERE id = 3",
        "UPDATE body SET sealed = (SELECT sealed FROM body WHERE id = 1) WHERE id = 5",
    )
    assert broken == {
        "copy 2": "the seal of its record does not verify",
        "copy 3": "its body is missing",
        "copy 5": "the seal of its body does not verify",
    }


@pytest.mark.parametrize(
    "change",
    [
        "kind = 'restored'",
        "act = act + 1",
        "at = at + 1",
        "until = until + 86400000",
        "sealed_operator = NULL",
        "signature = (SELECT signature FROM bin_act WHERE id = 2)",
        "entries = (SELECT entries FROM bin_act WHERE id = 2)",
    ],
)
def test_a_row_of_the_journal_that_was_changed_is_not_believed(
    any_vault: Vault, open_again: Callable[[], Vault], change: str
) -> None:
    in_bin(any_vault)
    broken = changed(any_vault, f"UPDATE bin_act SET {change} WHERE id = 1")
    assert "act 1 of the bin" in broken
    other = open_again()
    assert other.bin.acts()[-1].at == 0, "it has no operator and no time"
    with other.reading():
        assert other.bin.oldest(10) == [], "nothing is removed for it"
    assert bring_back(other, [2, 3, 5], operator="anna").restored == [2, 3, 5]


def test_a_row_of_the_journal_that_was_taken_out_is_missed(any_vault: Vault) -> None:
    in_bin(any_vault)
    assert changed(any_vault, "DELETE FROM bin_act WHERE id = 1")["the bin"] == "act 1 is missing from its journal"
    assert "act 2 of the bin" not in changed(any_vault, "DELETE FROM bin_act WHERE id = 2")
    assert "acts of the bin" in dict(check(any_vault).broken)["the store"]


def test_a_gateway_buries_nothing_before_its_time(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stolen key can do so; `check` reports it if the bin held no more than its share."""
    change_settings(any_vault, Settings(bin_share=11))
    in_bin(any_vault)
    with any_vault.write():
        any_vault.bin.rotate([2])
    assert check(any_vault).broken == [], "the settings are younger than the clocks are apart"
    monkeypatch.setattr(checking_bin, "_APART", 0)
    assert dict(check(any_vault).broken) == {"tombstone 1": "a gateway deleted copies from the bin too early: 2"}
    change_settings(any_vault, Settings(bin_share=0))
    with any_vault.write():
        any_vault.bin.rotate([3])
    assert list(dict(check(any_vault).broken)) == [], "the older one is from before those settings"


def test_what_moves_while_check_reads_is_not_missed(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    """Copies that move from one table to the other between two reads are in neither result."""
    fill(any_vault, 1200, 20)
    delete_copies(any_vault, range(1, 600), operator="anna")
    other = open_again()
    rounds = iter(range(1000))

    def progress(done: int, _of: int) -> None:
        if done % 150 == 1:
            n = next(rounds)
            bring_back(other, range(1 + n, 600, 2), operator="bert")
            delete_copies(other, range(300, 1200, 3 + n), operator="bert")
            empty_bin(other, other.bin.ids()[::50], operator="bert")

    result = check(any_vault, progress)
    assert result.broken == [] and next(rounds) > 2
    sound(any_vault)
