"""Copies of the catalogue by their ids: as a list in a given order, and what their subjects and senders are.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from store.catalogue.frame import Frame
from store.catalogue.selection import FrameSelection


class ListedSelection(FrameSelection):
    """Those of the copies `ids` that there are, in that order; each id once."""

    def __init__(self, frame: Frame, ids: Sequence[int]) -> None:
        positions = _positions(frame, ids)
        super().__init__(frame, positions, None, total=len(positions), partial=False, high_water=max(ids, default=0))
        self._places = {copy_id: place for place, copy_id in enumerate(self.ids())}

    def position(self, copy_id: int) -> int | None:
        return self._places.get(copy_id)

    def among(self, ids: Iterable[int]) -> set[int]:
        return {copy_id for copy_id in ids if copy_id in self._places}


def subject_counts(frame: Frame, ids: Sequence[int], *, most: int) -> list[tuple[str, int]]:
    """Count the `most` frequent subjects of these copies (NOT safe), the most frequent first."""
    counts = _codes(frame, "subject", ids).value_counts(sort=True).head(most)
    texts = frame.texts["subject"].texts.gather(counts.get_column("subject")).to_list()
    return list(zip(texts, counts.get_column("count").to_list(), strict=True))


def sender_fields(frame: Frame, ids: Sequence[int], *, most: int) -> tuple[list[str], int]:
    """List these copies' From fields, each once, at most `most`, spread evenly; return also how many exist. NOT
    safe.
    """
    codes = _codes(frame, "from", ids).unique().sort()
    step = -(-len(codes) // most) or 1
    return frame.texts["from"].texts.gather(codes.gather_every(step)).to_list(), len(codes)


def _codes(frame: Frame, name: str, ids: Sequence[int]) -> pl.Series:
    return frame.rows.get_column(name).gather(_positions(frame, ids))


def _positions(frame: Frame, ids: Sequence[int]) -> pl.Series:
    """Return the rows of those ids that exist, in their order. There may be a million: no loop over them."""
    wanted = pl.Series(ids, dtype=pl.Int64)
    if not len(frame) or not len(wanted):
        return pl.Series([], dtype=pl.UInt32)
    positions = frame.ids.search_sorted(wanted).clip(upper_bound=len(frame) - 1).cast(pl.UInt32)
    return positions.filter(frame.ids.gather(positions) == wanted)
