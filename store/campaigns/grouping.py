"""Groups message copies into handles. Each starts from a seed (a frequent key) and grows by the copies like it.

An operator names, views and acts on a handle as a whole. A handle need not be one campaign; it is what one act can
clear. Copies in no handle are the rest. The result does not depend on the order of the copies.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from store.campaigns.growing import Weights, grown
from store.campaigns.material import Entry, Flags, Material, gathered, no_stop
from store.campaigns.oddness import GATED, Limits, Odd, Reason, Sorted, sorted_out
from store.campaigns.order import ANSWERS, Rank, Tally, rank
from store.campaigns.seeds import Seeder
from store.campaigns.taken_out import TakenOut
from store.campaigns.threads import stolen

#: The least number of copies of a handle.
LEAST = 8
#: Keys per strand shown as evidence.
_TOLD = 4


class Why(NamedTuple):
    """A key that speaks for a handle: strand, hash, and how many copies inside and outside the handle have it."""

    strand: int
    key: int
    inside: int
    outside: int


class OddCopy(NamedTuple):
    """A copy shown with a handle but left out of its act by default, and the reasons, the gravest first."""

    copy: int
    reasons: tuple[Reason, ...]


class Handle(NamedTuple):
    """A set of copies that one act clears.

    `copies`: ids, ascending, with their `fits` (0 to 100 %); `odd`: ascending by copy; `seed` and `evidence`: why the
    copies belong together. `weights` (key hash: strand and weight) and `limits` are for letting new copies join.
    """

    rank: Rank
    copies: array[int]
    fits: bytes
    odd: tuple[OddCopy, ...]
    seed: Why
    evidence: tuple[Why, ...]
    weights: dict[int, tuple[int, float]]
    limits: Limits

    @property
    def answers(self) -> tuple[int, ...]:
        """The copies that are odd only because they are answers.

        If they are many, this is a campaign in stolen threads. By default no act takes them: good answers and targeted
        copies may be among them.
        """
        return tuple(one.copy for one in self.odd if one.reasons == (Reason.REPLY,))


class Grouping(NamedTuple):
    """The handles in the order of their acts; `rest`: copies that are in no handle and odd in none, ascending."""

    handles: tuple[Handle, ...]
    rest: array[int]


class Found(NamedTuple):
    """A handle as found: the number of its seed's key, its copies, and the weights of their keys."""

    seed: int
    sorted: Sorted
    heavy: Weights


def grouped(
    entries: Iterable[Entry], *, apart: Iterable[tuple[int, int]] = (), stop: Callable[[], None] = no_stop
) -> Grouping:
    """Group these copies into handles.

    `apart`: pairs of a copy that an operator took out and a copy that it must not be with; the first and copies like it
    are odd in the handle of the second. `stop` is called between steps and may raise to end the work.
    """
    material = gathered(entries, stop)
    handles, rest = handles_of(material, apart, stop, len(material.copies))
    return Grouping(tuple(sorted((one for one, _ in handles), key=lambda one: one.rank)), rest)


def handles_of(
    material: Material, apart: Iterable[tuple[int, int]], stop: Callable[[], None], total: int
) -> tuple[list[tuple[Handle, Found]], array[int]]:
    """Find the handles (each as Handle and Found), and the copies that are in none and odd in none.

    `total`: the number of all copies; `material` may be a sample of them.
    """
    found = _found(material, _Apart(material, apart), stop)
    taken = {row for one in found for row in one.sorted.rows}
    handles = []
    placed = set(taken)
    for one in found:
        odd = [each for each in one.sorted.odd if each.row not in placed]
        placed.update(each.row for each in odd)
        handles.append((_handle(material, one, odd, total), one))
    return handles, array("Q", (copy for row, copy in enumerate(material.copies) if row not in placed))


