"""How the figures grow with the store, from the saved rows of the other sizes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.figures import Figure

#: Figures that must read or hold every copy: they may grow with the store, so their growth is given per copy.
_READS_ALL = ("start until every filter", "memory", "filter", "any sort", "list ")
_LARGEST = 1.5
_ORDER = ("10k", "100k", "1M")


def growth(rows: Sequence[Figure], size: str) -> Iterator[Figure]:
    """Make a growth line for each figure of `size` that the next smaller size has too; per copy if it reads all."""
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
