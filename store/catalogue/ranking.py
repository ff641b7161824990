"""Ranks of texts in code point order.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import polars as pl


def sorted_places(texts: pl.Series) -> pl.Series:
    """Return the positions (UInt32) in order of the texts, sorted in one thread.

    That takes as long as with several, and no query waits behind it for Polars' threads.
    """
    return pl.DataFrame({"text": texts}).select(pl.arg_sort_by("text", multithreaded=False)).to_series()


def ranked(search: pl.Series, gap: int) -> tuple[pl.Series, pl.Series]:
    """Return the ranks (1, 2, 3, … times `gap`), and one position for each rank, in order of rank."""
    order = sorted_places(search)
    ordered = search.gather(order)
    first = (ordered != ordered.shift(1)).fill_null(True)
    dense = first.cum_sum().cast(pl.UInt64) * gap
    ranks = pl.repeat(0, len(search), dtype=pl.UInt64, eager=True).scatter(order, dense)
    return ranks, order.filter(first)
