"""Finds the texts that a growing frame has already, while copies are loaded: each frame brings its own.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import polars as pl

from store.catalogue.identifiers import Identifiers
from store.catalogue.masks import all_are, places
from store.catalogue.senders import Senders
from store.catalogue.text import Dictionary, Texts

_BITS = 0xFFFF_FFFF
_NO_CODES = pl.Series([], dtype=pl.UInt32)
#: A level of hashes has at least this many times as many as the next one.
_FEWER = 8


class Repeats:
    """What a frame's texts are, by hash. Knows only those that were added by `extend`."""

    def __init__(self) -> None:
        #: By column or part of one.
        self.known: dict[str, _Known] = {}

    def extend(self, name: str, words: Texts, others: Texts) -> tuple[Texts, pl.Series]:
        """Append to `words`, the texts of a column, those of the `others` that are not known.

        Returns the texts, and the code of each of the others in them.
        """
        if isinstance(words, Dictionary) and isinstance(others, Dictionary):
            return self._extended(name, words, others)
        if isinstance(words, Senders) and isinstance(others, Senders):
            parts, codes = [], []
            for number, ((mine, _), (theirs, code)) in enumerate(zip(words.columns(), others.columns(), strict=True)):
                part, moved = self._extended(f"{name} {number}", mine, theirs)
                parts.append(part)
                codes.append(moved[code])
            return words.extended(parts, codes), _after(words, others)
        if isinstance(others, Identifiers):
            others = others.opened()
        return words.extend(others), _after(words, others)

    def _extended(self, name: str, words: Dictionary, others: Dictionary) -> tuple[Dictionary, pl.Series]:
        known = self.known.get(name)
        # More are known than there are, if a frame that they were added to was given up.
        if known is None or known.lineage is not words.lineage or known.until > len(words):
            known = self.known[name] = _Known(words.lineage)
        hashes = _hashes(others)
        codes, fresh = known.codes(hashes, words, others)
        made = words.extend(others if len(fresh) == len(others) else others.picked(fresh))
        new = pl.arange(len(words), len(made), dtype=pl.UInt32, eager=True)
        known.add(hashes[fresh], new)
        return made, codes.scatter(fresh, new)


class _Known:
    """Codes of a dictionary's entries, in order of their hashes. Different entries may have the same hash."""

    def __init__(self, lineage: object) -> None:
        self.lineage = lineage
        #: The number of entries when some were noted last.
        self.until = 0
        #: Each has far fewer than the one before it, so that adding some copies few.
        self._levels: list[pl.DataFrame] = []

    def codes(self, hashes: pl.Series, words: Dictionary, others: Dictionary) -> tuple[pl.Series, pl.Series]:
        """Return for each of the others the code of the same entry, and the positions of those without (code 0)."""
        positions, codes = [_NO_CODES], [_NO_CODES]
        order = hashes.arg_sort()
        ordered = hashes[order]
        for level in self._levels:
            known = level.get_column("hash")
            at = known.search_sorted(ordered).clip(upper_bound=len(known) - 1)
            alike = known[at] == ordered
            if alike.any():
                mine, theirs = order.filter(alike), level.get_column("code")[at.filter(alike)]
                same = others.equal(mine, words, theirs)
                positions.append(mine.filter(same))
                codes.append(theirs.filter(same))
        found = pl.concat(positions)
        made = pl.repeat(0, len(others), dtype=pl.UInt32, eager=True).scatter(found, pl.concat(codes))
        return made, places(all_are(True, len(others)).scatter(found, False))

    def add(self, hashes: pl.Series, codes: pl.Series) -> None:
        """Note that entries with these hashes have these codes now."""
        if not len(codes):
            return
        self.until = int(codes[-1]) + 1
        last = pl.DataFrame({"hash": hashes, "code": codes}).sort("hash")
        while self._levels and len(last) * _FEWER > len(self._levels[-1]):
            last = self._levels.pop().merge_sorted(last, "hash").rechunk()
        self._levels.append(last)


def _hashes(words: Dictionary) -> pl.Series:
    """Return a hash of each entry, of 32 bits: that they are so few costs some texts that are there twice."""
    return ((words.texts.hash(0) ^ words.search.hash(1)) & _BITS).cast(pl.UInt32)


def _after(words: Texts, others: Texts) -> pl.Series:
    return pl.arange(len(words), len(words) + len(others), dtype=pl.UInt32, eager=True)
