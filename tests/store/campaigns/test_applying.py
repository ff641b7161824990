"""Marks of operators, applied to campaigns in any order: no copy is lost or in two places, and none is acted on."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from store.campaigns.applying import applied, target_of
from store.campaigns.grouping import OddCopy, Why
from store.campaigns.marks import Mark, Marks, Peeled
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from store.campaigns.rows import JoinedRow
from store.campaigns.standing import Campaign, Standing

NUMBERS = range(1, 6)


def campaign(number: int, copies: Sequence[int], odd: Sequence[int]) -> Campaign:
    why = Why(0, number, len(copies), 0)
    each = tuple(OddCopy(copy, (Reason.REPLY,)) for copy in odd)
    fits = bytes(copy % 101 for copy in copies)
    return Campaign(number, Rank.PLAIN, array("Q", copies), fits, each, why, (why,), "title", {}, Mark(number))


@st.composite
def campaigns(draw: st.DrawFn) -> tuple[list[Campaign], dict[int, JoinedRow]]:
    """Make campaigns whose copies have one place each, some of them joined later."""
    places = draw(st.lists(st.tuples(st.sampled_from([0, *NUMBERS]), st.booleans()), max_size=60))
    found = []
    for number in draw(st.permutations(NUMBERS)):
        fit = [copy * 3 for copy, (campaign, odd) in enumerate(places, 1) if campaign == number and not odd]
        found.append(campaign(number, fit, [c * 3 for c, place in enumerate(places, 1) if place == (number, True)]))
    new = draw(st.lists(st.integers(1, 100).map(lambda copy: copy * 3 + 1), unique=True, max_size=10))
    joined = {
        copy: JoinedRow(1, draw(st.sampled_from(NUMBERS)), 50, (Reason.LISTED,) if draw(st.booleans()) else ())
        for copy in new
    }
    return found, joined


MARKS = st.lists(
    st.builds(
        Mark, st.sampled_from(NUMBERS), st.sampled_from(["", "a"]), into=st.sampled_from([0, *range(1, 9)])
    ).filter(lambda one: one.into != one.campaign),
    unique_by=lambda one: one.campaign,
)
PEELED = st.lists(
    st.builds(
        lambda number, copies, stays: Peeled(number, tuple(sorted(copies - {stays})), stays),
        st.sampled_from(range(1, 9)),
        st.sets(st.integers(1, 200), max_size=8),
        st.integers(1, 200),
    ),
    max_size=5,
)


def every(found: Sequence[Campaign]) -> list[int]:
    return sorted([copy for one in found for copy in (*one.copies, *(each.copy for each in one.odd))])


@given(campaigns(), MARKS, PEELED)
def test_every_copy_keeps_one_place(
    some: tuple[list[Campaign], dict[int, JoinedRow]], said: list[Mark], peeled: list[Peeled]
) -> None:
    found, joined = some
    marks = Marks(tuple(said), tuple(peeled))
    mark_of = {one.campaign: one for one in said}
    shown = applied(found, joined, marks)
    assert every(shown) == sorted([*every(found), *joined])
    ids = [part for one in shown for part in {*one.parts, one.id}]
    assert len(set(ids)) == len(ids) and set(NUMBERS) <= set(ids)
    for one in shown:
        assert list(one.copies) == sorted(one.copies) and len(one.fits) == len(one.copies)
        assert one.mark == marks.of(one.id)
        out = {copy for each in peeled if target_of(each.campaign, mark_of) == one.id for copy in each.copies}
        assert not out & set(one.copies)
        for each in one.odd:
            assert each.reasons.count(Reason.APART) == (each.copy in out) and each.reasons
    # The marks may come in any order.
    assert applied(found, joined, Marks(tuple(said[::-1]), tuple(peeled[::-1]))) == shown
    assert applied(found, dict(reversed(joined.items())), marks) == shown


@given(campaigns(), MARKS, PEELED)
def test_each_copy_is_found_where_it_is(
    some: tuple[list[Campaign], dict[int, JoinedRow]], said: list[Mark], peeled: list[Peeled]
) -> None:
    found, joined = some
    marks = Marks(tuple(said), tuple(peeled))
    standing = Standing(applied(found, joined, marks))
    expected = sorted(
        [(copy, one.id, 0) for one in standing.campaigns for copy in one.copies]
        + [(each.copy, one.id, 1) for one in standing.campaigns for each in one.odd]
    )
    assert list(zip(*standing.placed, strict=True)) == expected
    for copy, number, odd in expected:
        place = standing.place(copy)
        assert place is not None and place.campaign == number and bool(place.reasons) == bool(odd)
    assert standing.place(100_000) is None
    # Places from an earlier state plus later joins give the same result.
    before = Standing(applied(found, {}, marks))
    assert before.placed is not None
    later = Standing(standing.campaigns)
    later.place_as(before, [(copy, row.campaign) for copy, row in sorted(joined.items())])
    assert later.placed == standing.placed


@given(st.dictionaries(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS)))
def test_campaigns_that_are_joined_in_a_circle_are_one(into: dict[int, int]) -> None:
    mark_of = {one: Mark(one, into=other) for one, other in into.items() if one != other}
    for number in NUMBERS:
        target = target_of(number, mark_of)
        assert target_of(target, mark_of) == target
        if number in mark_of:
            assert target_of(mark_of[number].into, mark_of) == target
