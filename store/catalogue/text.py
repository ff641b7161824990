"""A text column of the catalogue: a dictionary of distinct texts, searched and ranked once for all rows.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter, OrderedDict
from collections.abc import Sequence
from functools import reduce
from operator import or_
from string import ascii_lowercase, digits
from typing import Self

import polars as pl

from store.catalogue.arrow import joined, written_anew
from store.catalogue.latin import LatinForms, unmixed
from store.catalogue.letters import Letters
from store.catalogue.masks import contains_any, first, how_many, only, places
from store.catalogue.ranking import between, one_of_each, ranked, widened
from store.catalogue.slices import by_slices
from store.filters.folding import NUL

_CACHED_MASKS = 24
#: Search only the previous (shorter) needle's matches if they are under this share of all texts.
_NARROW_BELOW = 0.5
#: Up to this many entries are searched at once: sharing them out takes longer.
_FEW = 100_000
#: From as many entries on, common letters are looked for before they are typed.
_PREPARED = 5_000
#: From this share of all texts on, those of some codes are searched in the order in which they are in memory.
_MANY_CODES = 1 / 16
#: Fewer entries are searched sooner than narrowed down.
_TINY = 1_000
_TAIL_LIMIT = 20_000
#: The characters that `prepare` looks for besides those in ASCII: the commonest of a sample.
_LETTERS, _SAMPLE = 60, 2_000
#: Entries whose sort keys are made at once.
_PART = 1 << 17
#: Entries copied at once: each is in memory three times meanwhile.
_FEW_COPIED = 1 << 15


class Lineage:
    """Caches shared by a dictionary and its extensions: match masks and ranks, each covering the first entries."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ranking = threading.Lock()
        #: By the needles, any of which the entries contain.
        self.masks: OrderedDict[tuple[str, ...], pl.Series] = OrderedDict()
        self.ranks: pl.Series | None = None
        self.letters: Letters | None = None


class Texts(ABC):
    """An append-only, immutable dictionary: row `r` of a frame has the text of the code `codes[r]`.

    After `extend` a text may occur twice, which only costs memory. Needles come from `store.filters.folding`.
    """

    def __init__(self, lineage: Lineage | None) -> None:
        self._lineage = lineage or Lineage()

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of entries."""

    @abstractmethod
    def extend(self, other: Self) -> Self:
        """Append another dictionary's entries; codes of this one stay valid."""

    @abstractmethod
    def gather(self, codes: pl.Series) -> pl.Series:
        """Return the text of each code."""

    @abstractmethod
    def find_among(self, needles: Sequence[str], codes: pl.Series) -> pl.Series:
        """Return a mask by code: whether its text contains any of the needles. Fast for few codes."""

    @abstractmethod
    def _scan(self, needles: Sequence[str], start: int) -> pl.Series:
        """Return a mask of the entries from `start` on that contain any of the needles."""

    @abstractmethod
    def _narrow(self, needles: Sequence[str], mask: pl.Series) -> pl.Series:
        """Do `_scan` from 0, given a mask of the only entries that may contain any of the needles."""

    @property
    def lineage(self) -> object:
        """A key shared by a dictionary and its extensions. Results cached under it cover the first entries."""
        return self._lineage

    def prepare(self) -> None:
        """Make the first searches fast: does work that takes up to a second per million entries, once."""
        return

    def find(self, *needles: str) -> pl.Series:
        """Return a mask of the entries that contain any of the needles. The masks of the latest needles are cached."""
        lineage = self._lineage
        with lineage.lock:
            known = lineage.masks.get(needles)
            wider = [
                mask for texts, mask in lineage.masks.items() if len(mask) >= len(self) and _implied(needles, texts)
            ]
        letters = lineage.letters
        if known is None and letters is not None:
            known = letters.mask(needles)
        if known is not None and len(known) >= len(self):
            return first(known, len(self))
        if known is not None:
            mask = pl.concat([known, self._scan(needles, len(known))], rechunk=True)
        else:
            if letters is not None and (possible := letters.possible(needles, len(self))) is not None:
                wider.append(possible)
            mask = self._among(needles, [first(mask, len(self)) for mask in wider])
        with lineage.lock:
            lineage.masks[needles] = mask
            lineage.masks.move_to_end(needles)
            while len(lineage.masks) > _CACHED_MASKS:
                lineage.masks.popitem(last=False)
        return mask

    def _among(self, needles: Sequence[str], wider: Sequence[pl.Series]) -> pl.Series:
        """Do `_scan` from 0, given masks, each of all entries that may contain any of the needles, and maybe others."""
        if not wider:
            return self._scan(needles, 0)
        count, narrowest = min(((how_many(mask), mask) for mask in wider), key=lambda one: one[0])
        if not count:
            return narrowest
        scan = count >= _NARROW_BELOW * len(self) or len(self) < _TINY
        mask = self._scan(needles, 0) if scan else self._narrow(needles, narrowest)
        # All of them: the same object, for which `LookUps` need not look up again.
        return narrowest if how_many(mask) == count else mask


