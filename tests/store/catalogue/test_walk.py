"""A query without Polars gives the same answer as with it, for any copies, filter and sort order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue.frame import Frame
from store.catalogue.sort import NEWEST, Sort
from store.catalogue.walk import first_of
from store.filters.model import MessageFilter
from store.mail.outcome import Delivered
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault
from tests.store.catalogue.catalogue_model import sorts
from tests.store.catalogue.test_catalogue_frame import PlainExtras, copies, select
from tests.store.catalogue.test_catalogue_once import QUERIES, SORTS, put
from tests.store.filters.filter_model import NOW, besides, filters, wide_filters
from tui.commands import selection


@given(copies(), filters, sorts, st.dictionaries(st.integers(1, 40), st.sampled_from(Delivered)), st.integers(0, 40))
def test_the_answer_is_the_catalogue_s(
    some: list[Copy], flt: MessageFilter, sort: Sort, outcomes: dict[int, Delivered], limit: int
) -> None:
    catalogue = select(Frame.of(some), flt, sort, outcomes)
    for most in (limit, None):
        found = first_of(iter(some), flt, sort, most, now=NOW, outcomes=outcomes)
        assert found == (catalogue.rows(0, catalogue.count if most is None else most), catalogue.count)


@given(copies(), wide_filters, sorts, st.data())
def test_what_is_beside_the_copies_counts_too(
    some: list[Copy], flt: MessageFilter, sort: Sort, data: st.DataObject
) -> None:
    beside = {copy.id: data.draw(besides) for copy in some}
    catalogue = select(Frame.of(some), flt, sort, {}, PlainExtras(some, beside))
    found = first_of(iter(some), flt, sort, None, now=NOW, beside=beside)
    assert found == (catalogue.rows(0, catalogue.count), catalogue.count)


@pytest.fixture
def without_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "installed", lambda name: name != "polars")


def test_commands_select_the_same(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(vault, *range(30))
    vault.delete(ids[3:6])
    asked = [(query, sort, 7) for query, sort in itertools.product(QUERIES[:4], SORTS)]
    asked += [(query, None, limit) for query, limit in itertools.product([*QUERIES, "delivered:no"], [None, 0, 4])]
    questions = [(query, {"sort": sort, "limit": limit}) for query, sort, limit in asked]
    there = [selection.select_rows(vault, query, damaged=set(), **how) for query, how in questions]
    monkeypatch.setattr(selection, "installed", lambda name: name != "polars")
    for (query, how), answer in zip(questions, there, strict=True):
        assert selection.select_rows(vault, query, damaged=set(), **how) == answer, (query, how)


def test_a_damaged_copy_is_left_out_as_the_catalogue_leaves_it_out(vault: Vault, without_polars: None) -> None:
    ids = put(vault, *range(4))
    vault.db.execute_sql("UPDATE message SET record = ? WHERE id = ?", (b"x" * 90, ids[1]))
    damaged: set[int] = set()
    rows, count = selection.select_rows(vault, "", sort=NEWEST, damaged=damaged)
    assert {row.id for row in rows} == {*ids} - {ids[1]} and count == 3
    assert damaged == {ids[1]}


def test_it_says_so_where_it_is_slow(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, without_polars: None, capsys: pytest.CaptureFixture[str]
) -> None:
    put(vault, *range(5))
    selection.select_rows(vault, "pills", damaged=set())
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(selection, "MANY_COPIES", 4)
    selection.select_rows(vault, "pills", damaged=set())
    said = capsys.readouterr().err
    assert "5 copies are searched one by one" in said and "pip install 'mailhold[console]'" in said
    selection.select_rows(vault, "", limit=3, damaged=set())
    assert capsys.readouterr().err == ""


def test_the_first_of_many_are_the_newest() -> None:
    record = CopyRecord()
    many = (Copy(number, number, 1, record) for number in range(1, 20_001))
    rows, count = first_of(many, MessageFilter(), NEWEST, 3, now=NOW)
    assert [row.id for row in rows] == [20_000, 19_999, 19_998] and count == 20_000
