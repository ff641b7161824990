"""A handle that is found again keeps its id by the majority of its copies; on a tie the older handle wins."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store.campaigns.lasting import kept_ids

#: Disjoint sets of copies, by the number of their set.
partitions = st.dictionaries(st.integers(0, 60), st.integers(1, 6), max_size=60).map(
    lambda of: {number: {copy for copy in of if of[copy] == number} for number in sorted(set(of.values()))}
)


def test_what_is_found_the_first_time_is_numbered_in_order() -> None:
    assert kept_ids({}, [{1, 2}, {3}]) == [1, 2]
    assert kept_ids({}, []) == []


def test_ids_that_were_given_once_are_not_given_again() -> None:
    assert kept_ids({3: {1}}, [{2}], following=9) == [9]
    assert kept_ids({12: {1}}, [{2}], following=9) == [13]


def test_the_majority_keeps_the_id_where_a_handle_falls_apart() -> None:
    assert kept_ids({5: {1, 2, 3, 4, 5}}, [{1, 2}, {3, 4, 5}]) == [6, 5]


def test_nobody_keeps_the_id_of_one_that_fell_into_halves() -> None:
    assert kept_ids({5: {1, 2, 3, 4}}, [{1, 2}, {3, 4}]) == [6, 7]


def test_the_older_wins_where_two_became_one() -> None:
    assert kept_ids({2: {1, 2}, 5: {3, 4, 5, 6}}, [{1, 2, 3, 4, 5, 6}]) == [2]


def test_copies_that_are_gone_have_no_say() -> None:
    assert kept_ids({5: {1, 2, 3, 4, 5, 6}}, [{7, 8}, {1, 9}]) == [6, 5]


@given(partitions)
def test_the_same_handles_keep_all_their_ids_in_whatever_order(old: dict[int, set[int]]) -> None:
    assert kept_ids(old, [old[number] for number in reversed(old)]) == list(reversed(old))


@given(partitions, partitions)
def test_each_id_is_given_once_and_has_the_majority(old: dict[int, set[int]], new: dict[int, set[int]]) -> None:
    sets = list(new.values())
    ids = kept_ids(old, sets)
    assert len(set(ids)) == len(sets)
    still = set().union(*sets)
    for number, copies in zip(ids, sets, strict=True):
        assert number not in old or 2 * len(copies & old[number]) > len(old[number] & still)