class SlicedTexts(Texts):
    """Texts in memory, searched in slices."""

    @abstractmethod
    def contain(self, needles: Sequence[str], start: int, stop: int) -> pl.Series:
        """Return a mask of the entries from `start` to `stop` that contain any of the needles."""

    @abstractmethod
    def contain_among(self, needles: Sequence[str], mask: pl.Series, start: int) -> pl.Series:
        """Do `contain` from `start` on, given a mask of the only entries there that may contain any of the needles."""

    def _scan(self, needles: Sequence[str], start: int) -> pl.Series:
        return by_slices(lambda first, last: self.contain(needles, first, last), start, len(self))

    def _narrow(self, needles: Sequence[str], mask: pl.Series) -> pl.Series:
        if how_many(mask) < _FEW:
            return self.contain_among(needles, mask, 0)
        return by_slices(
            lambda start, stop: self.contain_among(needles, mask.slice(start, stop - start), start), 0, len(self)
        )


def _implied(needles: Sequence[str], texts: Sequence[str]) -> bool:
    """Return whether whatever contains any of the needles contains any of the texts."""
    return all(any(text in needle for text in texts) for needle in needles)


class RankedTexts(Texts):
    """Texts that have a sort order."""

    @abstractmethod
    def forms(self, codes: pl.Series) -> pl.Series:
        """Return the folded form of each code's text, without the Latin letters of texts that mix scripts."""

    @abstractmethod
    def forms_between(self, start: int, stop: int) -> pl.Series:
        """Return the folded form of each entry from `start` to `stop` (exclusive; at most to the end)."""

    def sorted_by(self, search: pl.Series) -> pl.Series:
        """Return the sort keys for these searched forms."""
        return search

    def _sort_keys(self, start: int) -> pl.Series:
        """Return the sort key of each entry from `start` on. Made part by part: what a part needs is freed early."""
        parts = (self.forms_between(first, first + _PART) for first in range(start, len(self), _PART))
        return pl.concat([_NOTHING.head(0), *map(self.sorted_by, parts)], rechunk=True)

    @property
    def ranked(self) -> bool:
        """Whether calling `ranks` is cheap now."""
        ranks = self._lineage.ranks
        return ranks is not None and len(self) - len(ranks) <= _TAIL_LIMIT

    def ranks(self) -> pl.Series:
        """Return each entry's rank in code point order of the sort keys (equal keys have equal ranks).

        Costs up to a second per million entries if `ranked` is False, and little afterwards.
        """
        lineage = self._lineage
        with lineage.ranking:
            if not self.ranked:
                lineage.ranks = ranked(self._sort_keys(0))
            ranks = lineage.ranks
        assert ranks is not None
        if len(ranks) >= len(self):
            return ranks.head(len(self))
        tail = self._ranks_between(one_of_each(ranks), self._sort_keys(len(ranks)))
        return pl.concat([widened(ranks), tail], rechunk=True)

    def _ranks_between(self, distinct: pl.Series, tail: pl.Series) -> pl.Series:
        """Return `widened` ranks for `tail` between those of the entries `distinct`, whose ranks are 1, 2, 3, …."""
        base = self.sorted_by(self.forms(distinct))
        place = base.search_sorted(tail, side="left")
        last = len(base) - 1
        equal = (place <= last) & (base[place.clip(upper_bound=last)] == tail) if len(base) else place < 0
        return between(place, equal, tail)


