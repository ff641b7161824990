"""The table of counters: counting in and out, and rebuilding it if a count is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.database.executing import executor
from store.opening.repairing import repair
from store.terms.errors import TamperedError
from store.vault.counters import (
    Counters,
    count_in,
    counted,
    counters,
    made_right,
    put_right,
    raise_next,
    require_right,
    taken_ids,
)
from store.vault.derived import Derived, Loose
from store.vault.vault import Vault

BEYOND = 1 << 53


@pytest.fixture
def held(any_vault: Vault, put_some: Callable[..., list[int]]) -> Vault:
    """Make a vault with the copies 1, 2 and 4 of 5."""
    put_some(any_vault, 5)
    any_vault.delete([3, 5])
    return any_vault


def now(vault: Vault) -> Counters:
    with vault.reading():
        return counters(vault.db)


def right(vault: Vault, floor: int) -> list[str]:
    """Count in a transaction without a signed head: a head would refuse ids lower than those seen."""
    with vault.writing(), vault.db.transaction():
        return made_right(vault.db, floor)


def test_they_count_what_is_there(held: Vault) -> None:
    with held.reading():
        messages, used, *_ = now(held)
        assert counted(held.db)[:2] == (messages, 0) and (messages, used) == (3, held.count().used_bytes)
        assert taken_ids(held.db) == [1, 2, 4]
    assert now(held).next_copy_id == 6


def test_what_is_right_is_left_alone(held: Vault) -> None:
    before = now(held)
    for floor in (0, 1, 5, 6):
        assert right(held, floor) == []
    assert now(held) == before


@pytest.mark.parametrize(
    ("next_copy", "floor", "written"),
    [
        (6, 7, 7),  # a tombstone names 6
        (4, 0, 5),  # copy 4 has it
        (5, 0, 5),
        (-1, 0, 5),
        (9, 7, 9),
        (BEYOND - 1, 7, BEYOND - 1),
        (BEYOND, 7, 7),
        (BEYOND, 2, 5),
    ],
)
def test_the_next_id_is_above_every_copy_and_the_floor(
    held: Vault, sql: Callable[..., Any], next_copy: int, floor: int, written: int
) -> None:
    sql(held, "UPDATE state SET next_copy_id = ?, messages = 7", next_copy)
    used = held.count().used_bytes
    assert right(held, floor) == [f"the table of counters: 3 copies, {used:,} bytes, next copy ID {written}"]
    assert now(held)[:3] == (3, used, written)
    assert right(held, floor) == []


@pytest.mark.parametrize("change", ["messages = messages + 1", "used_bytes = used_bytes - 1", "next_copy_id = 4"])
def test_each_of_them_is_written_anew(held: Vault, sql: Callable[..., Any], change: str) -> None:
    messages, used, *_ = now(held)
    sql(held, f"UPDATE state SET {change}")
    assert len(right(held, 6)) == 1
    assert now(held)[:2] == (messages, used) and now(held).next_copy_id == 6


def test_of_an_empty_store_they_begin_anew(any_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(any_vault, "DELETE FROM state")
    with pytest.raises(TamperedError, match="it is empty"):
        now(any_vault)
    with pytest.raises(TamperedError, match="it is empty"), any_vault.write():
        count_in(any_vault.db, executor(any_vault.db), 1, 1)
    assert right(any_vault, 0) == ["the table of counters: 0 copies, 0 bytes, next copy ID 1"]
    assert now(any_vault)[:3] == (0, 0, 1)


def test_a_copy_in_the_bin_keeps_its_id(held: Vault, sql: Callable[..., Any]) -> None:
    sql(held, "INSERT INTO binned SELECT message.*, 1 FROM message WHERE id = 4")
    sql(held, "DELETE FROM message WHERE id = 4")
    sql(held, "UPDATE state SET next_copy_id = 1")
    right(held, 0)
    assert now(held).next_copy_id == 5
    with held.reading():
        assert taken_ids(held.db) == [1, 2, 4]


def test_a_repair_gives_out_no_id_that_a_tombstone_names(
    held: Vault, sql: Callable[..., Any], put_some: Callable[..., list[int]]
) -> None:
    sql(held, "UPDATE state SET next_copy_id = 1")
    assert len(repair(held, operator="ada")) == 1
    assert put_some(held, 1) == [6]
    assert repair(held, operator="ada") == []


def test_the_next_id_is_raised_and_never_lowered(any_vault: Vault) -> None:
    for wanted, then in ((5, 5), (4, 5), (5, 5), (6, 6)):
        with any_vault.write():
            raise_next(any_vault.db, wanted)
        assert now(any_vault)[:3] == (0, 0, then)


def made(vault: Vault, size: int, ids: list[int]) -> None:
    Derived(vault, "traits", 1).write((copy_id, b"x" * size) for copy_id in ids)


def test_what_is_made_from_copies_is_counted_and_goes_with_them(held: Vault) -> None:
    used = held.count().used_bytes
    assert now(held).derived == held.count().derived_bytes == 0
    made(held, 100, [1, 2, 4, 9])
    each = now(held).derived_bytes // 3
    assert now(held).derived == 3 and each > 100
    assert (held.count().used_bytes, held.count().derived_bytes) == (used + 3 * each, 3 * each)
    made(held, 150, [1, 2])  # in place of former ones
    assert (now(held).derived, now(held).derived_bytes) == (3, 3 * each + 100)
    loose = Loose(held, "campaign", 1)
    with held.write(quiet=True):
        loose.put([(0, loose.seal(0, b"state")), (-1, loose.seal(-1, b"one"))])
    assert now(held).derived == 5
    with held.write(quiet=True):
        loose.remove([0, -1, -7])
    assert (now(held).derived, now(held).derived_bytes) == (3, 3 * each + 100)
    held.delete([2])
    assert (now(held).derived, now(held).derived_bytes) == (2, 2 * each + 50)
    Derived(held, "traits", 1).remove(0, 3)
    assert (now(held).derived, now(held).derived_bytes) == (1, each)
    with held.reading():
        assert counted(held.db).told() == {name: getattr(now(held), name) for name in counted(held.db).told()}
        require_right(held.db)
    assert now(held)[:2] == (2, held.count().used_bytes - each)


def test_what_a_former_release_wrote_is_counted_with_the_first_row_that_is_written(
    held: Vault, sql: Callable[..., Any]
) -> None:
    made(held, 100, [1, 2])
    sql(held, "DELETE FROM state WHERE id = 3")
    with held.reading():
        require_right(held.db)
    assert now(held).derived == 0
    made(held, 100, [4])
    assert now(held).derived == 3
    with held.reading():
        require_right(held.db)


def test_a_false_number_of_them_is_found_and_put_right(held: Vault, sql: Callable[..., Any]) -> None:
    made(held, 100, [1, 2])
    before = now(held)
    sql(held, "UPDATE state SET used_bytes = used_bytes + 1 WHERE id = 3")
    with pytest.raises(TamperedError, match="counts do not match the copies"), held.reading():
        require_right(held.db)
    assert len(right(held, 6)) == 1 and now(held) == before and right(held, 6) == []
    sql(held, "UPDATE state SET used_bytes = 1000000 WHERE id = 3")
    with held.write(quiet=True):
        put_right(held.db, counted(held.db))
    assert now(held) == before


def test_a_put_is_told_the_bytes_of_all(held: Vault) -> None:
    made(held, 100, [1, 2])
    total = held.count().used_bytes
    with held.write(quiet=True):
        assert count_in(held.db, executor(held.db), 0, 0) == (6, total)
