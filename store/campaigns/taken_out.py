"""Copies taken out of a campaign by an operator, and the test whether another copy is like one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import ceil

#: Two copies are alike if they have this share of their keys in common.
LIKE = 0.9


def alike(one: Collection[int], other: Collection[int]) -> float:
    """Return the share of both copies' keys that they have in common. `one` should be fast to search (a set)."""
    shared = sum(key in one for key in other)
    return shared / max(len(one) + len(other) - shared, 1)


class TakenOut:
    """The keys of copies taken out, and those of the copy that stays.

    A copy like one taken out shares nearly all of its keys, so it has at least one of any few of them. Therefore only
    the few rarest keys of each copy (by `count_of`) are indexed, and comparing with thousands of copies costs little.
    """

    def __init__(self, outs: Iterable[Collection[int]], stays: Collection[int], count_of: Callable[[int], int]) -> None:
        self._outs = [frozenset(keys) for keys in outs]
        self._stays = frozenset(stays)
        self._having: dict[int, list[int]] = {}
        for number, keys in enumerate(self._outs):
            spare = len(keys) - ceil(LIKE * len(keys))
            for key in sorted(keys, key=lambda key: (count_of(key), key))[: spare + 1]:
                self._having.setdefault(key, []).append(number)

    def is_like(self, keys: Collection[int]) -> bool:
        """Return True if a copy with these keys is like one that was taken out, and less like the one that stays."""
        found = self._having.keys() & set(keys)
        near = {number for key in found for number in self._having[key]}
        if not near:
            return False
        best = max(alike(self._outs[number], keys) for number in near)
        return best >= LIKE and best > alike(self._stays, keys)
