"""Lets a new copy join an existing handle by that handle's weights, in microseconds, without reading other copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from store.campaigns.grouping import Handle
from store.campaigns.growing import scored
from store.campaigns.material import Entry, domain_of
from store.campaigns.oddness import Reason


class Joined(NamedTuple):
    """The handle that a copy joins (by position), its fit (0 to 100 %), and why it is odd there, () if it fits."""

    handle: int
    fit: int
    reasons: tuple[Reason, ...]


class Joiner:
    """Finds the handle that a new copy joins."""

    def __init__(self, handles: Sequence[Handle]) -> None:
        self._limits = [one.limits for one in handles]
        # The same hash may be a key of two strands, so there is one dictionary per strand.
        self._of: tuple[dict[int, list[tuple[int, float]]], ...] = ({}, {}, {})
        for place, one in enumerate(handles):
            for key, (strand, weight) in one.weights.items():
                self._of[strand].setdefault(key, []).append((place, weight))

    def join(self, entry: Entry) -> Joined | None:
        """Find the handle with the most evidence (the first of equals); None if no handle has enough."""
        best: dict[int, list[float]] = {}
        told: dict[int, int] = {}
        sums: dict[int, list[float]] = {}
        for strand, (weights, keys) in enumerate(zip(self._of, entry.strands, strict=True)):
            for key in set(keys):
                for place, weight in weights.get(key, ()):
                    if place not in sums:
                        best[place], sums[place] = [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]
                    sums[place][strand] += weight
                    if not strand:
                        told[place] = told.get(place, 0) + 1
                    if weight > best[place][strand]:
                        best[place][strand] = weight
        said = max(len(entry.content), 1)
        found = {place: scored(best[place], sums[place], told.get(place, 0) / said) for place in sums}
        joining = [place for place, one in found.items() if one.joins]
        if not joining:
            return None
        domain = domain_of(entry.sender)
        reasons = {place: self._limits[place].reasons(found[place], entry.flags, domain) for place in joining}
        joining = [place for place in joining if not self._limits[place].is_other_letter(found[place], reasons[place])]
        if not joining:
            return None
        # A handle that the copy fits comes before one where it would be odd.
        place = min(joining, key=lambda place: (bool(reasons[place]), -round(found[place].total, 6), place))
        return Joined(place, round(100 * self._limits[place].fit(found[place])), reasons[place])
