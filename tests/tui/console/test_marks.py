"""Marks behave like a set of ids, however they were made; and a frozen filter does not change."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tui.console.marks import Chosen, Frozen, Marks

IDS = st.integers(1, 30)


class Found:
    """A selection in plain lists."""

    def __init__(self, ids: Iterable[int], *, partial: bool = False) -> None:
        self._ids = list(ids)
        self.count = len(self._ids)
        self.partial = partial
        self.high_water = max(self._ids, default=0)
        self.returned: frozenset[int] = frozenset()
        self.looks = 0

    def ids(self, start: int = 0, stop: int | None = None) -> list[int]:
        return self._ids[start:stop]

    def among(self, ids: Iterable[int]) -> set[int]:
        self.looks += 1
        return set(ids) & set(self._ids)


def frozen(ids: Iterable[int], high_water: int = 30) -> Frozen:
    found = Found(ids)
    return Frozen(found, high_water, lambda wait: found)


def test_what_comes_back_out_of_the_bin_is_in_no_frozen_filter_that_had_not_seen_it() -> None:
    """Copies that return have ids below the filter's highest id."""
    before, after = Found([5, 4, 2], partial=True), Found([5, 4, 3, 2, 1])
    before.returned, after.returned = frozenset({4}), frozenset({4, 3, 1})
    marks = Marks()
    marks.add_all(Frozen(before, 5, lambda wait: after))
    assert marks.chosen().ids() == [5, 4, 2]
    assert marks.frozen is not None
    fuller = marks.frozen.fuller()
    marks.refreeze(marks.frozen, fuller)
    assert marks.count == 3 and [each for each in range(1, 7) if each in marks] == [2, 4, 5]
    assert fuller.fuller().count == 3
    marks.add([1])
    assert marks.count == 4 and sorted(marks.chosen().ids()) == [1, 2, 4, 5]


def test_marked_copies_that_were_lost_and_came_back_are_marked_again_whenever_the_filter_is_found_anew() -> None:
    for look_first in (False, True):
        before, after = Found([5, 4, 2], partial=True), Found([6, 5, 4, 3, 2])
        after.returned = frozenset({4, 3})
        marks = Marks()
        marks.add_all(Frozen(before, 5, lambda wait, after=after: after))
        assert marks.remove([4, 3, 7]) == {4} and marks.remove([4]) == set()
        assert marks.frozen is not None
        if look_first:
            marks.refreeze(marks.frozen, marks.frozen.fuller())
            assert marks.count == len(marks.chosen().ids()) == 2
        marks.take_back([4])
        for _ in range(2):
            assert sorted(marks.chosen().ids()) == [2, 4, 5]
            assert marks.count == 3 and [each for each in range(1, 8) if each in marks] == [2, 4, 5]
            marks.refreeze(marks.frozen, marks.frozen.fuller())


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("toggle"), IDS),
        st.tuples(st.just("add"), st.lists(IDS)),
        st.tuples(st.just("remove"), st.lists(IDS)),
        st.tuples(st.just("all"), st.lists(IDS, unique=True)),
        st.tuples(st.just("clear"), st.none()),
    )
)


@given(STEPS)
def test_marks_are_a_set_of_ids(steps: list[tuple[str, object]]) -> None:
    marks, model = Marks(), set[int]()
    for step, value in steps:
        match step, value:
            case "toggle", int(one):
                assert marks.toggle(one) is (one not in model)
                model ^= {one}
            case "add", list(ids):
                marks.add(ids)
                model |= set(ids)
            case "remove", list(ids):
                marks.remove(ids)
                model -= set(ids)
            case "all", list(ids):
                before = marks.frozen
                marks.add_all(frozen(ids), before_ids=before.ids() if before else ())
                model |= set(ids)
            case _:
                marks.clear()
                model.clear()
        assert marks.count == len(model)
        assert {one for one in range(1, 31) if one in marks} == model
        chosen = marks.chosen()
        assert chosen.count == len(chosen.ids()) == len(model)
        assert set(chosen.ids()) == model


