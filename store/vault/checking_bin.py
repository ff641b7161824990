"""What `check` finds out about the bin: its journal, and whether what lies in it is what the journal says.

put in - brought back - buried = what is in the bin
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from store.database.connection import run, snapshot
from store.terms.errors import TamperedError
from store.vault.bin_journal import BINNED, OPERATOR_ROLE, JournalRow, rows_after
from store.vault.reader import Reader

Finding = tuple[str, str]
_BINNED = "SELECT id, act FROM binned ORDER BY id"
_TWICE = "SELECT binned.id FROM binned JOIN message ON message.id = binned.id ORDER BY binned.id"


class Place(NamedTuple):
    """Where a copy in the bin belongs."""

    act: int
    epoch_id: int
    step: int


class BinCheck:
    """The journal of the bin, read in its order, and held against the tables."""

    def __init__(self, vault: Reader) -> None:
        #: The copies that an act ever put into the bin.
        self.ever: set[int] = set()
        self._vault = vault
        self._acts: set[int] = set()
        self._seen = 0
        #: What should be in the bin, or was buried out of it.
        self._in: dict[int, Place] = {}

    def read(self) -> Iterator[Finding]:
        """Read the journal on from where it was read to; what is wrong with it."""
        for row_id, row in rows_after(self._vault, self._seen):
            if row_id != self._seen + 1:
                yield "the bin", f"act {self._seen + 1} is missing from its journal"
            self._seen = row_id
            if isinstance(row, TamperedError):
                yield row.what, row.why
                continue
            try:
                if row.sealed_operator is not None:
                    self._vault.unseal(OPERATOR_ROLE, row.sealed_operator)
            except TamperedError as error:
                yield f"act {row_id} of the bin", error.why
            if row.kind == BINNED and row.act not in self._acts and row.act != row_id:
                yield f"act {row_id} of the bin", f"it goes on with act {row.act}, which is not there"
            self._note(row)

    def _note(self, row: JournalRow) -> None:
        if row.kind == BINNED:
            self._acts.add(row.act)
            for each in row.runs:
                for offset, copy_id in enumerate(each.ids()):
                    self._in[copy_id] = Place(row.act, each.epoch_id, each.step + offset)
            self.ever.update(row.ids())
            return
        for copy_id in row.ids():
            if (place := self._in.get(copy_id)) is not None and place.act == row.act:
                del self._in[copy_id]

    def findings(self, buried: Callable[[int, int], bool], buried_since: Callable[[], set[int]]) -> Iterator[Finding]:
        """Where the tables have something else than the journal says, all of it at one moment.

        `buried` says whether a step of an epoch is known to be; `buried_since` which copies tombstones name that came
        after. Raises StoreUnavailable.
        """
        vault = self._vault
        with vault.reading(), snapshot(vault.db):
            yield from self.read()
            there = dict(run(vault.db, _BINNED).fetchall())
            twice = [copy_id for (copy_id,) in run(vault.db, _TWICE).fetchall()]
            absent = {
                copy_id: place
                for copy_id, place in self._in.items()
                if copy_id not in there and not buried(place.epoch_id, place.step)
            }
            if absent:
                for copy_id in buried_since():
                    absent.pop(copy_id, None)
            back = vault.present(sorted(absent))
        for copy_id, act in sorted(there.items()):
            place = self._in.get(copy_id)
            if place is None or place.act != act:
                yield f"copy {copy_id}", "it lies in the bin, and no act put it there"
        for copy_id in twice:
            yield f"copy {copy_id}", "its row is in Backup and in the bin"
        for copy_id in sorted(absent):
            if copy_id in back:
                if copy_id not in twice:
                    yield f"copy {copy_id}", "it was deleted into the bin, and somebody put it back"
            else:
                yield f"copy {copy_id}", "it was in the bin, and is gone without a tombstone"
