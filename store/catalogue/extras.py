"""Answers the filter fields that a frame has no column for, from column tables and from the current campaigns.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from store.campaigns.standing import Campaign, Standing
from store.catalogue.column_fields import FIELDS, Source
from store.catalogue.frame import Frame, occur_in

if TYPE_CHECKING:
    from store.catalogue.column_reader import Seen

#: Ids up to 1/8 of the number of rows are looked up in the frame; more of them are matched row by row.
_FEW = 8


class Places:
    """Maps campaigns to rows: which of a frame's copies are in which campaigns."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self._none: tuple[weakref.ref[Frame], pl.Series] | None = None

    def among(self, frame: Frame, wanted: Sequence[int]) -> pl.Series:
        """Return a mask by row: copies in any of the `wanted` campaigns (0 stands for "in no campaign")."""
        found = {one.id: one for each in wanted if (one := self.standing.campaign(each)) is not None}
        mask = _mask_of(frame, _members(found.values()))
        return mask | self._in_none(frame) if 0 in wanted else mask

    def _in_none(self, frame: Frame) -> pl.Series:
        """Return a mask by row: copies in no campaign. The mask of the latest frame is cached."""
        none = self._none
        if none is None or none[0]() is not frame:
            self._none = none = weakref.ref(frame), ~occur_in(frame.ids, self._all)
        return none[1]

    def odd(self, frame: Frame) -> pl.Series:
        """Return a mask by row: copies that are odd in their campaign."""
        return _mask_of(frame, self._odd)

    @cached_property
    def _all(self) -> pl.Series:
        return _members(self.standing.campaigns)

    @cached_property
    def _odd(self) -> pl.Series:
        return _ids([each.copy for one in self.standing.campaigns for each in one.odd]).sort()


def _mask_of(frame: Frame, ids: pl.Series) -> pl.Series:
    """Return a mask by row: copies whose id is in the ascending `ids`."""
    if len(ids) > len(frame) // _FEW:
        return occur_in(frame.ids, ids)
    rows = frame.ids.search_sorted(ids).clip(upper_bound=max(0, len(frame) - 1)).cast(pl.UInt32)
    return _none(frame).scatter(rows.filter(frame.ids[rows] == ids), True)


def _members(campaigns: Iterable[Campaign]) -> pl.Series:
    """List the ids of all copies of these campaigns, odd ones included, ascending."""
    parts = [_ids([])]
    for one in campaigns:
        parts += [_ids(one.copies), _ids([each.copy for each in one.odd])]
    return pl.concat(parts, rechunk=True).sort()


def _ids(copies: Sequence[int]) -> pl.Series:
    return pl.Series(copies, dtype=pl.UInt64).cast(pl.Int64)


class TableExtras:
    """Implements `store.catalogue.query.Extras` for one query on one frame."""

    def __init__(self, seen: Mapping[Source, Seen | None], places: Places | None) -> None:
        """Take the tables of the needed sources in `seen` (None: not read yet)."""
        self._seen = seen
        self.places = places

    @property
    def complete(self) -> bool:
        """Whether everything that the query needs has been read."""
        return all(seen is not None and seen.complete for seen in self._seen.values())

    @property
    def unread(self) -> int:
        """How many copies have no traits yet; 0 if the query needs no traits or they are still being read."""
        seen = self._seen.get(Source.BODY)
        return seen.lacking if seen is not None and seen.complete else 0

    def mask(self, frame: Frame, field: str, values: Sequence[Any]) -> pl.Series:
        """Return a mask by row: copies that have any of the values; False where the field is not known."""
        if field in FIELDS:
            seen = self._seen.get(FIELDS[field][0])
            return _none(frame) if seen is None else seen.spread(seen.table.mask(field, values))
        if self.places is None:
            return ~_none(frame) if field == "campaign" and 0 in values else _none(frame)
        return self.places.among(frame, values) if field == "campaign" else self.places.odd(frame)

    def known(self, frame: Frame, field: str) -> pl.Series | None:
        """Return a mask by row: copies whose value in this field is known. None if all are."""
        if field not in FIELDS:
            return None
        seen = self._seen.get(FIELDS[field][0])
        return _none(frame) if seen is None else seen.there


def _none(frame: Frame) -> pl.Series:
    return pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True)