def test_marking_a_million_looks_at_none_of_them() -> None:
    class Million(Found):
        def __init__(self) -> None:
            super().__init__([])
            self.count = 1_000_000

        def ids(self, start: int = 0, stop: int | None = None) -> list[int]:
            raise AssertionError("the ids were listed")

    million = Million()
    marks = Marks()
    marks.add_all(Frozen(million, 2_000_000, lambda wait: million))
    assert marks.count == 1_000_000 and marks.frozen is not None


def test_a_copy_above_the_high_water_is_not_marked() -> None:
    marks = Marks()
    marks.add_all(frozen([5, 6, 7], high_water=6))
    assert 6 in marks and 7 not in marks
    assert marks.chosen().ids() == [5, 6]


def test_a_partial_filter_is_found_again_before_an_action() -> None:
    full = Found([3, 2, 1])
    waited: list[bool] = []

    def again(wait: bool) -> Found:
        waited.append(wait)
        return full

    marks = Marks()
    marks.add_all(Frozen(Found([3], partial=True), 3, again))
    assert marks.count == 1
    assert marks.chosen().ids() == [3, 2, 1]
    assert waited == [True]


def test_the_fuller_result_leaves_out_what_arrived_since() -> None:
    later = Found([9, 3, 2, 1])
    before = Frozen(Found([3], partial=True), 3, lambda wait: later)
    marks = Marks()
    marks.add_all(before)
    marks.refreeze(before, before.fuller())
    assert marks.count == 3 and 9 not in marks


def test_marks_made_meanwhile_are_not_overwritten_by_a_fuller_result() -> None:
    before, other = frozen([1, 2]), frozen([3])
    marks = Marks()
    marks.add_all(before)
    marks.add_all(other, before_ids=[1, 2])
    marks.refreeze(before, frozen([1, 2, 4]))
    assert marks.frozen is other


def test_a_frozen_filter_is_asked_once_a_page() -> None:
    found = Found(range(1, 31))
    held = Frozen(found, 30, lambda wait: found)
    held.learn(range(1, 31))
    assert all(one in held for one in range(1, 31))
    assert found.looks == 1


def test_an_action_keeps_the_marks_it_was_given() -> None:
    marks = Marks()
    marks.add([1, 2])
    chosen = marks.chosen()
    marks.clear()
    assert set(chosen.ids()) == {1, 2}


def test_an_action_knows_how_many_lie_outside_the_filter() -> None:
    marks = Marks()
    marks.add([1, 2, 3])
    chosen = marks.chosen(Found([2, 9]))
    assert chosen.outside(chosen.ids()) == 2
    assert Chosen.of([5]).outside([5]) == 0


@given(st.sets(IDS), st.sets(IDS), st.lists(st.tuples(st.booleans(), IDS)), st.booleans())
def test_copies_marked_one_by_one_while_a_filter_is_partial_count_once_and_stay_unmarked(
    first: set[int], more: set[int], steps: list[tuple[bool, int]], again: bool
) -> None:
    before, after = Found(first, partial=True), Found(first | more)
    marks, model = Marks(), first | more
    marks.add_all(Frozen(before, 30, lambda wait: after))
    for add, copy_id in steps:
        (marks.add if add else marks.remove)((copy_id,))
        (model.add if add else model.discard)(copy_id)
    chosen = marks.chosen().ids()
    assert sorted(chosen) == sorted(model)
    if again:
        taken = marks.copy()
        taken.complete()
        marks.take(taken)
    else:
        assert marks.frozen is not None
        marks.refreeze(marks.frozen, marks.frozen.fuller())
    assert sorted(marks.chosen().ids()) == sorted(model)
    assert marks.count == len(model) and {each for each in range(1, 31) if each in marks} == model
