"""Every test has a time limit, the longest start first, and waiting tests run next to computing ones."""

from __future__ import annotations

from itertools import groupby
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import LIMIT
from tests.order import begin, limit_of, waits


def test_the_limits_are_kept(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.hasplugin("timeout"), "install pytest-timeout: `make` does"


def test_a_test_without_a_mark_has_the_usual_one(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("timeout").args == (LIMIT,)


@pytest.mark.timeout(LIMIT + 1)
def test_a_mark_of_its_own_goes_before(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("timeout").args == (LIMIT + 1,)
    limits = [limit_of(item) for item in request.session.items if not waits(item)]
    assert limits == sorted(limits, reverse=True)


class One(NamedTuple):
    """A test to be sorted."""

    name: str
    group: str
    limit: float = 180
    waits: bool = False


def names(tests: list[One]) -> str:
    in_order = begin(
        tests, group=lambda one: one.group, limit=lambda one: one.limit, waits=lambda one: one.waits, usual=180
    )
    return "".join(one.name for one in in_order)


def test_the_longest_of_both_kinds_begin_in_turn_and_a_group_stays_together() -> None:
    tests = [
        One("a", "a"),
        One("b", "b", 300),
        One("C", "C", 300, waits=True),
        One("D", "G", waits=True),
        One("e", "e", 600),
        One("F", "G", 900, waits=True),
    ]
    assert names(tests) == "DFeCba"


def test_what_waits_is_spread_over_the_first_half_of_the_others() -> None:
    computing = [One(chr(ord("a") + number), str(number)) for number in range(15)]
    waiting = [One("X", "X", waits=True), One("Y", "YZ", waits=True), One("Z", "YZ", waits=True)]
    assert names([*computing, *waiting]) == "YZabcXdefghijklmno"
    assert names(computing) == "abcdefghijklmno"
    assert names(waiting) == "YZX"


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([180, 300]), st.booleans()), max_size=30))
def test_every_test_begins_once(drawn: list[tuple[str, int, bool]]) -> None:
    tests = [One(str(number), *each) for number, each in enumerate(drawn)]
    in_order = begin(
        tests, group=lambda one: one.group, limit=lambda one: one.limit, waits=lambda one: one.waits, usual=180
    )
    assert sorted(in_order) == sorted(tests)
    groups = [group for group, _ in groupby(one.group for one in in_order)]
    assert len(groups) == len(set(groups))
