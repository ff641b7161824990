"""Finds the handles of very many copies: groups a sample, lets the others join, and repeats with the copies left over.

A tenth of a wave shows the same large handles as all of it. So if there are more copies than can be grouped at once, a
sample is drawn by their ids (the same copies give the same sample). The others join its handles as new copies do
(`store.campaigns.joining`); they are read one by one and never held together. Handles too small to show in the sample
are found in later rounds, where the sample is a larger part of the copies left.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from store.campaigns.grouping import Found, Grouping, Handle, OddCopy, Why, handles_of
from store.campaigns.joining import Joiner
from store.campaigns.material import Entry, Flags, Material, domain_of, gathered, no_stop
from store.campaigns.oddness import Reason, has_its_place, most_shown
from store.campaigns.order import ANSWERS, ENOUGH, Tally, rank
from store.campaigns.taken_out import TakenOut

#: The most copies grouped at once (more take more memory), and the size of a sample of more copies.
AT_ONCE, _DRAWN = 80_000, 50_000
#: The most rounds. Rounds also end after one that placed less than this share of the copies left; the others are in no
#: handle.
_ROUNDS, _WORTH = 6, 0.02
#: Copies read between two calls of `stop`.
_STEP = 1000
_MASK = (1 << 64) - 1

#: Reads the entries of copies, given ascending ids; in that order, without missing ones.
Read = Callable[[Sequence[int]], Iterable[Entry]]
Pairs = Sequence[tuple[int, int]]


def grouped_by_sample(
    ids: Iterable[int],
    read: Read,
    *,
    apart: Iterable[tuple[int, int]] = (),
    stop: Callable[[], None] = no_stop,
    at_once: int = AT_ONCE,
    drawn: int = _DRAWN,
) -> Grouping:
    """Find the handles as `grouped` does; of more than `at_once` copies by samples of `drawn` copies.

    `apart` and `stop` as in `grouped`. Outside a handle, its evidence counts the copies that were left when it was
    found.
    """
    left, pairs = array("Q", sorted(ids)), sorted(set(apart))
    total = len(left)
    members: list[_Member] = []
    last: list[Handle] = []
    for salt in range(_ROUNDS):
        if len(left) <= at_once:
            material = gathered(_stepped(read(left), stop), stop)
            found, left = handles_of(material, pairs, stop, total)
            last = [one for one, _ in found]
            break
        before = len(left)
        share = int(drawn / before * _MASK)
        chosen = array("Q", (copy for copy in left if _drawn(copy, salt) < share))
        material = gathered(_stepped(read(chosen), stop), stop)
        found, _ = handles_of(material, pairs, stop, total)
        these = [_Member(*one) for one in found]
        apart_of = _Apart(material, found, pairs, read)
        del material
        left = _joined(these, apart_of, _stepped(read(left), stop))
        members += these
        if before - len(left) < _WORTH * before:
            break
    handles, placed = _closed(members, last, total)
    rest = array("Q", (copy for copy in left if copy not in placed))
    return Grouping(tuple(sorted(handles, key=lambda one: one.rank)), rest)


def _stepped(entries: Iterable[Entry], stop: Callable[[], None]) -> Iterator[Entry]:
    for number, entry in enumerate(entries):
        if not number % _STEP:
            stop()
        yield entry


def _drawn(copy: int, salt: int) -> int:
    """Hash a copy's id to 64 bits, deterministic and evenly spread (splitmix64)."""
    mixed = (copy + (salt + 1) * 0x9E3779B97F4A7C15) & _MASK
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
    return mixed ^ (mixed >> 31)


class _Apart:
    """The copies that operators took out of the handles found in a sample."""

    def __init__(self, material: Material, found: Sequence[tuple[Handle, Found]], pairs: Pairs, read: Read) -> None:
        self._of: dict[int, list[tuple[int, set[int], TakenOut]]] = {}
        #: By key, how many copies of the sample have it; only keys that are compared.
        self._counts: dict[int, int] = {}
        if pairs:
            self._counts = dict(zip(material.hashes, map(len, material.postings), strict=True))
            self._read(pairs, read, Joiner([one for one, _ in found]))

    def _read(self, pairs: Pairs, read: Read, joiner: Joiner) -> None:
        named = {entry.copy: entry for entry in read(sorted({copy for pair in pairs for copy in pair}))}
        outs: dict[int, set[int]] = {}
        for out, stays in pairs:
            if out in named and stays in named:
                outs.setdefault(stays, set()).add(out)
        for stays, copies in outs.items():
            joined = joiner.join(named[stays])
            if joined is not None:
                keys = [self._keys(named[copy]) for copy in sorted(copies)]
                taken = TakenOut(keys, self._keys(named[stays]), lambda key: self._counts[key])
                self._of.setdefault(joined.handle, []).append((stays, copies, taken))

    def _keys(self, entry: Entry) -> set[int]:
        return {key for strand in entry.strands for key in strand if key in self._counts}

    def has(self, place: int, entry: Entry) -> bool:
        """Return True if the copy was taken out of the handle, or is like one that was."""
        return any(
            entry.copy in copies or (entry.copy != stays and taken.is_like(self._keys(entry)))
            for stays, copies, taken in self._of.get(place, ())
        )


