"""Copies of the catalogue by id: as a list in a given order, and their most frequent subjects and senders.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from store.catalogue.frame import Frame
from store.catalogue.selection import FrameSelection


class ListedSelection(FrameSelection):
    """The copies `ids` that the frame has, in the given order; each id once."""

    def __init__(self, frame: Frame, ids: Sequence[int]) -> None:
        positions = _positions(frame, ids)
        super().__init__(frame, positions, None, total=len(positions), partial=False, high_water=max(ids, default=0))
        self._places = {copy_id: place for place, copy_id in enumerate(self.ids())}

    def position(self, copy_id: int) -> int | None:
        return self._places.get(copy_id)

    def among(self, ids: Iterable[int]) -> set[int]:
        return {copy_id for copy_id in ids if copy_id in self._places}


def subject_counts(frame: Frame, ids: Sequence[int], *, most: int) -> list[tuple[str, int]]:
    """Count the `most` frequent subjects of these copies, most frequent first.

    The texts are NOT safe for a terminal.
    """
    counts = _codes(frame, "subject", ids).value_counts(sort=True).head(most)
    texts = frame.texts["subject"].gather(counts.get_column("subject")).to_list()
    return list(zip(texts, counts.get_column("count").to_list(), strict=True))


def sender_fields(frame: Frame, ids: Sequence[int], *, most: int) -> tuple[list[str], int]:
    """List at most `most` distinct From fields of these copies, sampled evenly, and count all distinct ones.

    The texts are NOT safe for a terminal.
    """
    codes = _codes(frame, "from", ids).unique().sort()
    step = -(-len(codes) // most) or 1
    return frame.texts["from"].gather(codes.gather_every(step)).to_list(), len(codes)


def _codes(frame: Frame, name: str, ids: Sequence[int]) -> pl.Series:
    return frame.rows.get_column(name)[_positions(frame, ids)]


def _positions(frame: Frame, ids: Sequence[int]) -> pl.Series:
    """Return the row numbers of the ids that exist, in their order. Vectorised: there may be a million ids."""
    wanted = pl.Series(ids, dtype=pl.Int64)
    if not len(frame) or not len(wanted):
        return pl.Series([], dtype=pl.UInt32)
    positions = frame.ids.search_sorted(wanted).clip(upper_bound=len(frame) - 1).cast(pl.UInt32)
    return positions.filter(frame.ids[positions] == wanted)
