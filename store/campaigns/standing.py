"""The current campaigns of a store: handles found by the finder, with the operators' marks applied.

All consoles see the same: the finder's rows in the side table (`store.campaigns.stored`), and the signed marks of the
operators (`store.campaigns.marks`), which apply at once, before the next finding. Some copies may have been deleted
since: ask the catalogue which still exist before counting or acting.
"""

from __future__ import annotations

import copy
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from store.campaigns.grouping import OddCopy, Why
from store.campaigns.marks import Mark
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank

#: Range of copy ids sorted in one step; number of bits for a campaign's id and the odd flag.
_SPAN = 1 << 16
_CAMPAIGN = 33
_CAMPAIGN_MASK = (1 << 32) - 1


class Campaign(NamedTuple):
    """A handle with a lasting id.

    `copies` (ascending) fit it, with `fits` (0 to 100 %) of each; an act takes these. `odd` (ascending by copy) are in
    no act by default. `title` and `texts` (by key, the text behind the keys of seed and evidence) are folded text, NOT
    safe. `parts`: ids of campaigns that operators joined to this one.
    """

    id: int
    rank: Rank
    copies: array[int]
    fits: bytes
    odd: tuple[OddCopy, ...]
    seed: Why
    evidence: tuple[Why, ...]
    title: str
    texts: Mapping[int, str]
    mark: Mark
    parts: tuple[int, ...] = ()


class Place(NamedTuple):
    """The place of a copy: its campaign's id, its fit (0 to 100 %), and why it is odd there, () if it fits."""

    campaign: int
    fit: int
    reasons: tuple[Reason, ...]


class Placed(NamedTuple):
    """All copies in a campaign, odd ones included: ids (ascending), campaign ids, and 1 for each odd copy."""

    copies: array[int]
    campaigns: array[int]
    odd: bytes


class Counts(NamedTuple):
    """How many of some copies fit a campaign, and how many are odd in one."""

    fitting: int = 0
    odd: int = 0


class Standing:
    """All campaigns, in the order of their acts.

    `number` grows with every change (0: none were ever found). `found_at` (Unix ms): the last finding. `waiting`:
    copies of Backup that were not yet looked at when this was read. `problems`: a sentence for each campaign or mark
    that is damaged and therefore left out. Never modified: a change makes a new object.
    """

    def __init__(
        self,
        campaigns: Iterable[Campaign] = (),
        *,
        number: int = 0,
        found_at: int = 0,
        waiting: int = 0,
        problems: Sequence[str] = (),
    ) -> None:
        self.campaigns: Sequence[Campaign] = tuple(campaigns)
        self.number, self.found_at, self.waiting, self.problems = number, found_at, waiting, tuple(problems)
        self._by_id = {part: one for one in self.campaigns for part in (*one.parts, one.id)}

    def with_waiting(self, waiting: int) -> Standing:
        """Return a copy of this object with another number of waiting copies."""
        other = copy.copy(self)
        other.waiting = waiting
        return other

    def campaign(self, campaign_id: int) -> Campaign | None:
        """Return the campaign with this id, or the one that it was joined to; None if there is none."""
        return self._by_id.get(campaign_id)

    @cached_property
    def odd(self) -> frozenset[int]:
        """Ids of the copies that are odd in their campaign."""
        return frozenset(each.copy for one in self.campaigns for each in one.odd)

    @cached_property
    def placed(self) -> Placed:
        """The places of all copies that have one."""
        odd = sorted((each.copy, one.id) for one in self.campaigns for each in one.odd)
        copies, campaigns, odd_ones = array("Q"), array("I"), bytearray()
        start = 0
        # In short steps: a long one would hold the GIL and block the screen.
        while (start := self._next(odd, start)) >= 0:
            span = [
                copy_id << _CAMPAIGN | one.id << 1
                for one in self.campaigns
                for copy_id in one.copies[bisect_left(one.copies, start) : bisect_left(one.copies, start + _SPAN)]
            ]
            some = odd[bisect_left(odd, (start,)) : bisect_left(odd, (start + _SPAN,))]
            span += [copy_id << _CAMPAIGN | number << 1 | 1 for copy_id, number in some]
            span.sort()
            copies.extend([each >> _CAMPAIGN for each in span])
            campaigns.extend([each >> 1 & _CAMPAIGN_MASK for each in span])
            odd_ones.extend([each & 1 for each in span])
            start += _SPAN
        return Placed(copies, campaigns, bytes(odd_ones))

    def _next(self, odd: Sequence[tuple[int, int]], start: int) -> int:
        """Return the first copy with a place, from id `start` on; -1 if there is none."""
        first = [copy_id for copy_id, _ in odd[bisect_left(odd, (start,)) :][:1]]
        for one in self.campaigns:
            first += one.copies[bisect_left(one.copies, start) :][:1]
        return min(first, default=-1)

    def place_as(self, before: Standing, joined: Iterable[tuple[int, int]]) -> None:
        """Extend the places of an earlier object by copies that joined since: (copy id, campaign id), ids ascending.

        Does so only if those places are known and all new ids are higher; otherwise `placed` is computed when it is
        needed.
        """
        places = before.__dict__.get("placed")
        new = [
            (copy_id, one.id, not _has(one.copies, copy_id))
            for copy_id, number in joined
            if (one := self.campaign(number)) is not None
        ]
        if places is not None and not (new and places.copies and new[0][0] <= places.copies[-1]):
            self.placed = Placed(
                places.copies + array("Q", [copy_id for copy_id, _, _ in new]),
                places.campaigns + array("I", [number for _, number, _ in new]),
                places.odd + bytes(odd for _, _, odd in new),
            )

    def counts(self, copies: Iterable[int]) -> Counts:
        """Count how many of these copies fit a campaign, and how many are odd in one."""
        placed, fitting, odd = self.placed, 0, 0
        for copy_id in copies:
            at = bisect_left(placed.copies, copy_id)
            if at < len(placed.copies) and placed.copies[at] == copy_id:
                odd += placed.odd[at]
                fitting += not placed.odd[at]
        return Counts(fitting, odd)

    def place(self, copy_id: int) -> Place | None:
        """Return the place of a copy; None if it is in no campaign."""
        placed = self.placed
        at = bisect_left(placed.copies, copy_id)
        if at == len(placed.copies) or placed.copies[at] != copy_id:
            return None
        campaign = self._by_id[placed.campaigns[at]]
        if placed.odd[at]:
            reasons = next(each.reasons for each in campaign.odd if each.copy == copy_id)
            return Place(campaign.id, 0, reasons)
        return Place(campaign.id, campaign.fits[bisect_left(campaign.copies, copy_id)], ())


def _has(copies: array[int], copy_id: int) -> bool:
    at = bisect_left(copies, copy_id)
    return at < len(copies) and copies[at] == copy_id
