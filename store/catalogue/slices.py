"""Work on a long column in slices, on every processor: Polars searches one column in one thread, without the GIL.

Work that nobody waits for yet is done `at_leisure`: on one processor, and it gives way between two slices.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import polars as pl

T = TypeVar("T")

#: Entries of a slice, which take 2 to 3 ms to search. A multiple of 8, so that masks are joined byte by byte.
_SLICE = 1 << 17


class GaveWay(Exception):
    """Work at leisure ended early, because it is no longer wanted."""


class _Leisure(threading.local):
    wanted: Callable[[], bool] | None = None


_leisure = _Leisure()


@contextmanager
def at_leisure(wanted: Callable[[], bool]) -> Iterator[None]:
    """Let this thread work alone, a slice at a time. Raises GaveWay before a slice if the work is not `wanted`."""
    _leisure.wanted = wanted
    try:
        yield
    finally:
        _leisure.wanted = None


def has_leisure() -> bool:
    """Return whether this thread works at leisure: it must not share its work out then."""
    return _leisure.wanted is not None


def _give_way() -> None:
    if _leisure.wanted is not None and not _leisure.wanted():
        raise GaveWay


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "slices")


def _one_by_one(work: Callable[[T], pl.Series], parts: Sequence[T]) -> Iterator[pl.Series]:
    for part in parts:
        _give_way()
        yield work(part)


def on_every_processor(work: Callable[[T], pl.Series], parts: Sequence[T]) -> Iterable[pl.Series]:
    """Return the results of `work` for each part, in their order.

    `work` must not call a function of this module: it would wait for threads that wait for it.
    """
    return _one_by_one(work, parts) if has_leisure() or len(parts) < 2 else _pool().map(work, parts)


def by_slices(work: Callable[[int, int], pl.Series], start: int, stop: int) -> pl.Series:
    """Return the joined results of `work(first, last)` for slices from `start` to `stop` (exclusive)."""
    if stop - start <= _SLICE:
        _give_way()
        return work(start, stop).rechunk()
    parts = [(first, min(first + _SLICE, stop)) for first in range(start, stop, _SLICE)]
    return pl.concat(on_every_processor(lambda part: work(*part), parts), rechunk=True)
