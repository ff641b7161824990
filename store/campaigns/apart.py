"""Copies like one that an operator peeled off a campaign: they are odd in that campaign from their arrival on."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from store.campaigns.grouping import Handle
from store.campaigns.material import Entry
from store.campaigns.taken_out import LIKE, alike

Keys = frozenset[int]


class PeeledOff(NamedTuple):
    """A copy that was peeled off a campaign (`out`: its keys), and one that stayed in it (`stays`: its id)."""

    campaign: int
    out: Keys
    stays: int
    stays_keys: Keys


def keys_of(entry: Entry) -> Keys:
    """Return the keys of a copy, of all strands."""
    return frozenset(entry.content).union(entry.payload, entry.origin)


class Apart:
    """The copies peeled off each campaign; compares each new copy with them.

    A key is compared only if the copy that stays or the campaign has it too: a number that differs in every copy says
    nothing.
    """

    def __init__(
        self, peeled: Iterable[PeeledOff], handles: Mapping[int, Handle], target: Callable[[int], int]
    ) -> None:
        """Take `handles` by campaign id. `target` maps a campaign to the one that it is shown in."""
        self._of: dict[int, list[tuple[PeeledOff, Keys]]] = defaultdict(list)
        acts: dict[tuple[int, int], list[PeeledOff]] = defaultdict(list)
        for one in peeled:
            acts[one.campaign, one.stays].append(one)
        for (campaign, stays), each in acts.items():
            for number, handle in handles.items():
                if campaign in (number, target(number)) or _holds(handle, stays):
                    common = each[0].stays_keys.union(handle.weights)
                    self._of[number] += [(one, one.out & common) for one in each]
        self._handles = handles

    def keeps_out(self, entry: Entry, campaign: int) -> bool:
        """Return True if a copy that would join this campaign is like one that was peeled off it."""
        keys = keys_of(entry) if campaign in self._of else frozenset()
        weights = self._handles[campaign].weights
        for one, common in self._of.get(campaign, ()):
            shared = keys & one.out
            told = {key for key in keys if key in shared or key in one.stays_keys or key in weights}
            like = len(shared) / max(len(told | common | shared), 1)
            if like >= LIKE and like > alike(frozenset(told), one.stays_keys):
                return True
        return False


def _holds(handle: Handle, copy_id: int) -> bool:
    at = bisect_left(handle.copies, copy_id)
    if at < len(handle.copies) and handle.copies[at] == copy_id:
        return True
    return any(each.copy == copy_id for each in handle.odd)
