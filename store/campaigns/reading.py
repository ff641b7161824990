"""Reads the campaigns of a store (found by the finder, marked by operators), and reads them again after changes."""

from __future__ import annotations

import threading

from store.campaigns.applying import applied
from store.campaigns.due import due
from store.campaigns.marks import Marks, read_marks
from store.campaigns.standing import Standing
from store.campaigns.stored import Rows, State, Stored
from store.terms.errors import StoreFormat, TamperedError
from store.vault.vault import Vault


class StandingReader:
    """Reads the current campaigns. Thread-safe. Raises UnlockError if the key is not an operator's."""

    def __init__(self, vault: Vault) -> None:
        self._vault, self._stored = vault, Stored(vault)
        self._lock = threading.Lock()
        self._token: object = None
        self._sealed: bytes | None = None
        self._rows = Rows(State(), (), {})
        self._marks: Marks | None = None
        self._marks_version = -1
        self._row_problems: list[str] = []
        self._mark_problems: list[str] = []
        self._standing = Standing()

    @property
    def state(self) -> State:
        """The state of the rows as last read."""
        return self._rows.state

    def work(self) -> bool:
        """Return True if there was work for a finder at the last `read`."""
        with self._lock:
            state = self._rows.state
            if self._mark_problems:
                # Finding campaigns needs the operators' marks, which are damaged; letting copies join does not.
                return bool(self._standing.waiting and state.generation)
            if self._standing.waiting or (state.generation and self._vault.bin.newest_row() != state.bin_row):
                return True
            return due(self._vault, state, self._marks or Marks(), damaged=bool(self._row_problems))

    def read(self) -> Standing:
        """Read the current campaigns. If nothing changed, this is cheap and returns the same object.

        Damaged campaigns are left out and named in `problems`. Raises StoreUnavailable.
        """
        with self._lock:
            token = self._vault.change_token()
            if token != self._token:
                rows, said = self._rows, self._read_marks()
                changed = self._read_rows()
                waiting = self._waiting()
                if changed or said:
                    before, self._standing = self._standing, self._stand(waiting)
                    if not said and rows.campaigns is self._rows.campaigns:
                        self._standing.place_as(before, self._joined_since(rows))
                elif waiting != self._standing.waiting:
                    self._standing = self._standing.with_waiting(waiting)
                self._token = token
            return self._standing

    def _read_rows(self) -> bool:
        sealed = self._stored.sealed_state()
        if sealed == self._sealed:
            return False
        problems: list[str] = []
        before = self._rows
        self._rows = self._stored.read(None if self._row_problems else before, problem=problems.append)
        changed = before.state.number != self._rows.state.number or problems != self._row_problems
        self._sealed, self._row_problems = sealed, problems
        return changed

    def _read_marks(self) -> bool:
        """Read the operators' marks. Returns whether they changed.

        If they are damaged, the marks read before stay in force; if there are none, no campaign is shown.
        """
        try:
            marks, version = read_marks(self._vault)
        except (TamperedError, StoreFormat) as error:
            changed = self._mark_problems != [str(error)]
            self._mark_problems = [str(error)]
            return changed
        changed = version != self._marks_version or bool(self._mark_problems)
        self._marks, self._marks_version, self._mark_problems = marks, version, []
        return changed

    def _joined_since(self, rows: Rows) -> list[tuple[int, int]]:
        joined = self._rows.joined
        new = sorted(joined.keys() - rows.joined.keys()) if joined is not rows.joined else []
        return [(copy_id, joined[copy_id].campaign) for copy_id in new]

    def _waiting(self) -> int:
        looked = self._rows.state.looked
        # Before the first finding all copies wait: counting a million rows after every change would take too long.
        return self._vault.count_above(looked) if looked else self._vault.count().messages

    def _stand(self, waiting: int) -> Standing:
        state = self._rows.state
        # Without the marks, an act would take copies that an operator had peeled off.
        shown = () if self._marks is None else applied(self._rows.campaigns, self._rows.joined, self._marks)
        problems = (*self._mark_problems, *self._row_problems)
        return Standing(shown, number=state.number, found_at=state.found_at, waiting=waiting, problems=problems)
