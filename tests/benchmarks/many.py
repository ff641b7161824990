"""A million copies' traits out of those of waves, made as they are read, so that they never lie in memory together.

Each wave is a few thousand copies of `tests/waves`. Of each of them several are made: a copy's own keys (those of few
others) are drawn anew, as are its sender where many send and one of the keys of its content; so what is common stays
common, and what is rare is as rare as in a real store.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from store.campaigns.material import Entry

_RARE = 3
_MASK = (1 << 56) - 1


class _Source(NamedTuple):
    """The copies of a wave, and the keys that fewer than three of them have."""

    entries: Sequence[Entry]
    rare: frozenset[int]


class Many:
    """`count` copies out of waves; copy n has the same traits however often it is read."""

    def __init__(self, waves: Sequence[Sequence[Entry]], count: int) -> None:
        self._sources = [_Source(entries, _rare(entries)) for entries in waves]
        self._count = count

    @property
    def ids(self) -> range:
        """All copies."""
        return range(1, self._count + 1)

    def read(self, ids: Sequence[int]) -> Iterator[Entry]:
        """The copies of these ids."""
        for copy in ids:
            rng = random.Random(copy)
            source = self._sources[copy % len(self._sources)]
            yield _varied(rng.choice(source.entries), copy, source.rare, rng)


def _rare(entries: Sequence[Entry]) -> frozenset[int]:
    counts = Counter(key for entry in entries for strand in entry.strands for key in strand)
    return frozenset(key for key, count in counts.items() if count < _RARE)


def _varied(entry: Entry, copy: int, rare: frozenset[int], rng: random.Random) -> Entry:
    salt = rng.getrandbits(56)

    def changed(keys: Sequence[int]) -> list[int]:
        return [(key & ~_MASK) | ((key ^ salt) & _MASK) if key in rare else key for key in keys]

    content = changed(entry.content)
    if content:
        content[rng.randrange(len(content))] = rng.getrandbits(56) | 0x13 << 56
    return entry._replace(copy=copy, content=content, payload=changed(entry.payload), origin=changed(entry.origin))
