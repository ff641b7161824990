"""Copies in the bin as a result that a list shows."""

from __future__ import annotations

from store.authority.deleting import bring_back, delete_copies
from store.catalogue.bin_selection import BinSelection
from store.database.connection import run
from store.terms.records import CopyRecord, row_of
from store.vault.vault import Vault


def fill(vault: Vault) -> list[int]:
    ids = vault.put_many((b"Subject: x\r\n\r\nx\r\n", CopyRecord(subject=f"number {n}"), None) for n in range(1, 9))
    delete_copies(vault, ids[:5], operator="ada")
    return ids


def test_it_reads_the_copies_of_the_bin_in_the_order_given(any_vault: Vault) -> None:
    fill(any_vault)
    order = [5, 3, 1]
    found = BinSelection(any_vault, order)
    assert (found.count, found.total, found.partial, found.high_water) == (3, 3, False, 5)
    assert found.rows(0, 9) == [row_of(copy) for copy in any_vault.get_many(order, binned=True)]
    assert found.rows(1, 2)[0].subject == "number 3" and found.rows(3, 5) == [] == found.rows(-4, 0)
    assert found.ids() == order and found.ids(1) == [3, 1] and found.ids(-3, 2) == [5, 3]
    assert (found.position(3), found.position(2), 1 in found, 4 in found) == (1, None, True, False)
    assert found.among([1, 2, 3, 9]) == {1, 3}


def test_each_line_keeps_its_place_where_one_cannot_be_read(any_vault: Vault) -> None:
    fill(any_vault)
    found = BinSelection(any_vault, [5, 4, 3, 2, 1])
    bring_back(any_vault, [4], operator="ada")
    with any_vault.write():
        run(any_vault.db, "UPDATE binned SET record = ? WHERE id = 2", b"x")
    rows = found.rows(0, 5)
    assert [row.id for row in rows] == [5, 4, 3, 2, 1]
    assert [row.subject for row in rows if "mailhold check" not in row.subject] == ["number 5", "number 3", "number 1"]


def test_an_empty_one(any_vault: Vault) -> None:
    found = BinSelection(any_vault, [])
    assert (found.count, found.high_water, found.rows(0, 5), found.ids(), found.among([1])) == (0, 0, [], [], set())
