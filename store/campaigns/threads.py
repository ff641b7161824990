"""Finds campaigns in stolen threads: answers to many threads with the same payload and the same words.

Quoted text and origin tell nothing: the thread, its names and the account are stolen. So these copies are found by
their payload and their own few words above the quotation. Good answers and targeted attacks have neither in common with
answers from other domains. A known sender tells nothing if the accounts of several firms were hijacked. Mailing lists
are left out, because their footers are all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from store.campaigns.growing import Weights, joining, weights
from store.campaigns.material import ORIGIN, PAYLOAD, Flags, Material
from store.campaigns.oddness import Sorted, sorted_out

#: The evidence that a copy needs: in payload alone, and in content and payload together.
_CARRIES, _JOINS = 2.5, 7.0
#: The share of a copy's own content keys that must have a weight, so that a line added by a mail program is not enough;
#: higher if nearly all copies are from one domain, so that a firm's signature is not enough.
_TOLD, _TOLD_OF_ONE = 0.25, 0.45
#: Copies are from several domains if there are at least this many, and none has more than this share.
_DOMAINS, _OF_ONE = 3, 0.7
_ROUNDS, _OWN = 4, 5


class Stolen(NamedTuple):
    """A handle of answers: the key that it was found by, its copies, and the weights of their keys."""

    seed: int
    sorted: Sorted
    heavy: Weights


def stolen(
    material: Material, least: int, apart: Callable[[Sequence[int]], set[int]], stop: Callable[[], None]
) -> list[Stolen]:
    """Find the handles of answers with at least `least` copies, those of the most frequent payload first.

    `apart` returns those of the given rows that an operator took out.
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
    """Weigh the keys among the answers, without those of the origin."""
    every = weights(material, rows, counts, answers, _OWN)
    end = material.bounds[ORIGIN]
    return Weights(*({key: value for key, value in each.items() if key < end} for each in every))


def _enough(content: float, payload: float, _origin: float) -> bool:
    return payload >= _CARRIES and content + payload >= _JOINS
