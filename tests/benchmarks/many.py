"""Traits of very many copies, multiplied from those of a wave as they are read, so that memory never holds them all.

    python -m tests.benchmarks.many COUNT FOLDER ...

Each copy of the waves is repeated. In a repetition the keys that few others have are drawn anew, and one of its content
keys; so common keys stay common, and rare keys stay as rare as in a real store. Prints one line of JSON with the cost
of finding the handles, next to an interpreter that holds only the waves.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from store.campaigns.material import Entry
from store.campaigns.sampling import grouped_by_sample
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, counted
from tests.waves.wave import Size, make

_RARE = 3
_MASK = (1 << 56) - 1
#: Copies by the benchmarks' size; minutes of one core and MB allowed per million; copies of the wave they come from.
_COUNTS = {"10k": 12_000, "100k": 100_000, "1M": 1_000_000}
_MINUTES, _MEGABYTES, _WAVE = 15, 700, 6_000


class _Source(NamedTuple):
    """The copies of a wave, and the keys that fewer than three of them have."""

    entries: Sequence[Entry]
    rare: frozenset[int]


class Many:
    """`count` copies multiplied from waves; copy n has the same traits each time it is read."""

    def __init__(self, waves: Sequence[Sequence[Entry]], count: int) -> None:
        self._sources = [_Source(entries, _rare(entries)) for entries in waves]
        self._count = count

    @property
    def ids(self) -> range:
        """All ids."""
        return range(1, self._count + 1)

    def read(self, ids: Sequence[int]) -> Iterator[Entry]:
        """Yield the copies of these ids."""
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


def figures(size: str) -> Iterator[Figure]:
    """Measure finding the handles of very many copies, in its own process."""
    count = _COUNTS[size]
    folder = store_maker.FOLDER / f"wave-{_WAVE}"
    if not (folder / "truth.json").exists():
        make(folder, 2, Size()._replace(count=_WAVE), 1)
    command = [sys.executable, "-m", "tests.benchmarks.many", str(count), str(folder)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    named = f"campaigns, {count:,} copies: "
    minutes, peak = found["seconds"] / 60, found["megabytes"]
    yield counted(f"{named}find handles", size, minutes, "min CPU", f"{_MINUTES}", minutes <= _MINUTES)
    yield counted(f"{named}peak memory of that", size, peak, "MB", f"{_MEGABYTES}", peak <= _MEGABYTES)
    yield counted(f"{named}  of which were there before", size, found["before"], "MB")


def main() -> int:
    """Find the handles of many copies and print the cost."""
    from tests.benchmarks.campaigns import wave_of

    count, folders = int(sys.argv[1]), sys.argv[2:]
    many = Many([wave_of(Path(folder)).entries for folder in folders], count)
    began = time.process_time()
    sample = sum(1 for _ in many.read(range(1, 10_001)))
    making = (time.process_time() - began) / sample
    before, read = _peak(), 0

    def reading(ids: Sequence[int]) -> Iterator[Entry]:
        nonlocal read
        read += len(ids)
        return many.read(ids)

    began = time.process_time()
    grouping = grouped_by_sample(many.ids, reading)
    seconds = time.process_time() - began - making * read
    found = {"seconds": seconds, "megabytes": _peak(), "before": before, "read": read, "making": making * read}
    found |= {"handles": len(grouping.handles), "in": sum(len(one.copies) for one in grouping.handles)}
    print(json.dumps(found))
    return 0


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main())
