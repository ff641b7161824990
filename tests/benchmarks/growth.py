"""How the figures grow with the store: from the rows that were kept of the other sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.figures import Figure

#: What may grow with the store and is then measured per copy, because it must read or hold every copy.
_READS_ALL = ("start until every filter", "memory", "filter", "any sort", "list ")
_LARGEST = 1.5
_ORDER = ("10k", "100k", "1M")


def growth(rows: Sequence[Figure], size: str) -> Iterator[Figure]:
    """A line for each figure of `size` that there is of the size before: its growth, per copy where it reads all."""
    place = _ORDER.index(size)
    if not place:
        return
    before = {row.name: row for row in rows if row.size == _ORDER[place - 1]}
    for row in rows:
        then = before.get(row.name)
        if (
            row.size != size
            or then is None
            or not row.median
            or not then.median
            or row.name.startswith(("  ", "growth"))
        ):
            continue
        times = then.median / row.median if row.unit.endswith("/s") else row.median / then.median
        if row.name.startswith(_READS_ALL):
            name, target, met = "per copy", "flat per copy: it reads all", times / 10 <= _LARGEST
            times /= 10
        else:
            name, target, met = "", f"flat or O(log n): {_LARGEST}", times <= _LARGEST
        yield Figure(
            *(f"growth {then.size} -> {size}{', ' + name if name else ''}: {row.name}"[:90], size, times, times, "x"),
            *(None, None, target, met),
        )