def _found(material: Material, apart: _Apart, stop: Callable[[], None]) -> list[Found]:
    seeder = Seeder(material)
    found = []
    for one in stolen(material, LEAST, apart.among, stop):
        found.append(Found(one.seed, one.sorted, one.heavy))
        seeder.take([*one.sorted.rows, *(each.row for each in one.sorted.odd)])
    while (seed := seeder.next(LEAST)) is not None:
        stop()
        begin = [row for row in material.postings[seed.key] if seeder.alive[row]]
        rows, heavy = grown(material, begin, seeder.alive, seeder.counts, seeder.remaining)
        if len(rows) < LEAST:
            seeder.spend(seed.key)
            continue
        parted = sorted_out(material, rows, heavy, apart.among(rows))
        # A copy that a flag keeps out of acts stays with this handle: no other handle is searched for it.
        settled = [*parted.rows, *(one.row for one in parted.odd if material.flags[one.row] & GATED)]
        if len(settled) < LEAST:
            seeder.spend(seed.key)
            continue
        found.append(Found(seed.key, parted, heavy))
        seeder.take(settled)
    return found


class _Apart:
    """The copies that operators took out, and those like them."""

    def __init__(self, material: Material, pairs: Iterable[tuple[int, int]]) -> None:
        place = {copy: row for row, copy in enumerate(material.copies)}
        outs: dict[int, set[int]] = {}
        for out, stays in pairs:
            if out in place and stays in place:
                outs.setdefault(place[stays], set()).add(place[out])
        postings = material.postings
        self._material = material
        self._taken = [
            (stays, rows, TakenOut(map(material.of, rows), material.of(stays), lambda key: len(postings[key])))
            for stays, rows in sorted(outs.items())
        ]

    def among(self, rows: Sequence[int]) -> set[int]:
        """Return those of `rows` that must not be with the others."""
        inside = set(rows)
        kept_out: set[int] = set()
        for stays, outs, taken in self._taken:
            if stays in inside and stays not in kept_out:
                kept_out |= outs & inside
                kept_out.update(row for row in rows if row != stays and taken.is_like(self._material.of(row)))
        return kept_out


def _tally(material: Material, rows: Sequence[int], odd: Sequence[int]) -> Tally:
    return Tally(
        copies=len(rows),
        odd=len(odd),
        answers=sum(bool(material.flags[row] & ANSWERS) for row in (*rows, *odd)),
        listed=sum(bool(material.flags[row] & Flags.LISTED) for row in rows),
        domains=len({material.domains[row] for row in rows}),
        senders=len({material.senders[row] for row in rows}),
        everyone=len({material.senders[row] for row in (*rows, *odd)}),
    )


def _handle(material: Material, found: Found, odd: Sequence[Odd], total: int) -> Handle:
    rows = found.sorted.rows
    inside = dict.fromkeys(found.heavy.of, 0)
    inside[found.seed] = 0
    for row in rows:
        for key in material.of(row):
            if key in inside:
                inside[key] += 1

    def why(key: int) -> Why:
        return Why(material.strand(key), material.hashes[key], inside[key], len(material.postings[key]) - inside[key])

    told: list[Why] = []
    for strand in range(3):
        # Most telling first: frequent inside, rare outside.
        keys = [key for key in found.heavy.of if material.strand(key) == strand and inside[key]]
        keys.sort(key=lambda key: (-inside[key] * found.heavy.of[key], material.hashes[key]))
        told += [why(key) for key in keys[:_TOLD]]
    return Handle(
        rank=rank(_tally(material, rows, [one.row for one in odd]), found.sorted, total),
        copies=array("Q", (material.copies[row] for row in rows)),
        fits=bytes(round(100 * fit) for fit in found.sorted.fits),
        odd=tuple(OddCopy(material.copies[one.row], one.reasons) for one in odd),
        seed=why(found.seed),
        evidence=tuple(told),
        weights={material.hashes[key]: (material.strand(key), weight) for key, weight in found.heavy.of.items()},
        limits=found.sorted.limits,
    )
