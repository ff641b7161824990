"""The law of conservation: the fate of every copy that a store ever had.

Each id ever given is in exactly one place: it is a copy, it is in the bin, or a tombstone says that it was buried. What
the programs reported is compared with that.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from store.check import check
from store.database.connection import run, snapshot
from store.helpers.runs import ranges
from store.vault.counters import Counters, counters
from store.vault.deleting import ROTATED, ids_of, verified_runs
from store.vault.vault import Vault
from tests.torture.running import hold
from tests.torture.stores import number_of


@dataclass
class Places:
    """The places of a store's ids: copies, those in the bin, and the buried ones with the causes."""

    copies: set[int] = field(default_factory=set)
    binned: set[int] = field(default_factory=set)
    buried: Counter[int] = field(default_factory=Counter)
    #: Buried ids that rotation removed.
    rotated: set[int] = field(default_factory=set)
    next_copy_id: int = 1

    @property
    def gone(self) -> set[int]:
        """Ids that are no copies any more."""
        return self.binned | set(self.buried)


def places(vault: Vault) -> Places:
    """Return the place of every id, at one moment. Raises Broken if the counters do not match."""
    found = Places()
    with vault.reading(), snapshot(vault.db):
        said = counters(vault.db)
        found.next_copy_id = said.next_copy_id
        copies = dict(run(vault.db, "SELECT id, stored_size FROM message").fetchall())
        binned = dict(run(vault.db, "SELECT id, stored_size FROM binned").fetchall())
        found.copies, found.binned = set(copies), set(binned)
        bodies = {row[0] for row in run(vault.db, "SELECT id FROM body").fetchall()}
        bin_bytes = sum(binned.values())
        made = run(vault.db, "SELECT COUNT(*), COALESCE(SUM(LENGTH(sealed)), 0) FROM derived").fetchone()
        all_bytes = sum(copies.values()) + bin_bytes
        real = Counters(len(copies), all_bytes, said.next_copy_id, len(binned), bin_bytes, *map(int, made))
        for row in vault.models.Tombstone.select():
            ids = ids_of(verified_runs(vault, row))
            found.buried.update(ids)
            if row.cause == ROTATED:
                found.rotated.update(ids)
    hold("the counters equal what is there", said != real and f"{said} said, {real} there")
    wrong = bodies ^ (found.copies | found.binned)
    hold("each copy has its body and each body its copy", wrong and ranges(sorted(wrong), 8))
    return found


def conserved(vault: Vault) -> Places:
    """Return the place of every id. Raises Broken if one has none or two, or if `check` finds anything."""
    found = places(vault)
    seen = Counter[int]()
    for place in (found.copies, found.binned):
        seen.update(place)
    seen.update(found.buried)
    given = set(range(1, found.next_copy_id))
    lost = sorted(given - set(seen))
    twice = sorted(each for each, number in seen.items() if number > 1)
    never = sorted(set(seen) - given)
    hold(
        "every id that was given out is in exactly one place",
        lost and f"nowhere: {ranges(lost, 8)}",
        twice and f"twice: {ranges(twice, 8)}",
        never and f"never given out: {ranges(never, 8)}",
    )
    hold("`check` finds the store whole", check(vault).broken)
    return found


@dataclass
class Ledger:
    """What programs reported about copies of numbered messages (`stores.message`)."""

    #: The message number of each copy reported as placed, by its id.
    placed: dict[int, int] = field(default_factory=dict)
    #: Ids that operators meant to delete, and ids reported as deleted.
    doomed: set[int] = field(default_factory=set)
    deleted: set[int] = field(default_factory=set)

    def note_placed(self, copy_id: int, number: int) -> None:
        hold("no id is given out twice", copy_id in self.placed and copy_id)
        self.placed[copy_id] = number

    def settle(self, vault: Vault) -> Places:
        """Compare it with the store. Raises Broken."""
        found = conserved(vault)
        gone = found.gone
        lost = [each for each in self.placed if each not in found.copies and each not in gone]
        hold("no copy that was placed and answered is lost", lost and ranges(sorted(lost), 8))
        taken = (gone - found.rotated) - self.doomed
        hold("nothing is deleted that nobody meant", taken and ranges(sorted(taken), 8))
        back = self.deleted & found.copies
        hold("what was said to be deleted is gone", back and ranges(sorted(back), 8))
        for copy_id in sorted(found.copies):
            number, whole = number_of(vault.raw(copy_id))
            hold("every copy is the message that was put, byte for byte", not whole and f"copy {copy_id}")
            said = self.placed.get(copy_id, number)
            hold("every copy has the id that was answered", said != number and f"copy {copy_id} is number {number}")
        return found
