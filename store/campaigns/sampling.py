"""The handles of very many copies: found in a sample, joined by all, and found again in what is left.

A tenth of a wave shows the same large handles as all of it. So of more copies than are grouped at once some are drawn,
by their ids alone: the same copies give the same handles. All others join what is found in those by the scores that
`store.campaigns.joining` joins new copies by, read one after the other and never held together. Handles too small to
show in the sample are found in what is left, of which a larger part is drawn then.
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

#: Copies that are grouped at once: more take more memory. Copies that are drawn of more.
AT_ONCE, _DRAWN = 80_000, 50_000
#: After so many rounds, or where one placed under this part of what there was, what is left is in no handle.
_ROUNDS, _WORTH = 6, 0.02
#: Copies between two steps.
_STEP = 1000
_MASK = (1 << 64) - 1

#: Reads copies, given ascending ids: those that are there, in that order.
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
    """Find the handles as `grouped` does, or by samples of `drawn` copies if there are more than `at_once`.

    `apart` and `stop` as in `grouped`. What the evidence of a handle counts outside are the copies that were left when
    it was found.
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
    """Hash a copy's id to 64 bits, the same each time and evenly spread (splitmix64)."""
    mixed = (copy + (salt + 1) * 0x9E3779B97F4A7C15) & _MASK
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & _MASK
    return mixed ^ (mixed >> 31)


class _Apart:
    """What operators took out of the handles that were found in a sample."""

    def __init__(self, material: Material, found: Sequence[tuple[Handle, Found]], pairs: Pairs, read: Read) -> None:
        self._of: dict[int, list[tuple[int, set[int], TakenOut]]] = {}
        #: How many copies of the sample have each key that is worth looking at.
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
    """An odd copy: how well it fits, its id, and what is counted of it."""

    fit: int
    copy: int
    reasons: tuple[Reason, ...]
    flags: int
    sender: str


class _Member:
    """What is gathered of one handle of a sample."""

    def __init__(self, handle: Handle, found: Found) -> None:
        self.handle, self.found = handle, found
        self.copies, self.fits = array("Q"), bytearray()
        #: Odd copies that have their place here, and others, which may have one in a later handle.
        self.settled: list[_Shown] = []
        self.odd: list[_Shown] = []
        self.answers = self.listed = 0
        self.domains: set[str] = set()
        self.senders: set[str] = set()
        #: Of what the evidence tells of, by strand and key: the copies that have it, here and in all.
        self.inside = {(why.strand, why.key): 0 for why in (handle.seed, *handle.evidence)}
        self.totals = dict(self.inside)

    def add(self, entry: Entry, fit: int) -> None:
        """Take a copy in that fits."""
        self.copies.append(entry.copy)
        self.fits.append(fit)
        self.answers += bool(entry.flags & ANSWERS)
        self.listed += bool(entry.flags & Flags.LISTED)
        if len(self.domains) < ENOUGH:
            self.domains.add(domain_of(entry.sender))
        if len(self.senders) < ENOUGH:
            self.senders.add(entry.sender)

    def closed(self, placed: set[int], total: int) -> Handle:
        """Finish the handle without showing what is `placed` elsewhere; what it shows is placed then."""
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
    """Let copies join the handles of a sample; returns those that are left for others, ascending."""
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
    """Finish the handles in the order in which they were found, each odd copy in one; return the odd copies too."""
    may_be = {shown.copy for one in members for shown in one.odd}
    placed = {copy for one in members for copy in one.copies if copy in may_be}
    placed |= {copy for one in last for copy in one.copies if copy in may_be}
    handles = [one.closed(placed, total) for one in members]
    for one in last:
        odd = tuple(each for each in one.odd if each.copy not in placed)
        placed.update(each.copy for each in odd)
        handles.append(one._replace(odd=odd))
    return [one for one in handles if one.copies or one.odd], placed
