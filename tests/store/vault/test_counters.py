"""The table of counters: what is counted in and out, and its being written anew where it counts something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.opening.repairing import repair
from store.terms.errors import TamperedError
from store.vault.counters import Counters, count_in, counted, counters, made_right, raise_next, taken_ids
from store.vault.vault import Vault

BEYOND = 1 << 53


@pytest.fixture
def held(any_vault: Vault, put_some: Callable[..., list[int]]) -> Vault:
    """A vault with the copies 1, 2 and 4 of 5."""
    put_some(any_vault, 5)
    any_vault.delete([3, 5])
    return any_vault


def now(vault: Vault) -> Counters:
    with vault.reading():
        return counters(vault.db)


def right(vault: Vault, floor: int) -> list[str]:
    """In a transaction that no head witnesses: it would refuse ids that are lower than what was seen."""
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
    assert right(held, floor) == [f"the table of counters: 3 copies, {used:,} bytes, the next copy is {written}"]
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
        count_in(any_vault.db, 1, 1)
    assert right(any_vault, 0) == ["the table of counters: 0 copies, 0 bytes, the next copy is 1"]
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
