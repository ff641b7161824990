"""In which order the tests begin: the long ones first, and what waits for a daemon beside what computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import TypeVar

import pytest

Test = TypeVar("Test")


def begin(
    tests: Iterable[Test],
    *,
    group: Callable[[Test], str],
    limit: Callable[[Test], float],
    waits: Callable[[Test], bool],
    usual: float,
) -> list[Test]:
    """The tests in the order in which they are to begin; those of a group, which one process runs, stay together.

    First the groups with a limit (seconds) over the `usual` one, the longest first: one that waits, one that does not,
    in turn. Then the others, as they came; those that wait spread over the first half, so that they never fill all
    processes while the processors have nothing to do, and that none is left alone at the end.
    """
    groups: dict[str, list[Test]] = {}
    for test in tests:
        groups.setdefault(group(test), []).append(test)
    longest_first = sorted(groups.values(), key=lambda each: (-max(map(limit, each)), -len(each)))
    long = [each for each in longest_first if max(map(limit, each)) > usual]
    short = longest_first[len(long) :]
    pairs = zip_longest(*([each for each in long if waits(each[0]) is kind] for kind in (True, False)), fillvalue=())
    order: list[Sequence[Test]] = [each for pair in pairs for each in pair]
    waiting, computing = ([each for each in short if waits(each[0]) is kind] for kind in (True, False))
    step = len(computing) // (2 * len(waiting) + 1) if waiting else 0
    for number, each in enumerate(waiting):
        order += [each, *computing[number * step : (number + 1) * step]]
    order += computing[len(waiting) * step :]
    return [test for each in order for test in each]


def group_of(item: pytest.Item) -> str:
    """The group that a test is marked with (xdist_group), by itself and its module; one without a mark is its own."""
    names = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
    return f"group {'_'.join(names)}" if names else item.nodeid


def limit_of(item: pytest.Item) -> float:
    """The seconds that a test is marked with (timeout)."""
    mark = item.get_closest_marker("timeout")
    assert mark is not None
    return float(mark.args[0])


def waits(item: pytest.Item) -> bool:
    """True for a test that waits for other programs most of its time."""
    return item.nodeid.startswith("tests/integration/")
