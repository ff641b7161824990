"""Campaigns in stolen threads: answers to many threads that carry the same and say the same.

What an answer quotes and where it comes from says nothing: the thread, its names and the account are stolen. So such
copies are found by what they carry, and by their own few words above what they quote. A good answer, and an aimed copy
of one, has neither in common with answers from other domains. That a sender is known says nothing where the accounts of
several firms were stolen. Mailing lists are left out: their footers are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from store.campaigns.growing import Weights, joining, weights
from store.campaigns.material import ORIGIN, PAYLOAD, Flags, Material
from store.campaigns.oddness import Sorted, sorted_out

#: What a copy needs: so much payload, and so much of content and payload.
_CARRIES, _JOINS = 2.5, 7.0
#: The share of the keys of its own words that must weigh: a line that a mail program adds is no letter. More is asked
#: where nearly all come from one domain: a firm's signature is no campaign either.
_TOLD, _TOLD_OF_ONE = 0.25, 0.45
#: Copies are of several domains where there are so many, and one of them has at most so many of the copies.
_DOMAINS, _OF_ONE = 3, 0.7
_ROUNDS, _OWN = 4, 5


class Stolen(NamedTuple):
    """A handle of answers: the key that it was found by, its copies, and what their keys weigh."""

    seed: int
    sorted: Sorted
    heavy: Weights


def stolen(
    material: Material, least: int, apart: Callable[[Sequence[int]], set[int]], stop: Callable[[], None]
) -> list[Stolen]:
    """Find the handles of answers, those of the most frequent payload first; each has at least `least` copies.

    `apart` says which rows an operator took out of those that it is given.
    """
    answers = [row for row, flags in enumerate(material.flags) if flags & Flags.REPLY and not flags & Flags.LISTED]
    alive = bytearray(len(material.copies))
    for row in answers:
        alive[row] = 1
    counts = [0] * len(material.postings)
    for row in answers:
        for key in material.of(row):
            counts[key] += 1
    first, end = material.bounds[PAYLOAD], material.bounds[ORIGIN]
    seeds = [key for key in range(first, end) if counts[key] >= least]
    found = []
    for seed in sorted(seeds, key=lambda key: (-counts[key], material.hashes[key])):
        begin = [row for row in material.postings[seed] if alive[row]]
        if len(begin) < least:
            continue
        stop()
        rows, heavy = _grown(material, begin, alive, counts, len(answers))
        if len(rows) < least:
            continue
        spread = _spread(material, rows)
        parted = sorted_out(material, rows, heavy, apart(rows), _TOLD if spread else _TOLD_OF_ONE, spread)
        if len(parted.rows) < least:
            continue
        found.append(Stolen(seed, parted, heavy))
        for row in (*parted.rows, *(one.row for one in parted.odd)):
            alive[row] = 0
    return found


def _spread(material: Material, rows: list[int]) -> bool:
    """Return True if the copies come from several domains."""
    domains = Counter(material.domains[row] for row in rows)
    return len(domains) >= _DOMAINS and max(domains.values()) <= _OF_ONE * len(rows)


def _grown(
    material: Material, begin: list[int], alive: bytearray, counts: list[int], answers: int
) -> tuple[list[int], Weights]:
    rows = begin
    heavy = _weights(material, rows, counts, answers)
    for _ in range(_ROUNDS):
        joined = joining(material, heavy.of, alive, _enough)
        if not joined or joined == rows:
            return joined, heavy
        rows = joined
        heavy = _weights(material, rows, counts, answers)
    return rows, heavy


def _weights(material: Material, rows: list[int], counts: list[int], answers: int) -> Weights:
    """Weigh the keys among answers, leaving out those of the origin."""
    every = weights(material, rows, counts, answers, _OWN)
    end = material.bounds[ORIGIN]
    return Weights(*({key: value for key, value in each.items() if key < end} for each in every))


def _enough(content: float, payload: float, _origin: float) -> bool:
    return payload >= _CARRIES and content + payload >= _JOINS
