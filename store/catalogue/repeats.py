"""Finds the texts that a growing frame has already, while copies are loaded: each frame brings its own.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import polars as pl

from store.catalogue.identifiers import Identifiers
from store.catalogue.senders import Senders
from store.catalogue.text import Dictionary, Texts

_BITS = 0xFFFF_FFFF


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
                part, places = self._extended(f"{name} {number}", mine, theirs)
                parts.append(part)
                codes.append(places[code])
            return words.extended(parts, codes), _after(words, others)
        if isinstance(others, Identifiers):
            others = others.opened()
        return words.extend(others), _after(words, others)

    def _extended(self, name: str, words: Dictionary, others: Dictionary) -> tuple[Dictionary, pl.Series]:
        known = self.known.get(name)
        if known is None or known.lineage is not words.lineage:
            known = self.known[name] = _Known(words.lineage)
        codes, fresh = known.codes(words, others)
        made = words.extend(others if len(fresh) == len(others) else others.picked(fresh))
        places = pl.arange(len(words), len(made), dtype=pl.UInt32, eager=True)
        known.add(others, fresh, places)
        return made, codes.scatter(fresh, places)


class _Known:
    """Codes of a dictionary's entries, in order of their hashes. Different entries may have the same hash."""

    def __init__(self, lineage: object) -> None:
        self.lineage = lineage
        self._entries = _hashed(pl.Series([], dtype=pl.UInt32), pl.Series([], dtype=pl.UInt32))

    def codes(self, words: Dictionary, others: Dictionary) -> tuple[pl.Series, pl.Series]:
        """Return for each of the others the code of the same entry, and the positions of those without (code 0)."""
        none = pl.repeat(0, len(others), dtype=pl.UInt32, eager=True)
        if not self._entries.height or not len(others):
            return none, pl.arange(len(others), dtype=pl.UInt32, eager=True)
        hashes, known = _hashes(others), self._entries.get_column("hash")
        order = hashes.arg_sort()
        ordered = hashes[order]
        at = known.search_sorted(ordered).clip(upper_bound=len(known) - 1)
        alike = known[at] == ordered
        order, codes = order.filter(alike), self._entries.get_column("code")[at.filter(alike)]
        same = others.equal(order, words, codes)
        order, codes = order.filter(same), codes.filter(same)
        fresh = pl.repeat(True, len(others), dtype=pl.Boolean, eager=True).scatter(order, False)
        return none.scatter(order, codes), pl.arange(len(others), dtype=pl.UInt32, eager=True).filter(fresh)

    def add(self, others: Dictionary, fresh: pl.Series, places: pl.Series) -> None:
        """Note that these of the others have these codes now."""
        new = _hashed(_hashes(others)[fresh], places).sort("hash")
        self._entries = self._entries.merge_sorted(new, "hash").rechunk()


def _hashed(hashes: pl.Series, codes: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"hash": hashes, "code": codes})


def _hashes(words: Dictionary) -> pl.Series:
    """Return a hash of each entry, of 32 bits: that they are so few costs some texts that are there twice."""
    return ((words.texts.hash(0) ^ words.search.hash(1)) & _BITS).cast(pl.UInt32)


def _after(words: Texts, others: Texts) -> pl.Series:
    return pl.arange(len(words), len(words) + len(others), dtype=pl.UInt32, eager=True)
