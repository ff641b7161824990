"""The second searched form of texts that mix scripts: in Latin letters. Few texts have one.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from store.catalogue.masks import contains_any
from store.terms.folding import mixes_in_a_word

_NOTHING = pl.Series([None], dtype=pl.String)


class LatinForms(NamedTuple):
    """A second searched form that few entries have: their codes (ascending) and those forms."""

    codes: pl.Series
    texts: pl.Series

    def before(self, code: int) -> int:
        """Return how many of the entries have a lower code."""
        return int(self.codes.search_sorted(code))

    def after(self, count: int, other: LatinForms) -> LatinForms:
        """Append the forms of a dictionary whose entries follow this one's `count` entries."""
        codes = pl.concat([self.codes, other.codes + count], rechunk=True)
        return LatinForms(codes, pl.concat([self.texts, other.texts], rechunk=True))

    def found(self, needles: Sequence[str], search: pl.Series, start: int, stop: int) -> pl.Series:
        """Return the codes (UInt32, from `start` to `stop`) of texts that contain any of the needles.

        That is in this form or, for needles that mix scripts, in the first one: `search`, by code.
        """
        if not len(self.codes):
            return self.codes
        part = slice(*(int(self.codes.search_sorted(code)) for code in (start, stop)))
        codes, found = self.codes[part], contains_any(self.texts[part], needles)
        if mixed := [needle for needle in needles if mixes_in_a_word(needle)]:
            found = found | contains_any(search[codes], mixed)
        return codes.filter(found)

    def of(self, codes: pl.Series) -> pl.Series:
        """Return the form of each code, or null."""
        if not len(self.codes):
            return pl.repeat(None, len(codes), dtype=pl.String, eager=True)
        places = self.codes.search_sorted(codes).clip(upper_bound=len(self.codes) - 1)
        return self.texts[places].zip_with(self.codes[places] == codes, _NOTHING)


def unmixed(needles: Sequence[str]) -> list[str]:
    """Leave out needles that mix scripts in a word: only texts that do so too contain them (`LatinForms.found`)."""
    return [needle for needle in needles if not mixes_in_a_word(needle)]
