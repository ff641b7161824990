"""Lets new copies join existing campaigns: makes their traits and stores which campaign each belongs to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from store.campaigns.apart import Apart, PeeledOff, keys_of
from store.campaigns.applying import target_of
from store.campaigns.flags import flags_of
from store.campaigns.grouping import Handle
from store.campaigns.indexing import index, read_traits
from store.campaigns.joining import Joiner
from store.campaigns.marks import Marks, read_marks
from store.campaigns.material import Entry, Flags, entry_of
from store.campaigns.oddness import Reason
from store.campaigns.rows import JoinedRow
from store.campaigns.stored import State, Stored
from store.terms.errors import StoreFormat, TamperedError
from store.vault.vault import Vault

#: Copies handled in one step: less than a second of work.
_STEP = 200
_LARGEST_ID = (1 << 63) - 1


class _Standing(NamedTuple):
    """The campaigns that new copies are compared with, read for one generation and one version of the marks."""

    generation: int
    marks_version: int
    ids: list[int]
    handles: dict[int, Handle]
    joiner: Joiner
    apart: Apart


_NOTHING = _Standing(-1, -1, [], {}, Joiner([]), Apart((), {}, int))


class Arrivals:
    """Lets the new copies of a store join its campaigns, some at a time. For one thread."""

    def __init__(self, vault: Vault, stored: Stored) -> None:
        self._vault, self._stored = vault, stored
        self._standing = _NOTHING

    def look(self) -> int:
        """Handle the next copies; returns how many. 0: there are no new copies, or no campaigns.

        Raises TamperedError if the state is damaged, StoreUnavailable, UnlockError, and whatever the store's guard
        raises.
        """
        state = self._stored.state()
        if not state.generation:
            return 0
        self._follow(state)
        row, back = self._came_back(state)
        ids = self._vault.ids_above(state.looked, _STEP)
        if not ids and row == state.bin_row:
            return 0
        joined = self._joined([*back, *ids])
        returned = tuple(sorted({*state.returned, *(copy_id for copy_id in back if copy_id in joined)}))
        looked = max([state.looked, *ids])
        # If campaigns were found anew meanwhile, this writes nothing, and the next call handles the same copies again.
        self._stored.put_joined(state, looked, joined, returned=returned, bin_row=row)
        return len(ids) + len(back)

    def _joined(self, ids: Sequence[int]) -> dict[int, JoinedRow]:
        """Return the copies that join a campaign. Makes missing traits."""
        found = read_traits(self._vault, ids)
        if lacking := [copy_id for copy_id in ids if copy_id not in found]:
            index(self._vault, after_id=_LARGEST_ID, again=lacking)
            found.update(read_traits(self._vault, lacking))
        flags = flags_of(self._vault, list(found))
        joined = {}
        for copy_id, made in found.items():
            row = self._place(entry_of(copy_id, made.traits, flags.get(copy_id, Flags.NONE)))
            if row is not None:
                joined[copy_id] = row
        return joined

    def _place(self, entry: Entry) -> JoinedRow | None:
        standing = self._standing
        found = standing.joiner.join(entry)
        if found is None:
            return None
        number = standing.ids[found.handle]
        reasons = found.reasons
        if standing.apart.keeps_out(entry, number):
            reasons = (Reason.APART, *reasons)
        return JoinedRow(standing.generation, number, found.fit, reasons)

    def _came_back(self, state: State) -> tuple[int, list[int]]:
        """Return how far the bin's journal was read, and the copies that came back since and are in no campaign."""
        try:
            row, touched = self._vault.bin.touched_since(state.bin_row)
        except TamperedError:  # `mailhold check` reports it.
            row, touched = self._vault.bin.newest_row(), []
        odd = {one.copy for each in self._standing.handles.values() for one in each.odd} if touched else set()
        there = sorted(self._vault.present(sorted(set(touched)))) if touched else []
        back = [one for one in there if one <= state.looked and one not in odd and not self._holds(one)]
        return row, sorted(set(back) - self._stored.have_joined(state, back))

    def _holds(self, copy_id: int) -> bool:
        for handle in self._standing.handles.values():
            at = bisect_left(handle.copies, copy_id)
            if at < len(handle.copies) and handle.copies[at] == copy_id:
                return True
        return False

    def _follow(self, state: State) -> None:
        """Read the campaigns and marks again if they changed."""
        try:
            marks, version = read_marks(self._vault)
        except (TamperedError, StoreFormat):
            marks, version = Marks(), 0  # The code that shows campaigns reports the damage.
        if (state.generation, version) == self._standing[:2]:
            return
        if state.generation == self._standing.generation:
            ids, handles, joiner = self._standing[2:5]
        else:
            state, handles = self._stored.handles()
            ids, joiner = list(handles), Joiner(list(handles.values()))
        mark_of = {one.campaign: one for one in marks.marks}
        apart = Apart(self._peeled(marks), handles, lambda campaign: target_of(campaign, mark_of))
        self._standing = _Standing(state.generation, version, ids, handles, joiner, apart)

    def _peeled(self, marks: Marks) -> list[PeeledOff]:
        ids = sorted({copy_id for one in marks.peeled for copy_id in (*one.copies, one.stays)})
        made = read_traits(self._vault, ids, binned=True) | read_traits(self._vault, ids)
        keys = {copy_id: keys_of(entry_of(copy_id, each.traits)) for copy_id, each in made.items()}
        return [
            PeeledOff(one.campaign, keys[out], one.stays, keys[one.stays])
            for one in marks.peeled
            if one.stays in keys
            for out in one.copies
            if out in keys
        ]
