"""`check` names derived rows that do not verify, and the command that makes them anew; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.authority.deleting import delete_copies
from store.campaigns.checking import problems, unreadable
from store.campaigns.finding import find
from store.campaigns.indexing import index, read_traits, traits_of
from store.campaigns.lease import Lease
from store.campaigns.reading import StandingReader
from store.check import check
from store.vault.vault import Vault
from tests.store.campaigns.mail import put_wave

Sql = Callable[..., Any]


@pytest.fixture
def found(any_vault: Vault) -> Vault:
    """Make a store with a campaign of 20, and its derived rows."""
    put_wave(any_vault, (20,), 5)
    assert find(any_vault).campaigns == 1
    return any_vault


def told(vault: Vault) -> list[tuple[str, str]]:
    with vault.reading():
        return list(problems(vault))


def test_what_verifies_is_not_named(found: Vault) -> None:
    delete_copies(found, [3], operator="ada")
    assert Lease(found).take()
    assert told(found) == [] and unreadable(found) == []
    assert check(found).broken == []


def test_traits_that_do_not_verify_are_named_and_made_anew(found: Vault, sql: Sql) -> None:
    delete_copies(found, [4], operator="ada")
    was = read_traits(found, [2])
    sql(found, "UPDATE derived SET sealed = ? WHERE kind = 'traits' AND id IN (2, 3, 4)", b"\5damaged")
    traits_of(found).write([(9, b"no msgpack")])
    assert unreadable(found) == [2, 3, 4, 9]
    [(_, why)] = [each for each in check(found).broken if each[0] == "traits"]
    assert why == "those of copies 2-4, 9 do not verify: `mailhold index --verify` renews them"
    assert index(found, again=unreadable(found)).indexed == 3
    assert read_traits(found, [2]) == was and unreadable(found) == [4]  # The copy is in the bin.


def test_rows_without_a_copy_are_named(found: Vault, sql: Sql) -> None:
    sql(found, "UPDATE derived SET id = 700 WHERE kind = 'traits' AND id = 2")
    assert told(found) == [("rows of kind traits", "their copies 700 do not exist")]
    assert ("rows of kind traits", "their copies 700 do not exist") in check(found).broken


@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("kind", ["campaign", "joining"])
def test_campaigns_that_do_not_verify_are_named_and_found_again(found: Vault, sql: Sql, kind: str, row: int) -> None:
    if kind == "joining" and row == 0:
        return
    sql(found, "UPDATE derived SET sealed = ? WHERE kind = ? AND id = ?", b"\5damaged", kind, row)
    named = told(found)
    assert {what for what, _ in named} == {"campaigns"}
    assert all("is damaged or was tampered with" in why and why.endswith("finds them again") for _, why in named)
    find(found, again=True)
    assert told(found) == [] and len(StandingReader(found).read().campaigns) == 1


def test_rows_of_a_kind_that_nobody_knows_are_named(found: Vault, sql: Sql) -> None:
    sql(found, "INSERT INTO derived (id, kind, version, sealed) VALUES (0, 'other', 1, ?)", b"x")
    named = told(found)
    assert named == [("data derived from copies", "1 rows are of a kind that this version of Mailhold does not know")]


def test_a_lease_that_does_not_verify_is_named(found: Vault, sql: Sql) -> None:
    assert Lease(found).take()
    sql(found, "UPDATE derived SET sealed = ? WHERE kind = 'finder'", b"x")
    assert told(found) == [("the lease of the campaign finder", "it does not verify and is ignored")]
