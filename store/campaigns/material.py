"""The keys of many copies as compact arrays, without their texts: the input of grouping.

A key that fewer than three copies have cannot connect copies, so it is dropped. The others get dense numbers, strand by
strand: content, payload, origin. The result does not depend on the order in which copies are added.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import IntFlag
from itertools import pairwise
from typing import NamedTuple

from store.campaigns.traits import Traits

#: Keys of fewer copies are dropped.
_LEAST = 3
_STRANDS = ("content", "payload", "origin")
CONTENT, PAYLOAD, ORIGIN = range(len(_STRANDS))


class Flags(IntFlag):
    """Properties that keep a copy out of acts, or make a handle a careful one.

    REPLY: the copy quotes or answers a message. CLAIMS: only its subject looks like an answer's. LISTED: it has the
    headers of a mailing list. KNOWN: mail of its sender was let through here before, or was written to. ALIKE: its
    sender's domain looks like a known or an own one.
    """

    NONE = 0
    REPLY = 1
    LISTED = 2
    KNOWN = 4
    ALIKE = 8
    CLAIMS = 16


class Entry(NamedTuple):
    """A copy to be grouped: id, keys by strand, sender's address ("" if unknown), flags."""

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
    """Copies by row and keys by number, as arrays.

    `copies`: ids, ascending. `keys[starts[row]:starts[row + 1]]`: the numbers of the row's keys, ascending. `hashes`:
    by number, the key; `bounds`: where each strand begins and ends among the numbers. `postings[number]`: the rows that
    have the key, ascending. `senders`, `domains`: by row, a number, 0 if unknown; `domain_names[number]`: the domain;
    `flags`: by row. `said`: by row, the number of content keys including dropped ones, at most 255.
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
        """Return the strand (CONTENT, PAYLOAD or ORIGIN) of a key number."""
        return (number >= self.bounds[1]) + (number >= self.bounds[2])


def no_stop() -> None:
    """Do nothing: the default for `stop`, which is called between steps and raises to end the work."""


def _frequent(entries: Sequence[Entry], strand: int) -> list[int]:
    """List a strand's keys that at least `_LEAST` copies have, ascending.

    Most keys occur once. A first pass over a table of small counters excludes them, which saves a dictionary of all
    keys.
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
    """Return the domain of an address; "" if it has none."""
    return sender.rpartition("@")[2] if "@" in sender else ""


def entry_of(copy: int, traits: Traits, flags: Flags = Flags.NONE) -> Entry:
    """Make the entry of a copy from its traits; `flags`: KNOWN and ALIKE, which traits cannot tell."""
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
    """Put these copies (each id once) into arrays. `stop` is called between steps; it may raise."""
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
