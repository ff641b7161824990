"""The traits of many copies as compact arrays: what is grouped, without their texts.

A key that fewer than three copies have can join none, so it is dropped; the others get dense numbers, in strands one
after the other: those of the content first, then payload, then origin. What comes out does not depend on the order in
which copies were added.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import IntFlag
from itertools import pairwise
from typing import NamedTuple

from store.campaigns.traits import Traits

#: A key of fewer copies says nothing about a campaign.
_LEAST = 3
_STRANDS = ("content", "payload", "origin")
CONTENT, PAYLOAD, ORIGIN = range(len(_STRANDS))


class Flags(IntFlag):
    """What keeps a copy out of acts, or makes a handle a careful one.

    REPLY: it quotes or answers a message. CLAIMS: its subject says so, and nothing else. LISTED: it has the headers of
    a mailing list. KNOWN: its sender is known here, by what was let through or written to. ALIKE: its sender's domain
    only looks like a known or an own one.
    """

    NONE = 0
    REPLY = 1
    LISTED = 2
    KNOWN = 4
    ALIKE = 8
    CLAIMS = 16


class Entry(NamedTuple):
    """A copy to be grouped: its id, its keys of the three strands, its sender's address ("" if unknown), its flags."""

    copy: int
    content: Sequence[int]
    payload: Sequence[int]
    origin: Sequence[int]
    sender: str = ""
    flags: Flags = Flags.NONE

    @property
    def strands(self) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """The keys, by strand."""
        return self.content, self.payload, self.origin


class Material(NamedTuple):
    """Copies by row, and keys by dense number.

    `copies`: ids, ascending. `keys[starts[row]:starts[row + 1]]`: the numbers of the row's keys, ascending.
    `hashes`: the key of each number; `bounds`: where the strands begin and end among the numbers. `postings[number]`:
    the rows that have it, ascending. `senders`, `domains`: a number for each row, 0 where there is none;
    `domain_names[number]`: the domain; `flags`: of each row. `said`: how many keys the row's content has in all, those
    that are dropped too, 255 at most.
    """

    copies: array[int]
    starts: array[int]
    keys: array[int]
    hashes: array[int]
    bounds: tuple[int, int, int, int]
    postings: list[array[int]]
    senders: array[int]
    domains: array[int]
    domain_names: list[str]
    flags: bytes
    said: bytes

    def of(self, row: int) -> array[int]:
        """Return a row's key numbers."""
        return self.keys[self.starts[row] : self.starts[row + 1]]

    def strand(self, number: int) -> int:
        """CONTENT, PAYLOAD or ORIGIN: of a key number."""
        return (number >= self.bounds[1]) + (number >= self.bounds[2])


def no_stop() -> None:
    """Go on: what is called between the steps raises where the work is to be given up."""


def _frequent(entries: Sequence[Entry], strand: int) -> list[int]:
    """List a strand's keys that at least three copies have, ascending.

    Most keys occur once. A table of small counters finds those in two passes, so that no dictionary of all is made.
    """
    total = sum(len(one.strands[strand]) for one in entries)
    mask = (1 << max(total * 2, 1024).bit_length()) - 1
    counters = bytearray(mask + 1)
    for entry in entries:
        for key in entry.strands[strand]:
            slot = key & mask
            if counters[slot] < _LEAST:
                counters[slot] += 1
    counts: dict[int, int] = {}
    for entry in entries:
        for key in entry.strands[strand]:
            if counters[key & mask] == _LEAST:
                counts[key] = counts.get(key, 0) + 1
    return sorted(key for key, count in counts.items() if count >= _LEAST)


def domain_of(sender: str) -> str:
    """Return an address's domain, "" if it has none."""
    return sender.rpartition("@")[2] if "@" in sender else ""


def entry_of(copy: int, traits: Traits, flags: Flags = Flags.NONE) -> Entry:
    """Make the entry of a copy with these traits; `flags` are KNOWN and ALIKE, which do not follow from traits."""
    if traits.threaded:
        flags |= Flags.REPLY
    if traits.claims:
        flags |= Flags.CLAIMS
    if traits.listed:
        flags |= Flags.LISTED
    return Entry(copy, traits.content, traits.payload, traits.origin, traits.sender, flags)


def _numbered(names: Iterable[str]) -> tuple[array[int], list[str]]:
    numbers = {"": 0}
    rows = array("I", (numbers.setdefault(name, len(numbers)) for name in names))
    return rows, list(numbers)


def gathered(entries: Iterable[Entry], stop: Callable[[], None] = no_stop) -> Material:
    """Gather these copies (each id once) into arrays. Calls `stop` between the steps; it may raise."""
    ordered = sorted(entries, key=lambda one: one.copy)
    hashes = array("Q")
    bounds = [0]
    tables: list[dict[int, int]] = []
    for strand in range(len(_STRANDS)):
        stop()
        frequent = _frequent(ordered, strand)
        tables.append({key: number for number, key in enumerate(frequent, bounds[-1])})
        hashes.extend(frequent)
        bounds.append(len(hashes))
    starts, keys = array("I", (0,)), array("I")
    for entry in ordered:
        for strand, table in enumerate(tables):
            keys.extend(sorted({table[key] for key in entry.strands[strand] if key in table}))
        starts.append(len(keys))
    stop()
    domains, domain_names = _numbered(domain_of(one.sender) for one in ordered)
    return Material(
        copies=array("Q", (one.copy for one in ordered)),
        starts=starts,
        keys=keys,
        hashes=hashes,
        bounds=(bounds[0], bounds[1], bounds[2], bounds[3]),
        postings=_postings(starts, keys, len(hashes)),
        senders=_numbered(one.sender for one in ordered)[0],
        domains=domains,
        domain_names=domain_names,
        flags=bytes(one.flags for one in ordered),
        said=bytes(min(len(one.content), 255) for one in ordered),
    )


def _postings(starts: array[int], keys: array[int], numbers: int) -> list[array[int]]:
    postings = [array("I") for _ in range(numbers)]
    for row, (begin, end) in enumerate(pairwise(starts)):
        for key in keys[begin:end]:
            postings[key].append(row)
    return postings
