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
        wanted = pl.Series(ids, dtype=pl.Int64)
        positions = pl.Series([], dtype=pl.UInt32)
        if len(frame) and len(wanted):
            positions = frame.ids.search_sorted(wanted).clip(upper_bound=len(frame) - 1).cast(pl.UInt32)
            positions = positions.filter(frame.ids.gather(positions) == wanted)
        super().__init__(frame, positions, None, total=len(positions), partial=False, high_water=max(ids, default=0))
        self._places = {copy_id: place for place, copy_id in enumerate(self.ids())}

    def position(self, copy_id: int) -> int | None:
        return self._places.get(copy_id)

    def among(self, ids: Iterable[int]) -> set[int]:
        return {copy_id for copy_id in ids if copy_id in self._places}


def subject_counts(frame: Frame, ids: Iterable[int]) -> list[tuple[str, int]]:
    """The subjects of these copies (NOT safe) with how many have each, the most frequent first."""
    counts = _codes(frame, "subject", ids).value_counts(sort=True)
    texts = frame.texts["subject"].texts.gather(counts.get_column("subject")).to_list()
    return list(zip(texts, counts.get_column("count").to_list(), strict=True))


def sender_fields(frame: Frame, ids: Iterable[int]) -> list[str]:
    """The From fields of these copies, each once. NOT safe."""
    return frame.texts["from"].texts.gather(_codes(frame, "from", ids).unique().sort()).to_list()


def _codes(frame: Frame, name: str, ids: Iterable[int]) -> pl.Series:
    return frame.rows.get_column(name).gather(frame.rows_of(ids))
