"""Contents of the bin, from its table and its verified journal."""

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
    """An act: `operator` (NOT safe for a terminal) put `copies` of `size` bytes into the bin at `at`.

    `left` copies of `left_size` bytes are still in the bin, `restored` came back, the rest are gone for good. `first`
    is the lowest copy id.
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
        """How many copies are neither in the bin nor restored."""
        return max(0, self.copies - self.restored - self.left)


@dataclass
class _State:
    """An act's verified journal rows up to row `seen`, summed up. `ids` should now be in the bin."""

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
    """Reads what is in the bin of one vault."""

    def __init__(self, vault: Reader) -> None:
        self._vault = vault
        self._states: OrderedDict[int, _State] = OrderedDict()
        self._untils: dict[int, int] = {}

    def totals(self) -> tuple[int, int]:
        """Return how many copies are in the bin, and their bytes. Reads the counters only. Raises TamperedError."""
        with self._vault.reading():
            return counters(self._vault.db)[3:5]

    def newest_row(self) -> int:
        """Return the journal's newest row id, 0 if it is empty.

        It grows whenever copies enter the bin or come back from it.
        """
        with self._vault.reading():
            return newest_row(self._vault)

    def touched_since(self, row_id: int) -> tuple[int, list[int]]:
        """Return the journal's newest row id, and the copies that were put into the bin or restored after `row_id`.

        Ask `Vault.present` where they are now. Raises TamperedError.
        """
        return touched(self._vault, row_id)

    def ids(self, act: int | None = None) -> list[int]:
        """List the ids of all copies in the bin, or of one act's, ascending."""
        with self._vault.reading():
            return binned.all_ids(self._vault.db) if act is None else binned.of_act(self._vault.db, act)

    def acts(self, *, since: int | None = None) -> list[BinAct]:
        """List the acts that have copies in the bin, newest first.

        With `since` (Unix ms), lists also acts that expire after it and have none left. An act whose rows do not verify
        has time 0, no operator, and the number of copies that are there.
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
        """List up to `limit` copies with their bytes that a verified act put into the bin, the oldest act's first.

        With `expired` (Unix ms), only copies whose time in the bin ended by then. Leaves out rows that no verified act
        names: a forged row must not cause any removal. Call it in a transaction or a `reading`.
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
        """Return when the next copies in the bin expire (Unix ms), None if no act verifies."""
        with self._vault.reading():
            ends = [until for act in binned.acts(self._vault.db) if (until := self._until(act))]
        return min(ends, default=None)

    def _until(self, act: int) -> int:
        """Return when an act's copies expire (Unix ms), 0 if it does not verify."""
        if act not in self._untils and (until := self._state(act).until):
            self._untils[act] = until
        return self._untils.get(act, 0)

    def _state(self, act: int) -> _State:
        """Return an act's state from its verified rows, continuing from the remembered state if there is one."""
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
    """Add a verified row to its act's state. Rows must come in order of id."""
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
