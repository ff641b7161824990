"""Grows a handle from a seed: the rarer a key outside, the more it weighs; copies with enough weight join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import log
from typing import NamedTuple

from store.campaigns.material import Material

_ROUNDS = 4
#: The least and the highest weight of a key. The weight is the logarithm of how much more frequent it is inside.
_LIFT, _CAP = 1.5, 6.0
#: A key counts only if at least this many of the copies inside have it, and at least this share.
_SUPPORT, _SHARE = 3, 0.005
#: It also needs this many copies (or this share, if fewer), so that a few copies of one newsletter cannot support each
#: other.
_OWN, _OWN_SHARE = 12, 0.25
#: The most that a strand counts; and which part of the sum of its keys' weights counts.
_STRAND, _PART = 9.0, 0.25
#: The evidence that a copy needs to join: from two strands together, or from its content alone.
_JOINS, _ALONE = 7.0, 8.0
#: The least evidence for a strand to count as speaking for a copy.
SPEAKS = 1.5
#: At most this many copies inside are counted to estimate how frequent keys are.
_SAMPLE = 2000


class Weights(NamedTuple):
    """The weights of a handle's keys, by key number, and the share of its copies that have each key."""

    of: dict[int, float]
    share: dict[int, float]


class Score(NamedTuple):
    """The evidence for a copy: each strand from 0 to 9, and the sum of the key weights of each strand."""

    strands: tuple[float, float, float]
    sums: tuple[float, float, float]
    #: The share of its content keys that have a weight.
    told: float = 1.0

    @property
    def total(self) -> float:
        """The evidence of all strands, from 0 to 27."""
        return sum(self.strands)

    @property
    def joins(self) -> bool:
        """True if the evidence suffices to join: from two strands, or from the content alone."""
        return enough(*self.strands)


def enough(content: float, payload: float, origin: float) -> bool:
    """Return True if this evidence suffices to join: from two strands together, or from the content alone."""
    if content >= _ALONE:
        return True
    speaking = (content >= SPEAKS) + (payload >= SPEAKS) + (origin >= SPEAKS)
    return speaking >= 2 and content + payload + origin >= _JOINS


def weights(material: Material, rows: Sequence[int], counts: Sequence[int], remaining: int, own: int = _OWN) -> Weights:
    """Weigh the keys of `rows` against the copies that remain. `counts`: by key number, how many of those have it."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    inside: Counter[int] = Counter()
    for row in sample:
        inside.update(material.of(row))
    size = len(sample)
    scale = len(rows) / size
    outside = max(remaining - len(rows), 1)
    least = max(_SUPPORT, min(own, _OWN_SHARE * size), _SHARE * size)
    of, share = {}, {}
    for key, n in inside.items():
        if n < least:
            continue
        weight = log((n / size) / ((max(counts[key] - n * scale, 0.0) + 1) / (outside + size)))
        if weight >= _LIFT:
            of[key] = min(weight, _CAP)
            share[key] = n / size
    return Weights(of, share)


def score(bounds: Sequence[int], weight_of: dict[int, float], keys: Iterable[int], said: int = 0) -> Score:
    """Score a copy by its keys. `bounds` as in Material; `said`: the number of its content keys."""
    best, sums, told = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 0
    for key in keys:
        weight = weight_of.get(key)
        if weight is not None:
            strand = (key >= bounds[1]) + (key >= bounds[2])
            sums[strand] += weight
            told += not strand
            if weight > best[strand]:
                best[strand] = weight
    return scored(best, sums, told / said if said else 0.0)


def scored(best: Sequence[float], sums: Sequence[float], told: float = 0.0) -> Score:
    """Combine the best weight and the sum of weights of each strand into a score."""
    content, payload, origin = (min(max(one, _PART * every), _STRAND) for one, every in zip(best, sums, strict=True))
    return Score((content, payload, origin), (sums[0], sums[1], sums[2]), told)


def grown(
    material: Material, begin: list[int], alive: bytearray, counts: Sequence[int], remaining: int
) -> tuple[list[int], Weights]:
    """Grow a seed's copies until the set is stable. Returns the rows, ascending, and the weights of their keys."""
    rows = begin
    heavy = weights(material, rows, counts, remaining)
    for _ in range(_ROUNDS):
        joined = joining(material, heavy.of, alive)
        if not joined:
            return [], heavy
        same = joined == rows
        rows = joined
        heavy = weights(material, rows, counts, remaining)
        if same:
            break
    return rows, heavy


def joining(
    material: Material,
    weight_of: dict[int, float],
    alive: bytearray,
    suffices: Callable[[float, float, float], bool] = enough,
) -> list[int]:
    """Return the remaining copies for which `suffices(content, payload, origin)` is True, ascending."""
    bounds, postings = material.bounds, material.postings
    best: list[dict[int, float]] = [{}, {}, {}]
    total: list[dict[int, float]] = [{}, {}, {}]
    # Heaviest first, so that the first weight of a strand is a copy's best.
    for key in sorted(weight_of, key=lambda key: (-weight_of[key], key)):
        weight = weight_of[key]
        strand = (key >= bounds[1]) + (key >= bounds[2])
        sums = total[strand]
        peaks = best[strand]
        for row in postings[key]:
            if row in sums:
                sums[row] += weight
            elif alive[row]:
                sums[row] = peaks[row] = weight
    rows = []
    for row in sorted(set().union(*best)):
        strands = (
            min(max(peaks[row], _PART * sums[row]), _STRAND) if row in peaks else 0.0
            for peaks, sums in zip(best, total, strict=True)
        )
        if suffices(*strands):
            rows.append(row)
    return rows
