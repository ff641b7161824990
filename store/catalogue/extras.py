"""Answers what a filter asks beyond a frame: from tables of columns, and from the campaigns as they stand.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from store.campaigns.standing import Standing
from store.catalogue.column_fields import FIELDS, Source
from store.catalogue.column_reader import Seen
from store.catalogue.frame import Frame, occur_in


class Places:
    """Which copies are in which campaigns, as columns."""

    def __init__(self, standing: Standing) -> None:
        placed = standing.placed
        self.standing = standing
        self._copies = pl.Series(placed.copies, dtype=pl.UInt64).cast(pl.Int64)
        self._campaigns = pl.Series(placed.campaigns, dtype=pl.UInt32)
        self._odd = pl.Series(list(placed.odd), dtype=pl.UInt8) != 0

    def among(self, frame: Frame, wanted: Sequence[int]) -> pl.Series:
        """Boolean, by row: which copies are in any of the campaigns (0: in none)."""
        found = pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True)
        standing = self.standing
        ids = {one.id for each in wanted if (one := standing.campaign(each)) is not None}
        if ids:
            members = self._campaigns.is_in(pl.Series([sorted(ids)], dtype=pl.List(pl.UInt32)))
            found = occur_in(frame.ids, self._copies.filter(members))
        return found | ~occur_in(frame.ids, self._copies) if 0 in wanted else found

    def odd(self, frame: Frame) -> pl.Series:
        """Boolean, by row: which copies are odd in their campaign."""
        return occur_in(frame.ids, self._copies.filter(self._odd))


class TableExtras:
    """Implements `store.catalogue.query.Extras` for one question to one frame."""

    def __init__(self, seen: Mapping[Source, Seen | None], places: Places | None) -> None:
        """`seen`: what there is of each source that is needed; None: nothing yet."""
        self._seen = seen
        self._places = places

    @property
    def complete(self) -> bool:
        """Whether all was read that there is to read."""
        return all(seen is not None and seen.complete for seen in self._seen.values())

    @property
    def unread(self) -> int:
        """How many copies have no traits yet, where they are asked for and were looked for."""
        seen = self._seen.get(Source.BODY)
        return seen.lacking if seen is not None and seen.complete else 0

    def mask(self, frame: Frame, field: str, values: Sequence[Any]) -> pl.Series:
        """Boolean, by row: where any of the values holds; False where nothing is known of a copy."""
        if field in FIELDS:
            seen = self._seen.get(FIELDS[field][0])
            return _none(frame) if seen is None else seen.spread(seen.table.mask(field, values))
        if self._places is None:
            return ~_none(frame) if field == "campaign" and 0 in values else _none(frame)
        return self._places.among(frame, values) if field == "campaign" else self._places.odd(frame)

    def known(self, frame: Frame, field: str) -> pl.Series | None:
        """Boolean, by row: whether the field is known of it; None: of every one."""
        if field not in FIELDS:
            return None
        seen = self._seen.get(FIELDS[field][0])
        return _none(frame) if seen is None else seen.there


def _none(frame: Frame) -> pl.Series:
    return pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True)
