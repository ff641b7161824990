"""Data derived from copies later: bound to its copy, deleted with it, and kept in the bin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from store.database.connection import run
from store.terms.errors import TamperedError, UnlockError
from store.vault.derived import Derived
from store.vault.vault import Vault


@pytest.fixture
def ids(any_vault: Vault, put_some: Callable[..., list[int]]) -> list[int]:
    return put_some(any_vault, 6)


def rows(vault: Vault) -> int:
    with vault.reading():
        return int(run(vault.db, "SELECT COUNT(*) FROM derived").fetchone()[0])


def test_what_was_written_is_read(any_vault: Vault, ids: list[int]) -> None:
    derived = Derived(any_vault, "traits", 1)
    assert derived.lacking() == ids[::-1] and derived.lacking(ids[3], after_id=ids[0]) == [ids[2], ids[1]]
    assert derived.write((copy_id, b"of %d" % copy_id) for copy_id in [*ids[:4], 999]) == ids[:4]
    assert derived.read([*ids, 999]) == {copy_id: b"of %d" % copy_id for copy_id in ids[:4]}
    assert derived.lacking() == ids[:3:-1]
    assert list(derived.having()) == ids[:4]
    assert list(derived.having(ids[0], ids[2])) == ids[1:3]
    assert [row for batch in derived.batches(ids[0]) for row in batch] == [
        (copy_id, b"of %d" % copy_id) for copy_id in ids[1:4]
    ]
    assert [row[0] for batch in derived.batches(ids[0], ids[2]) for row in batch] == ids[1:3]
    derived.write([(ids[0], b"again")])
    assert derived.read(ids)[ids[0]] == b"again" and rows(any_vault) == 4
    assert derived.write([]) == [] and derived.read([]) == {}


def test_another_version_or_kind_is_none_and_is_put_in_its_place(any_vault: Vault, ids: list[int]) -> None:
    Derived(any_vault, "traits", 1).write((copy_id, b"1") for copy_id in ids)
    newer, other = Derived(any_vault, "traits", 2), Derived(any_vault, "groups", 1)
    assert not newer.read(ids) and not other.read(ids) and not list(newer.batches())
    assert newer.lacking() == other.lacking() == ids[::-1]
    newer.write([(ids[0], b"2")])
    other.write([(ids[0], b"g")])
    assert newer.read(ids) == {ids[0]: b"2"} and other.read(ids) == {ids[0]: b"g"} and rows(any_vault) == 7


CHANGES = {
    "of another copy": "UPDATE derived SET sealed = (SELECT sealed FROM derived AS d WHERE d.id = 2) WHERE id = 1",
    "another kind": "UPDATE derived SET kind = 'groups' WHERE id = 1",
    "another version": "UPDATE derived SET version = 2 WHERE id = 1",
    "cut short": "UPDATE derived SET sealed = SUBSTR(sealed, 1, 20) WHERE id = 1",
    "its copy's record is another": "UPDATE message SET record = (SELECT record FROM message AS m WHERE m.id = 2) "
    "WHERE id = 1",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_row_that_was_changed_does_not_open(
    change: str, any_vault: Vault, ids: list[int], sql: Callable[..., Any]
) -> None:
    Derived(any_vault, "traits", 1).write((copy_id, b"x") for copy_id in ids)
    sql(any_vault, CHANGES[change])
    told: list[int] = []

    def on_error(copy_id: int, _error: TamperedError) -> None:
        told.append(copy_id)

    kind, version = ("groups" if change == "another kind" else "traits"), (2 if change == "another version" else 1)
    assert 1 not in Derived(any_vault, kind, version).read([1], on_error=on_error)
    assert told == [1]


def test_rows_go_with_their_copies_and_stay_in_the_bin(any_vault: Vault, ids: list[int]) -> None:
    derived = Derived(any_vault, "traits", 1)
    derived.write((copy_id, b"x") for copy_id in ids)
    any_vault.delete(ids[:2])
    assert rows(any_vault) == 4
    any_vault.bin.put(ids[2:5], until=1 << 50)
    assert rows(any_vault) == 4 and list(derived.read(ids)) == [ids[5]]
    assert sorted(derived.read(ids, binned=True)) == ids[2:5]
    any_vault.bin.restore([ids[2]])
    assert sorted(derived.read(ids)) == [ids[2], ids[5]] and derived.lacking() == []
    any_vault.bin.empty([ids[3]])
    assert rows(any_vault) == 3
    with any_vault.write():
        any_vault.bin.rotate([ids[4]])
    assert rows(any_vault) == 2


def test_a_copy_that_is_gone_gets_none(any_vault: Vault, ids: list[int]) -> None:
    derived = Derived(any_vault, "traits", 1)
    any_vault.delete([ids[0]])
    any_vault.bin.put([ids[1]], until=1 << 50)
    assert derived.write((copy_id, b"x") for copy_id in ids) == ids[1:]


def test_a_gateway_opens_none(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "keys", dataclasses.replace(vault.keys, private_key=None))
    with pytest.raises(UnlockError, match="with an operator key"):
        Derived(vault, "traits", 1)
