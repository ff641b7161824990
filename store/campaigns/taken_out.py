"""What operators took out of a campaign keeps copies like it out too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import ceil

#: A copy is like one that was taken out where they share this part of their keys.
LIKE = 0.9


def alike(one: Collection[int], other: Collection[int]) -> float:
    """Compute the share of both copies' keys that both have; looks up in `one`."""
    shared = sum(key in one for key in other)
    return shared / max(len(one) + len(other) - shared, 1)


class TakenOut:
    """The keys of copies that were taken out, and those of the copy that stays.

    Copies that are like one share so many keys with it that any few of its keys hold one of them: the rarest by
    `count_of` are looked up first, so that thousands that were taken out cost no more than a few.
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