class _Shown(NamedTuple):
    """An odd copy: its fit (0 to 100 %), its id, and what `Tally` counts."""

    fit: int
    copy: int
    reasons: tuple[Reason, ...]
    flags: int
    sender: str


class _Member:
    """Collects the copies that join one handle of a sample."""

    def __init__(self, handle: Handle, found: Found) -> None:
        self.handle, self.found = handle, found
        self.copies, self.fits = array("Q"), bytearray()
        #: Odd copies that stay with this handle, and those that a later handle may still take.
        self.settled: list[_Shown] = []
        self.odd: list[_Shown] = []
        self.answers = self.listed = 0
        self.domains: set[str] = set()
        self.senders: set[str] = set()
        #: By strand and key of the evidence: how many copies have it, inside the handle and in all.
        self.inside = {(why.strand, why.key): 0 for why in (handle.seed, *handle.evidence)}
        self.totals = dict(self.inside)

    def add(self, entry: Entry, fit: int) -> None:
        """Add a copy that fits."""
        self.copies.append(entry.copy)
        self.fits.append(fit)
        self.answers += bool(entry.flags & ANSWERS)
        self.listed += bool(entry.flags & Flags.LISTED)
        if len(self.domains) < ENOUGH:
            self.domains.add(domain_of(entry.sender))
        if len(self.senders) < ENOUGH:
            self.senders.add(entry.sender)

    def closed(self, placed: set[int], total: int) -> Handle:
        """Finish the handle.

        Odd copies in `placed` are shown elsewhere and left out; those shown here are added to it.
        """
        most = most_shown(len(self.copies) + len(self.settled) + len(self.odd))
        shown = [*self.settled, *(one for one in sorted(self.odd)[:most] if one.copy not in placed)]
        shown.sort(key=lambda one: one.copy)
        placed.update(one.copy for one in shown)
        tally = Tally(
            copies=len(self.copies),
            odd=len(shown),
            answers=self.answers + sum(bool(one.flags & ANSWERS) for one in shown),
            listed=self.listed,
            domains=len(self.domains),
            senders=len(self.senders),
            everyone=len(self.senders | {one.sender for one in shown}),
        )
        return self.handle._replace(
            rank=rank(tally, self.found.sorted, total),
            copies=self.copies,
            fits=bytes(self.fits),
            odd=tuple(OddCopy(one.copy, one.reasons) for one in shown),
            seed=self._why(self.handle.seed),
            evidence=tuple(map(self._why, self.handle.evidence)),
        )

    def _why(self, of: Why) -> Why:
        at = of.strand, of.key
        return Why(of.strand, of.key, self.inside[at], self.totals[at] - self.inside[at])


def _joined(members: Sequence[_Member], apart: _Apart, entries: Iterable[Entry]) -> array[int]:
    """Let copies join the handles of a sample. Returns the copies left for other handles, ascending."""
    joiner = Joiner([one.handle for one in members])
    telling: list[dict[int, list[_Member]]] = [{}, {}, {}]
    for one in members:
        for strand, key in one.inside:
            telling[strand].setdefault(key, []).append(one)
    left = array("Q")
    for entry in entries:
        told = [
            (strand, key) for strand, keys in enumerate(entry.strands) for key in telling[strand].keys() & set(keys)
        ]
        for at in told:
            for member in telling[at[0]][at[1]]:
                member.totals[at] += 1
        joined = joiner.join(entry)
        if joined is None:
            left.append(entry.copy)
            continue
        member, reasons = members[joined.handle], joined.reasons
        if apart.has(joined.handle, entry):
            reasons = (Reason.APART, *reasons)
        if not reasons:
            member.add(entry, joined.fit)
            for at in told:
                if at in member.inside:
                    member.inside[at] += 1
            continue
        shown = _Shown(joined.fit, entry.copy, reasons, entry.flags, entry.sender)
        if has_its_place(reasons):
            member.settled.append(shown)
        else:
            member.odd.append(shown)
            left.append(entry.copy)
    return left


def _closed(members: Sequence[_Member], last: Sequence[Handle], total: int) -> tuple[list[Handle], set[int]]:
    """Finish the handles in the order in which they were found.

    Each odd copy is shown in one; also returns all placed.
    """
    may_be = {shown.copy for one in members for shown in one.odd}
    placed = {copy for one in members for copy in one.copies if copy in may_be}
    placed |= {copy for one in last for copy in one.copies if copy in may_be}
    handles = [one.closed(placed, total) for one in members]
    for one in last:
        odd = tuple(each for each in one.odd if each.copy not in placed)
        placed.update(each.copy for each in odd)
        handles.append(one._replace(odd=odd))
    return [one for one in handles if one.copies or one.odd], placed
