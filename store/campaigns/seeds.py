"""Picks the seed of a handle: a frequent key whose copies have the most else in common."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from math import log
from typing import NamedTuple

from store.campaigns.material import Material

#: How many of the most frequent keys are tried for each handle.
_TRIED = 12
#: At most about this many copies of a key are examined, spread evenly.
_SAMPLE = 240
#: The least share of a key's copies that other keys must confirm.
_COHESION = 0.6
#: A key confirms another if it is this much more frequent inside than outside (logarithm), and this share of the copies
#: has it.
_LIFT, _SHARE = 1.5, 0.3
#: A key is examined again when the number of its copies falls below this part.
_STALE = 0.85


class Seed(NamedTuple):
    """A seed: key number, number of remaining copies with it, and the share of those that other keys confirm."""

    key: int
    copies: int
    cohesion: float


class Seeder:
    """Picks seeds among the remaining copies. `take` updates the counts."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self.counts = [len(rows) for rows in material.postings]
        self.alive = bytearray(b"\1" * len(material.copies))
        self.remaining = len(material.copies)
        self._looked: dict[int, tuple[int, float]] = {}
        self._spent: set[int] = set()

    def take(self, rows: list[int]) -> None:
        """Remove the copies of a handle from the remaining ones."""
        counts, of = self.counts, self._material.of
        for row in rows:
            self.alive[row] = 0
            for key in of(row):
                counts[key] -= 1
        self.remaining -= len(rows)

    def spend(self, key: int) -> None:
        """Never return this key again, since no handle grew from it."""
        self._spent.add(key)

    def next(self, least: int) -> Seed | None:
        """Find the best seed among the most frequent keys of at least `least` remaining copies; None if none fits."""
        counts, spent, hashes = self.counts, self._spent, self._material.hashes
        # Equally frequent keys are ordered by hash: key numbers depend on which copies are grouped.
        common = nlargest(
            _TRIED,
            (key for key, count in enumerate(counts) if count >= least and key not in spent),
            key=lambda key: (counts[key], -hashes[key]),
        )
        seeds = [Seed(key, counts[key], self._cohesion(key)) for key in common]
        good = [seed for seed in seeds if seed.cohesion >= _COHESION]
        if good:
            return max(good, key=lambda seed: (seed.copies * seed.cohesion, -hashes[seed.key]))
        for seed in seeds:
            self._spent.add(seed.key)
        return self.next(least) if seeds else None

    def _cohesion(self, key: int) -> float:
        count = self.counts[key]
        looked = self._looked.get(key)
        if looked is not None and count >= looked[0] * _STALE:
            return looked[1]
        cohesion = self._look(key)
        self._looked[key] = (count, cohesion)
        return cohesion

    def _look(self, key: int) -> float:
        material = self._material
        rows = [row for row in material.postings[key] if self.alive[row]]
        step = max(1, len(rows) // _SAMPLE)
        sample = rows[::step]
        inside: Counter[int] = Counter()
        for row in sample:
            inside.update(material.of(row))
        size, scale = len(sample), len(rows) / len(sample)
        outside = max(self.remaining - len(rows), 1)
        confirming = {
            other
            for other, n in inside.items()
            if n >= _SHARE * size
            and other != key
            and log((n / size) / ((max(self.counts[other] - n * scale, 0) + 1) / (outside + size))) >= _LIFT
        }
        return sum(self._confirmed(row, confirming) for row in sample) / size

    def _confirmed(self, row: int, confirming: set[int]) -> bool:
        """Return True if the row has at least two of the confirming keys."""
        return len(confirming.intersection(self._material.of(row))) >= 2
