"""The order in which tests start: long ones first, and tests that wait for a daemon next to tests that compute."""

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
    """Sort the tests by start; tests of a group, which one process runs, stay together.

    Groups with a limit (s) over the `usual` one come first, the longest first, alternating between waiting and
    computing groups. The others keep their order; the waiting ones are spread over the first half, so that they never
    occupy all processes while the processors are idle, and none is left alone at the end.
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
    """Return the test's group mark (xdist_group), its own or its module's; an unmarked test is its own group."""
    names = sorted({str(mark.args[0]) for mark in item.iter_markers("xdist_group")})
    return f"group {'_'.join(names)}" if names else item.nodeid


def limit_of(item: pytest.Item) -> float:
    """Return the test's timeout mark (s)."""
    mark = item.get_closest_marker("timeout")
    assert mark is not None
    return float(mark.args[0])


def waits(item: pytest.Item) -> bool:
    """Return True for a test that mostly waits for other programs."""
    return item.nodeid.startswith("tests/integration/")