class Dictionary(RankedTexts, SlicedTexts):
    """Texts with their searched forms (`search`); if no form differs from its text, both are one series.

    Texts that mix scripts have a second form in Latin letters (`_odd`).
    """

    def __init__(
        self, texts: pl.Series, search: pl.Series, odd: LatinForms | None = None, lineage: Lineage | None = None
    ) -> None:
        super().__init__(lineage)
        self.texts = texts
        self.search = search
        self._odd = odd or LatinForms(pl.Series([], dtype=pl.UInt32), pl.Series([], dtype=pl.String))

    @classmethod
    def of(cls, texts: pl.Series, folded: pl.Series) -> Self:
        """Make a dictionary of texts and their `searched` forms; null where form and text are equal."""
        if folded.null_count() == len(folded):
            return cls(texts, texts)
        odd = places(folded.str.contains(NUL, literal=True).fill_null(False))
        if not len(odd):
            return cls(texts, folded.zip_with(folded.is_not_null(), texts))
        both = folded[odd].str.split_exact(NUL, 1).struct
        search = folded.scatter(odd, both.field("field_0"))
        return cls(texts, search.zip_with(search.is_not_null(), texts), LatinForms(odd, both.field("field_1")))

    @classmethod
    def of_columns(cls, searched: pl.DataFrame, shown: pl.Series | None) -> Self:
        """Rebuild a dictionary from its `columns`. Without `shown` it cannot be `gather`ed."""
        search, odd = searched.get_column("search"), None
        if "latin" in searched.columns:
            latin = searched.get_column("latin")
            odd = LatinForms(places(latin.is_not_null()), latin.drop_nulls())
        if shown is None or shown.null_count() == len(shown):
            return cls(search, search, odd)
        return cls(shown.zip_with(shown.is_not_null(), search), search, odd)

    def columns(self, codes: pl.Series) -> tuple[pl.DataFrame, pl.Series]:
        """Return the arguments of `of_columns` for these codes: the searched forms, and the texts that differ."""
        texts, search = self.texts[codes], self.search[codes]
        searched, latin = pl.DataFrame({"search": search}), self._odd.of(codes)
        if latin.null_count() < len(latin):
            searched = searched.with_columns(latin=latin)
        return searched, texts.zip_with(texts != search, _NOTHING).alias("shown")

    def head(self, count: int) -> Self:
        """Make a dictionary of the first entries, which shares their memory."""
        search, found = self.search.head(count), LatinForms(*(each[: self._odd.before(count)] for each in self._odd))
        return type(self)(search if self.search is self.texts else self.texts.head(count), search, found)

    def picked(self, codes: pl.Series) -> Self:
        """Make a dictionary of the entries with these codes, in freshly allocated memory."""
        found = self.of_columns(*self.columns(codes.head(0)))
        for start in range(0, len(codes), _FEW_COPIED):
            searched, shown = self.columns(codes.slice(start, _FEW_COPIED))
            found = found.extend(self.of_columns(written_anew(searched), written_anew(shown.to_frame()).to_series()))
        return found

    def extend(self, other: Self) -> Self:
        odd = self._odd.after(len(self), other._odd)
        texts = joined(self.texts, other.texts)
        search = texts if self._is_plain and other._is_plain else joined(self.search, other.search)
        return type(self)(texts, search, odd, self._lineage)

    @property
    def _is_plain(self) -> bool:
        """Whether no form differs from its text, as far as that is known."""
        return self.search is self.texts or not len(self)

    def __len__(self) -> int:
        return len(self.texts)

    def gather(self, codes: pl.Series) -> pl.Series:
        return self.texts[codes]

    def differ(self, codes: pl.Series) -> pl.Series:
        """Return a mask by code: whether its entry differs, in its text or a searched form, from the code's before."""
        columns = self.texts[codes], self.search[codes], self._odd.of(codes)
        return reduce(or_, (column.ne_missing(column.shift(1)) for column in columns))

    def equal(self, codes: pl.Series, other: Dictionary, codes_there: pl.Series) -> pl.Series:
        """Return a mask: whether the entry of each code equals that of another dictionary's code."""
        same = self.texts[codes] == other.texts[codes_there]
        if not (self._is_plain and other._is_plain):
            same = same & (self.search[codes] == other.search[codes_there])
        if len(self._odd.codes) or len(other._odd.codes):
            same = same & self._odd.of(codes).eq_missing(other._odd.of(codes_there))
        return same

    def parts(self, codes: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return the arguments of `of` for these codes."""
        texts, search = self.texts[codes], self.search[codes]
        folded = search.zip_with(search != texts, _NOTHING)
        if not len(self._odd.codes):
            return texts, folded
        latin = self._odd.of(codes)
        return texts, (search + NUL + latin).zip_with(latin.is_not_null(), folded)

    def find_among(self, needles: Sequence[str], codes: pl.Series) -> pl.Series:
        if len(codes) > _MANY_CODES * len(self):
            return self._narrow(needles, only(codes, len(self)))[codes]
        odd = self._odd.found(needles, self.search, 0, len(self))
        found = contains_any(self.search[codes], unmixed(needles))
        return found | codes.is_in(odd.implode()) if len(odd) else found

    def contain(self, needles: Sequence[str], start: int, stop: int) -> pl.Series:
        odd = self._odd.found(needles, self.search, start, stop)
        found = contains_any(self.search.slice(start, stop - start), unmixed(needles))
        return found.rechunk().scatter(odd - start, True) if len(odd) else found

    def contain_among(self, needles: Sequence[str], mask: pl.Series, start: int) -> pl.Series:
        odd = self._odd.found(needles, self.search, start, start + len(mask))
        found = contains_any(self.search.slice(start, len(mask)).filter(mask), unmixed(needles))
        mask = only(places(mask).filter(found), len(mask))
        return mask.scatter(odd - start, True) if len(odd) else mask

    def forms(self, codes: pl.Series) -> pl.Series:
        return self.search[codes]

    def forms_between(self, start: int, stop: int) -> pl.Series:
        return self.search[start:stop]

    def prepare(self) -> None:
        """Look for each common character in all texts, because the first letter typed is one of them."""
        known = self._lineage.letters
        if len(self) < _PREPARED or (known is not None and len(self) - known.covered <= _TAIL_LIMIT):
            return
        sample = self.search.gather_every(max(1, len(self) // _SAMPLE))
        common = Counter(letter for text in sample.to_list() for letter in {*text}).most_common(_LETTERS)
        letters = {*ascii_lowercase, *digits, *(letter for letter, _ in common)}
        beyond = self.search.str.len_bytes() != self.search.str.len_chars()
        masks = {letter: self._scan((letter,), 0) for letter in sorted(letters)}
        self._lineage.letters = Letters(len(self), masks, beyond.rechunk())


_NOTHING = pl.Series([None], dtype=pl.String)
