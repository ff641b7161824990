"""Runs of numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.helpers.runs import joined, ranges, runs


@given(st.sets(st.integers(0, 40)).map(sorted))
def test_runs_say_the_same_numbers_and_cannot_be_joined_further(numbers: list[int]) -> None:
    found = list(runs(numbers))
    assert [number for first, length in found for number in range(first, first + length)] == numbers
    assert all(first + length < after for (first, length), (after, _) in pairwise(found))


@pytest.mark.parametrize(
    ("numbers", "limit", "text"),
    [
        ([], None, ""),
        ([7], None, "7"),
        ([3, 4, 5, 9], None, "3-5, 9"),
        ([1, 3, 5], 3, "1, 3, 5"),
        ([1, 3, 5, 7], 3, "1, 3, 5 …"),
    ],
)
def test_ranges(numbers: list[int], limit: int | None, text: str) -> None:
    assert ranges(numbers, limit) == text


def test_pieces_join_where_the_key_is_the_same() -> None:
    pieces = [(1, 2, "a"), (3, 1, "a"), (4, 5, "b"), (9, 1, "b"), (11, 1, "b")]
    assert list(joined(pieces)) == [(1, 3, "a"), (4, 6, "b"), (11, 1, "b")]
