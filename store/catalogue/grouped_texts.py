"""Texts in groups, each one text with a line for every member: how compressed identifiers are searched.

A search costs about as much per text as per 100 bytes, so it looks through whole groups first, and then only through
the members of those in which it found something.
Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from store.catalogue.masks import only, places
from store.catalogue.plain_texts import PlainTexts, contains_ascii

#: Members of a group.
GROUP = 16
#: Texts that are put in groups at once.
_PART = 1 << 13
_END = "\n"
#: Groups in which a needle is looked for first: if most of them have it, looking through groups is a waste.
_SAMPLE = 256
_MOST = 0.5


def may_group(texts: pl.Series) -> bool:
    """Return whether the texts can be told apart in a group."""
    return not texts.str.contains(_END, literal=True).any()


def grouped(texts: pl.Series) -> pl.Series:
    """Return the groups of texts for which `may_group` holds. Made part by part: what a part needs is freed early."""
    parts = (texts.slice(start, _PART) for start in range(0, len(texts), _PART))
    return pl.concat([texts.head(0), *map(_grouped, parts)], rechunk=True)


def _grouped(texts: pl.Series) -> pl.Series:
    padded = texts.extend_constant("", -len(texts) % GROUP)
    return padded.reshape((-1, GROUP)).arr.join(_END)


class GroupedTexts:
    """The groups of `count` texts, which are searched in place, ignoring the case of ASCII letters."""

    def __init__(self, groups: pl.Series, count: int) -> None:
        """Take what `grouped` returned. Raises ValueError if these are not as many texts."""
        if len(groups) != -(-count // GROUP):
            raise ValueError("not the groups of identifiers")
        self._groups = groups
        self._count = count

    def plain(self) -> PlainTexts:
        """Return all texts."""
        none = pl.Series([], dtype=pl.String)
        return PlainTexts(_members(self._groups).head(self._count), pl.Series([], dtype=pl.UInt32), none)

    def gather(self, codes: pl.Series) -> pl.Series:
        """Return the text of each code."""
        numbers = codes // GROUP
        kept = numbers.unique().sort()
        return _members(self._groups[kept])[kept.search_sorted(numbers) * GROUP + codes % GROUP]

    def find_among(self, needles: Sequence[str], codes: pl.Series) -> pl.Series:
        """Return a mask by code: whether its text contains any of the needles."""
        return contains_ascii(self.gather(codes), needles)

    def contain(self, needles: Sequence[str], start: int, stop: int) -> pl.Series:
        """Return a mask of the texts from `start` to `stop` that contain any of the needles."""
        return self._contain(needles, pl.arange(len(self._groups), dtype=pl.UInt32, eager=True))[start:stop]

    def contain_among(self, needles: Sequence[str], mask: pl.Series) -> pl.Series:
        """Return a mask of the texts that contain any of the needles, given a mask of the only ones that may."""
        return self._contain(needles, (places(mask) // GROUP).unique().sort()) & mask

    def _contain(self, needles: Sequence[str], numbers: pl.Series) -> pl.Series:
        """Return a mask of the texts in these groups that contain any of the needles."""
        # The end of a member is in no text.
        needles = [needle for needle in needles if _END not in needle]
        groups = self._groups if len(numbers) == len(self._groups) else self._groups[numbers]
        if not needles or contains_ascii(groups.head(_SAMPLE), needles).sum() < _MOST * min(_SAMPLE, len(groups)):
            some = contains_ascii(groups, needles)
            numbers, groups = numbers.filter(some), groups.filter(some)
        found = places(contains_ascii(_members(groups), needles))
        return only(numbers[found // GROUP] * GROUP + found % GROUP, len(self._groups) * GROUP).head(self._count)


def _members(groups: pl.Series) -> pl.Series:
    return groups.str.split(_END).explode(empty_as_null=False) if len(groups) else groups
