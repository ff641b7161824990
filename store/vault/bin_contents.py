"""What is in the bin, by its table and by what its verified journal says."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

from store.terms.errors import TamperedError
from store.vault import binned
from store.vault.bin_journal import OPERATOR_ROLE, RESTORED, JournalRow, newest_row, rows_after, touched
from store.vault.counters import counters
from store.vault.reader import Reader

_STATES = 4


class BinAct(NamedTuple):
    """An act: `copies` of `size` bytes were put into the bin at `at` by `operator` (NOT safe for a terminal).

    `left` of `left_size` bytes are there; `restored` came back; the others are gone. `first` is the lowest id.
    """

    act: int
    at: int
    until: int
    operator: str
    copies: int
    size: int
    restored: int
    left: int
    left_size: int
    first: int

    @property
    def gone(self) -> int:
        """How many copies neither are in the bin nor came back."""
        return max(0, self.copies - self.restored - self.left)


@dataclass
class _State:
    """What verified rows say of an act, up to the journal's row `seen`; `ids` are those that should be in the bin."""

    seen: int
    at: int = 0
    until: int = 0
    sealed_operator: bytes | None = None
    copies: int = 0
    size: int = 0
    restored: int = 0
    first: int = 0
    ids: set[int] = field(default_factory=set)


class BinContents:
    """What is in the bin of one vault."""

    def __init__(self, vault: Reader) -> None:
        self._vault = vault
        self._states: OrderedDict[int, _State] = OrderedDict()
        self._untils: dict[int, int] = {}

    def totals(self) -> tuple[int, int]:
        """How many copies are in the bin, and their bytes. Cheap. Raises TamperedError."""
        with self._vault.reading():
            return counters(self._vault.db)[3:5]

    def newest_row(self) -> int:
        """Return the journal's newest row id, 0 if it is empty. It grows whenever copies enter or leave the bin."""
        with self._vault.reading():
            return newest_row(self._vault)

    def touched_since(self, row_id: int) -> tuple[int, list[int]]:
        """Return the journal's newest row id, and the copies that entered or left the bin after `row_id`.

        Where they are now is for the tables to say: `Vault.present`. Raises TamperedError.
        """
        return touched(self._vault, row_id)

    def ids(self, act: int | None = None) -> list[int]:
        """List the copies in the bin, or those of one act, ascending."""
        with self._vault.reading():
            return binned.all_ids(self._vault.db) if act is None else binned.of_act(self._vault.db, act)

    def acts(self, *, since: int | None = None) -> list[BinAct]:
        """List the acts that have copies in the bin, newest first; with `since`, also those that had any then or later.

        An act that does not verify has time 0, no operator, and as many copies as are there.
        """
        with self._vault.reading():
            there = binned.by_act(self._vault.db)
        states: dict[int, _State] = {}
        for _, row in rows_after(self._vault, 0):
            if isinstance(row, TamperedError):
                continue
            state = states.setdefault(row.act, _State(row.id))
            if since is not None or row.act in there:
                _note(state, row)
        found = []
        for act in sorted({*there, *states}, reverse=True):
            copies, size = there.get(act, (0, 0))
            state = states.get(act, _State(0, copies=copies, size=size))
            if copies or (since is not None and state.until > since):
                found.append(
                    BinAct(
                        act,
                        state.at,
                        state.until,
                        self._operator(state),
                        max(state.copies, copies),
                        state.size,
                        state.restored,
                        copies,
                        size,
                        state.first,
                    )
                )
        return found

    def _operator(self, state: _State) -> str:
        if state.sealed_operator is None:
            return ""
        try:
            return self._vault.unseal(OPERATOR_ROLE, state.sealed_operator).decode(errors="replace")
        except TamperedError:
            return ""

    def oldest(self, limit: int, *, expired: int | None = None) -> list[tuple[int, int]]:
        """Up to `limit` copies with their bytes that a verified act put into the bin, those of the oldest act first.

        With `expired` (Unix ms), only those whose time was over by then. A row that somebody else moved there is not
        among them: nothing is removed for it. In a transaction, or a `reading`, that is open.
        """
        found: list[tuple[int, int]] = []
        db = self._vault.db
        for act in binned.acts(db):
            if len(found) >= limit:
                break
            if expired is not None and not 0 < self._until(act) <= expired:
                continue
            state = self._state(act)
            rows = binned.of_acts(db, [act], limit - len(found))
            if any(row[0] not in state.ids for row in rows):
                rows = binned.of_acts(db, [act], 1 << 31)
            found += [(copy_id, size) for copy_id, _, size in rows if copy_id in state.ids][: limit - len(found)]
        return found

    def next_end(self) -> int | None:
        """When the time of the next copies in the bin is over (Unix ms), None without any that verify."""
        with self._vault.reading():
            ends = [until for act in binned.acts(self._vault.db) if (until := self._until(act))]
        return min(ends, default=None)

    def _until(self, act: int) -> int:
        """When an act's time is over, 0 where it does not verify."""
        if act not in self._untils and (until := self._state(act).until):
            self._untils[act] = until
        return self._untils.get(act, 0)

    def _state(self, act: int) -> _State:
        """Compute an act's state from verified rows."""
        newest = newest_row(self._vault)
        state = self._states.pop(act, None)
        if state is None or state.seen > newest:
            state = _State(act - 1)
        if state.seen < newest:
            for _, row in rows_after(self._vault, state.seen, act):
                if not isinstance(row, TamperedError):
                    _note(state, row)
            state.seen = newest
        self._states[act] = state
        while len(self._states) > _STATES:
            self._states.popitem(last=False)
        return state


def _note(state: _State, row: JournalRow) -> None:
    """Take in a verified row of an act; they come in their order."""
    ids = set(row.ids())
    if row.kind == RESTORED:
        state.restored += len(ids & state.ids)
        state.ids -= ids
        return
    state.at, state.until = state.at or row.at, max(state.until, row.until)
    state.sealed_operator = state.sealed_operator or row.sealed_operator
    state.copies += len(ids)
    state.size += sum(each.size for each in row.runs)
    state.first = min([state.first or row.runs[0].copy_id, *ids])
    state.ids |= ids
