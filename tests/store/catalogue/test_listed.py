"""Copies by id: returned in the requested order, without missing ones, with subject and sender."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from store.catalogue.frame import Frame
from store.catalogue.listed import ListedSelection, sender_fields, subject_counts
from store.terms.records import Copy, row_of
from tests.store.filters.filter_model import NOW, records


@st.composite
def listed(draw: st.DrawFn) -> tuple[list[Copy], list[int]]:
    some = [Copy(at * 3 + 1, NOW, 1, each) for at, each in enumerate(draw(st.lists(records, max_size=12)))]
    ids = draw(st.lists(st.integers(0, 40), unique=True, max_size=20))
    return some, ids


@given(listed())
def test_it_lists_what_is_there_in_the_order_asked(case: tuple[list[Copy], list[int]]) -> None:
    some, ids = case
    there = {copy.id: copy for copy in some}
    wanted = [copy_id for copy_id in ids if copy_id in there]
    found = ListedSelection(Frame.of(some), ids)
    assert found.count == len(wanted) and found.ids() == wanted
    assert found.rows(0, 50) == [row_of(there[copy_id]) for copy_id in wanted]
    assert found.rows(1, 3) == found.rows(0, 50)[1:3]
    assert [found.position(copy_id) for copy_id in wanted] == list(range(len(wanted)))
    assert found.position(2) is None and found.among(range(50)) == set(wanted)


@given(listed())
def test_subjects_are_counted_and_senders_told_once(case: tuple[list[Copy], list[int]]) -> None:
    some, ids = case
    inside = [copy.record for copy in some if copy.id in ids]
    counts = subject_counts(Frame.of(some), ids, most=50)
    assert Counter(dict(counts)) == Counter(record.subject for record in inside)
    assert [count for _, count in counts] == sorted((count for _, count in counts), reverse=True)
    assert subject_counts(Frame.of(some), ids, most=2) == counts[:2]
    fields = {record.from_ for record in inside}
    senders, number = sender_fields(Frame.of(some), ids, most=50)
    assert sorted(senders) == sorted(fields) and number == len(fields)
    few, number = sender_fields(Frame.of(some), ids, most=2)
    assert set(few) <= fields and number == len(fields) and len(few) == min(2, len(fields))
