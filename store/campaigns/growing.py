"""How a handle grows from a seed: keys weigh by how much more frequent they are inside, and copies join by weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import log
from typing import NamedTuple

from store.campaigns.material import Material

_ROUNDS = 4
#: The least and the highest weight of a key: a logarithm of its lift.
_LIFT, _CAP = 1.5, 6.0
#: A key has this support at least among the copies inside.
_SUPPORT, _SHARE = 3, 0.005
#: and this: a few copies of one newsletter must not vouch for each other.
_OWN, _OWN_SHARE = 12, 0.25
#: A strand counts at most so much, and of the sum of its keys a quarter.
_STRAND, _PART = 9.0, 0.25
#: What a copy needs to join: from two strands, or from its content alone.
_JOINS, _ALONE = 7.0, 8.0
#: A strand speaks where it counts so much.
SPEAKS = 1.5
#: So many copies inside say how frequent keys are.
_SAMPLE = 2000


class Weights(NamedTuple):
    """The weight of each key that speaks for a handle, by number, and the share of its copies that have the key."""

    of: dict[int, float]
    share: dict[int, float]


class Score(NamedTuple):
    """What speaks for a copy: each strand from 0 to 9, and what its keys weigh in sum."""

    strands: tuple[float, float, float]
    sums: tuple[float, float, float]
    #: The share of the keys of its content that weigh.
    told: float = 1.0

    @property
    def total(self) -> float:
        """All of it, from 0 to 27."""
        return sum(self.strands)

    @property
    def joins(self) -> bool:
        """True where it is enough: of two kinds, or of the content alone."""
        return enough(*self.strands)


def enough(content: float, payload: float, origin: float) -> bool:
    """Return True if these strands let a copy join: evidence of two kinds, or of the content alone."""
    if content >= _ALONE:
        return True
    speaking = (content >= SPEAKS) + (payload >= SPEAKS) + (origin >= SPEAKS)
    return speaking >= 2 and content + payload + origin >= _JOINS


def weights(material: Material, rows: Sequence[int], counts: Sequence[int], remaining: int, own: int = _OWN) -> Weights:
    """Weigh the keys of `rows` against the copies that remain; `counts` is each key's number among those."""
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
    """Score a copy by its keys; `bounds` as in Material; its content has `said` keys in all."""
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
    """Combine each strand's best key and the sum of its keys into a score."""
    content, payload, origin = (min(max(one, _PART * every), _STRAND) for one, every in zip(best, sums, strict=True))
    return Score((content, payload, origin), (sums[0], sums[1], sums[2]), told)


def grown(
    material: Material, begin: list[int], alive: bytearray, counts: Sequence[int], remaining: int
) -> tuple[list[int], Weights]:
    """Grow the seed's copies into all they attract, ascending, and return the keys' weights."""
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
    """All remaining copies whose evidence (of content, payload, origin) suffices, ascending."""
    bounds, postings = material.bounds, material.postings
    best: list[dict[int, float]] = [{}, {}, {}]
    total: list[dict[int, float]] = [{}, {}, {}]
    # Heaviest first: the first that a copy has of a strand is its best.
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
