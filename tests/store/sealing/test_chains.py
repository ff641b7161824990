"""The keys of an epoch's steps are the same for any order of requests, and none costs many derivations."""

from __future__ import annotations

import random
from typing import Any

import pytest

from store.sealing import epochs
from store.sealing.epochs import Chains, EpochName
from store.sealing.keys import KEY_SIZE

NAME = EpochName(bytes(16), 1, 1, 1)
SECRET = bytes(range(KEY_SIZE))
STEPS = 1000


@pytest.fixture
def derived(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the length of everything that is derived."""
    lengths: list[int] = []
    real = epochs.HKDFExpand

    def noting(algorithm: Any, length: int, info: bytes) -> Any:
        lengths.append(length)
        return real(algorithm, length, info)

    monkeypatch.setattr(epochs, "HKDFExpand", noting)
    return lengths


def test_every_order_gives_the_same_keys_for_few_derivations(derived: list[int]) -> None:
    one = Chains(NAME, SECRET)
    expected = [one.keys(step) for step in range(STEPS)]
    assert len(derived) == STEPS, "one for each, in order"
    assert len({key for both in expected for key in both}) == 2 * STEPS
    shuffled = list(range(STEPS))
    random.Random(1).shuffle(shuffled)
    for order in (range(STEPS - 1, -1, -1), shuffled, range(0, STEPS, 32), range(31, STEPS, 32)):
        chains, steps = Chains(NAME, SECRET), list(order)
        derived.clear()
        assert [chains.keys(step) for step in steps] == [expected[step] for step in steps]
        assert len(derived) <= STEPS + 33 * len(steps), "as far as the step, and from the mark before it"
    chains = Chains(NAME, SECRET)
    assert chains.record_keys(shuffled) == [expected[step][0] for step in shuffled]


def test_the_head_is_behind_the_steps_that_were_served(derived: list[int]) -> None:
    chains = Chains(NAME, SECRET)
    heads = [chains.head(served) for served in range(100)]
    again = Chains(NAME, SECRET)
    assert [again.head(served) for served in range(99, -1, -1)] == heads[::-1]
    assert len(set(heads)) == 100
    assert chains.keys(5) == again.keys(5)
