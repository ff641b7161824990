"""Check the bin: verify its journal, and compare the bin's table with it.

copies put in - restored - buried = copies in the bin
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from store.database.connection import run, snapshot
from store.helpers.runs import ranges
from store.sealing.signatures import AUTHORITY
from store.terms.errors import TamperedError
from store.vault.bin_journal import BINNED, OPERATOR_ROLE, BinRun, JournalRow, rows_after
from store.vault.deleting import Run, ids_of
from store.vault.reader import Reader

Finding = tuple[str, str]
#: Maximum difference assumed between two machines' clocks, and the longest that rotation keeps merging tombstones (ms).
_APART = 3_600_000
_SHOWN = 8
_BINNED = "SELECT id, act FROM binned ORDER BY id"
_TWICE = "SELECT binned.id FROM binned JOIN message ON message.id = binned.id ORDER BY binned.id"


class Place(NamedTuple):
    """The act, epoch and step of a copy that should be in the bin."""

    act: int
    epoch_id: int
    step: int


class BinCheck:
    """Reads the bin's journal in order and compares it with the tables."""

    def __init__(self, vault: Reader) -> None:
        #: Every copy that was ever put into the bin.
        self.ever: set[int] = set()
        self._vault = vault
        self._acts: set[int] = set()
        self._seen = 0
        #: By copy id: copies put in and not restored. They should be in the bin, or be buried.
        self._in: dict[int, Place] = {}
        self._untils: dict[int, int] = {}
        #: (time, run) of copies put in; (time, bytes) of restored rows; the time each copy of the bin was buried.
        self._put: list[tuple[int, BinRun]] = []
        self._back: list[tuple[int, int]] = []
        self._ever_back: set[int] = set()
        self._buried: dict[int, int] = {}
        #: Gateways' tombstones: (name, time written, ids of the copies that they name).
        self._rotated: list[tuple[str, int, list[int]]] = []

    def read(self) -> Iterator[Finding]:
        """Read on from the last row read, and yield what is wrong with the journal."""
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
                yield f"act {row_id} of the bin", f"it refers to act {row.act}, which does not exist"
            self._note(row)

    def _note(self, row: JournalRow) -> None:
        if row.kind == BINNED:
            self._acts.add(row.act)
            self._untils[row.act] = max(row.until, self._untils.get(row.act, 0))
            self._put += [(row.at, each) for each in row.runs]
            for each in row.runs:
                for offset, copy_id in enumerate(each.ids()):
                    self._in[copy_id] = Place(row.act, each.epoch_id, each.step + offset)
            self.ever.update(row.ids())
            return
        self._back.append((row.at, sum(each.size for each in row.runs)))
        self._ever_back.update(row.ids())
        for copy_id in row.ids():
            if (place := self._in.get(copy_id)) is not None and place.act == row.act:
                del self._in[copy_id]

    def note_tombstone(self, row: Any, runs: list[Run]) -> None:
        """Note the copies that a verified tombstone names."""
        ids = ids_of(runs)
        self._buried.update(dict.fromkeys(self.ever.intersection(ids), row.at))
        if row.gateway_id != AUTHORITY:
            self._rotated.append((f"tombstone {row.id}", row.at, ids))

    def early(self, share: int, since: int) -> Iterator[Finding]:
        """Find gateways' tombstones that bury copies of the bin before their time though the bin was within its limit.

        The limit is `share` (bytes), in force since `since` (Unix ms). The most that the bin can have held follows from
        the journal: everything put in by then, with clocks apart, less what had certainly left it.
        """
        changes = [(at - _APART, each.size) for at, each in self._put]
        changes += [(at + _APART, -size) for at, size in self._back]
        for _, each in self._put:
            if self._ever_back.isdisjoint(each.ids()) and all(copy_id in self._buried for copy_id in each.ids()):
                changes.append((max(self._buried[copy_id] for copy_id in each.ids()) + _APART, -each.size))
        changes.sort()
        times, held = [at for at, _ in changes], list(accumulate(size for _, size in changes))
        for name, at, ids in self._rotated:
            early = [each for each in ids if (place := self._in.get(each)) and at < self._untils.get(place.act, 0)]
            last = bisect(times, at) - 1
            if early and at - _APART > since and (last < 0 or held[last] <= share):
                yield name, f"a gateway deleted copies from the bin too early: {ranges(early, _SHOWN)}"

    def findings(self, buried: Callable[[int, int], bool], buried_since: Callable[[], set[int]]) -> Iterator[Finding]:
        """Yield differences between the tables and the journal, both read at one moment.

        `buried(epoch, step)` says whether a step is known to be buried; `buried_since()` returns the copies that later
        tombstones name. Raises StoreUnavailable.
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
                yield f"copy {copy_id}", "it is in the bin, but no act moved it there"
        for copy_id in twice:
            yield f"copy {copy_id}", "its row is both in Backup and in the bin"
        for copy_id in sorted(absent):
            if copy_id in back:
                if copy_id not in twice:
                    yield f"copy {copy_id}", "it was deleted into the bin, but its row is in Backup again"
            else:
                yield f"copy {copy_id}", "it was in the bin, and is missing without a tombstone"
