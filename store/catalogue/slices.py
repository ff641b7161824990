"""Work on a long column in slices, on every processor: Polars searches one column in one thread, without the GIL.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import polars as pl

T = TypeVar("T")

#: Entries of a slice, which take 2 to 3 ms to search. A multiple of 8, so that masks are joined byte by byte.
_SLICE = 1 << 17


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "slices")


def on_every_processor(work: Callable[[T], pl.Series], parts: Sequence[T]) -> Iterable[pl.Series]:
    """Return the results of `work` for each part, in their order.

    `work` must not call a function of this module: it would wait for threads that wait for it.
    """
    return _pool().map(work, parts) if len(parts) > 1 else map(work, parts)


def by_slices(work: Callable[[int, int], pl.Series], start: int, stop: int) -> pl.Series:
    """Return the joined results of `work(first, last)` for slices from `start` to `stop` (exclusive)."""
    if stop - start <= _SLICE:
        return work(start, stop).rechunk()
    parts = [(first, min(first + _SLICE, stop)) for first in range(start, stop, _SLICE)]
    return pl.concat(on_every_processor(lambda part: work(*part), parts), rechunk=True)
