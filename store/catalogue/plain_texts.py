"""Texts that are nearly all ASCII, without a second copy in lower case.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

import polars as pl

from store.catalogue.arrow import joined
from store.catalogue.masks import contains_any, only, places
from store.catalogue.text import Lineage, SlicedTexts

_NOTHING = pl.Series([None], dtype=pl.String)


class PlainTexts(SlicedTexts):
    """Texts of which those in ASCII are searched in place, ignoring case.

    The others are `odd`: these are their codes (ascending), and `odd_search` are their searched forms, as returned by
    `store.filters.folding.searched`.
    """

    def __init__(self, texts: pl.Series, odd: pl.Series, odd_search: pl.Series, lineage: Lineage | None = None) -> None:
        super().__init__(lineage)
        self.texts = texts
        self.odd = odd
        self.odd_search = odd_search

    @classmethod
    def of(cls, texts: pl.Series, folded: pl.Series) -> Self:
        """Make a dictionary of texts and their searched forms; null for those that are searched in place."""
        odd = places(folded.is_not_null())
        return cls(texts, odd, folded[odd])

    def extend(self, other: Self) -> Self:
        """Append another dictionary's entries; codes of this one stay valid."""
        odd = joined(self.odd, other.odd + len(self))
        return type(self)(
            joined(self.texts, other.texts), odd, joined(self.odd_search, other.odd_search), self._lineage
        )

    def parts(self, codes: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return the arguments of `of` for these codes."""
        return self.texts[codes], self._odd_forms(codes)

    def _odd_forms(self, codes: pl.Series) -> pl.Series:
        """Return the searched form of each code, null for those that are searched in place."""
        if not len(self.odd):
            return pl.repeat(None, len(codes), dtype=pl.String, eager=True)
        at = self.odd.search_sorted(codes).clip(upper_bound=len(self.odd) - 1)
        return self.odd_search[at].zip_with(self.odd[at] == codes, _NOTHING)

    def gather(self, codes: pl.Series) -> pl.Series:
        return self.texts[codes]

    def find_among(self, needles: Sequence[str], codes: pl.Series) -> pl.Series:
        found = contains_ascii(self.texts[codes], needles)
        odd = self._odd_forms(codes)
        return contains_any(odd, needles).zip_with(odd.is_not_null(), found) if odd.count() else found

    def contain(self, needles: Sequence[str], start: int, stop: int) -> pl.Series:
        mask = contains_ascii(self.texts.slice(start, stop - start), needles)
        return self._with_odd(mask, needles, start)

    def contain_among(self, needles: Sequence[str], mask: pl.Series, start: int) -> pl.Series:
        found = places(mask).filter(contains_ascii(self.texts.slice(start, len(mask)).filter(mask), needles))
        return self._with_odd(only(found, len(mask)), needles, start)

    def _with_odd(self, mask: pl.Series, needles: Sequence[str], start: int) -> pl.Series:
        """Correct a mask of the entries from `start` on for the odd ones, which are not searched in place."""
        if not len(self.odd):
            return mask
        first, last = (int(self.odd.search_sorted(code)) for code in (start, start + len(mask)))
        if first == last:
            return mask
        found = contains_any(self.odd_search[first:last], needles)
        return mask.rechunk().scatter(self.odd[first:last] - start, found)

    def __len__(self) -> int:
        return len(self.texts)


def contains_ascii(texts: pl.Series, needles: Sequence[str]) -> pl.Series:
    plain = [needle for needle in needles if needle.isascii()]
    if all(needle.lower() == needle.upper() for needle in plain):
        return contains_any(texts, plain)
    return texts.str.contains(f"(?i-u){'|'.join(map(re.escape, plain))}")
