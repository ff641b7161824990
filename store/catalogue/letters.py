"""Which texts contain each common character: answers the first letter typed, and narrows the search for the next ones.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import NamedTuple

import polars as pl

from store.catalogue.masks import all_are, first


class Letters(NamedTuple):
    """Masks of the first `covered` entries of a dictionary: by character, and of all that are not only ASCII."""

    covered: int
    masks: Mapping[str, pl.Series]
    beyond_ascii: pl.Series

    def mask(self, needles: Sequence[str]) -> pl.Series | None:
        """Return which entries contain any of the needles; None if that is not known."""
        if not needles or any(needle not in self.masks for needle in needles):
            return None
        return reduce(or_, (self.masks[needle] for needle in needles))

    def possible(self, needles: Sequence[str], count: int) -> pl.Series | None:
        """Return a mask of the only entries, of `count`, that may contain any of the needles; None if all may."""
        each = [self._with_all(needle) for needle in needles]
        found = [mask for mask in each if mask is not None]
        if not found or len(found) < len(each):
            return None
        mask = reduce(or_, found)
        if count <= self.covered:
            return first(mask, count)
        return pl.concat([mask, all_are(True, count - self.covered)], rechunk=True)

    def _with_all(self, needle: str) -> pl.Series | None:
        """Return a mask of the entries with all characters of the needle; None if nothing is known of them."""
        masks = [self.masks[letter] for letter in {*needle} if letter in self.masks]
        if any(letter not in self.masks and not letter.isascii() for letter in needle):
            masks.append(self.beyond_ascii)
        return reduce(and_, masks) if masks else None
