"""From fields of the catalogue, held in parts that repeat: a name, the part of the address up to its @, and the rest.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple, Self

import polars as pl

from store.catalogue.arrow import joined
from store.catalogue.latin import unmixed
from store.catalogue.lookup import LookUps, Masks
from store.catalogue.masks import all_are, contains_any, places
from store.catalogue.ranking import between
from store.catalogue.text import Dictionary, Lineage, RankedTexts
from store.filters.folding import NUL
from store.terms.sender import PLAIN, PLAIN_FIRST, address_first

PARTS = ("head", "local", "tail")
#: Head, local part and tail, of which the field is the concatenation. The head is empty or ends with the last `<`, the
#: local part ends with the last `@`. A field without an address is a head.
_SHAPE = r"(?s)^(.*<)?([^<@]*@)([^<@]*)$"
#: Up to this many new senders are ranked by a binary search, all in step.
_FEW_NEW = 5_000


class _Parted(NamedTuple):
    """Where a needle lies if it is not in one part: the end of the head, all or the beginning or the end of the
    local part, the beginning of the tail. None: the needle does not reach into that part.
    """

    head: str | None
    local: str
    tail: str | None

    def masks(self, parts: Sequence[Dictionary]) -> Masks:
        """Return by part which entries fit; None: all."""
        head, local, tail = (part.search for part in parts)
        at_head = None if self.head is None else head.str.ends_with(self.head)
        at_tail = None if self.tail is None else tail.str.starts_with(self.tail)
        if self.head is None:
            return at_head, local.str.ends_with(self.local), at_tail
        return at_head, local.str.starts_with(self.local) if self.tail is None else local == self.local, at_tail


def _parted(needle: str) -> Iterator[_Parted]:
    """Yield all ways in which a needle may lie across parts."""
    end = len(needle)
    if 0 < (local := needle.rfind("<") + 1) < end:
        yield _Parted(needle[:local], needle[local:], None)
    if 0 < (tail := needle.rfind("@") + 1) < end:
        yield _Parted(None, needle[:tail], needle[tail:])
        if (local := needle.rfind("<", 0, tail) + 1) > 0:
            yield _Parted(needle[:local], needle[local:tail], needle[tail:])


def _parted_at_all(needle: str) -> bool:
    return next(_parted(needle), None) is not None


def _found_among(part: Dictionary, entries: pl.Series, needles: Sequence[str], codes: pl.Series) -> pl.Series | None:
    """Return a mask by code: whether the part of the entry contains any of the needles. None: no part does."""
    if len(part) > len(codes):
        return part.find_among(needles, entries[codes])
    found = part.find(*needles)
    return found[entries[codes]] if found.any() else None


class Senders(RankedTexts):
    """From fields: searched as written in the message, sorted by address, as the list shows them.

    `codes`: by entry, the code of each of the three `parts`.
    """

    def __init__(self, parts: Sequence[Dictionary], codes: Sequence[pl.Series], lineage: Lineage | None = None) -> None:
        super().__init__(lineage)
        self.parts = tuple(parts)
        self.codes = tuple(codes)
        self._look_ups = LookUps(self.codes)

    @classmethod
    def of(cls, texts: pl.Series, folded: pl.Series) -> Self:
        """Make a dictionary of texts and their `searched` forms; null where form and text are equal."""
        search = folded.zip_with(folded.is_not_null(), texts)
        shown, forms = (series.str.extract_groups(_SHAPE).struct.unnest() for series in (texts, search))
        # A form with Latin letters belongs to the whole text.
        taken = shown.to_series(1).is_not_null() & forms.to_series(1).is_not_null()
        taken = taken & ~search.str.contains(NUL, literal=True)
        parts, codes = [], []
        for number in range(len(PARTS)):
            whole, whole_form = (texts, search) if not number else (_EMPTY, _EMPTY)
            text = shown.to_series(number).fill_null("").zip_with(taken, whole)
            form = forms.to_series(number).fill_null("").zip_with(taken, whole_form)
            part, code = _numbered(text, form)
            parts.append(part)
            codes.append(code)
        return cls(parts, codes)

    @classmethod
    def of_section(cls, read: pl.DataFrame) -> Self:
        """Make a dictionary of what `sections` wrote: some codes, or some entries of one part. Raises ValueError."""
        parts = {name: Dictionary(_EMPTY.head(0), _EMPTY.head(0)) for name in PARTS}
        codes = {name: pl.Series([], dtype=pl.UInt32) for name in PARTS}
        if "folded" in read.columns:
            name = read.columns[0]
            if name not in parts:
                raise ValueError(f"there is no part {name}")
            parts[name] = Dictionary.of(read.get_column(name), read.get_column("folded"))
        else:
            codes = {name: read.get_column(name) for name in PARTS}
        return cls([*parts.values()], [*codes.values()])

    def sections(self, used: pl.Series, length: int) -> Iterator[pl.DataFrame]:
        """Yield the entries `used` for `of_section`, each with at most `length` rows, in as many frames as `count`."""
        codes, kept = [], []
        for part, code in zip(self.parts, self.codes, strict=True):
            among = code[used]
            numbers = among.unique().sort()
            kept.append(numbers)
            each = pl.arange(len(numbers), dtype=pl.UInt32, eager=True)
            codes.append(pl.repeat(0, len(part), dtype=pl.UInt32, eager=True).scatter(numbers, each)[among])
        for start in range(0, len(self), length):
            yield pl.DataFrame({name: code.slice(start, length) for name, code in zip(PARTS, codes, strict=True)})
        for name, part, numbers in zip(PARTS, self.parts, kept, strict=True):
            for start in range(0, len(part), length):
                texts, folded = part.parts(numbers.slice(start, length))
                yield pl.DataFrame({name: texts, "folded": folded})

    def count(self, length: int) -> int:
        """Return the number of frames that `sections` yields."""
        return sum(-(-len(each) // length) for each in (self, *self.parts))

    @property
    def fits(self) -> bool:
        """Whether every code has an entry."""
        lengths = {len(code) for code in self.codes}
        return len(lengths) == 1 and all(
            code.dtype == pl.UInt32 and not code.null_count() and (code < len(part)).all()
            for part, code in zip(self.parts, self.codes, strict=True)
        )

    def extend(self, other: Self) -> Self:
        parts = [mine.extend(theirs) for mine, theirs in zip(self.parts, other.parts, strict=True)]
        return self.extended(
            parts, [_moved(theirs, len(part)) for part, theirs in zip(self.parts, other.codes, strict=True)]
        )

    def extended(self, parts: Sequence[Dictionary], codes: Sequence[pl.Series]) -> Self:
        """Append entries, given by their codes in these parts, which begin with those that are there."""
        return type(self)(parts, [*map(joined, self.codes, codes)], self._lineage)

    def __len__(self) -> int:
        return len(self.codes[0])

    def gather(self, codes: pl.Series) -> pl.Series:
        return _concatenated([part.gather(code[codes]) for part, code in self.columns()])

    def forms(self, codes: pl.Series) -> pl.Series:
        return _concatenated([part.forms(code[codes]) for part, code in self.columns()])

    def forms_between(self, start: int, stop: int) -> pl.Series:
        return _concatenated([part.forms(code[start:stop]) for part, code in self.columns()])

    def columns(self) -> Iterator[tuple[Dictionary, pl.Series]]:
        """Iterate over the parts, each with the entries' codes."""
        return zip(self.parts, self.codes, strict=True)

    def prepare(self) -> None:
        for part in self.parts:
            part.prepare()

    def find_among(self, needles: Sequence[str], codes: pl.Series) -> pl.Series:
        if not any(map(_parted_at_all, needles)):
            each = [_found_among(part, entries, needles, codes) for part, entries in self.columns()]
            return reduce(or_, (mask for mask in each if mask is not None), all_are(False, len(codes)))
        # Only a head has a second form, in Latin letters.
        odd = self.parts[0].find_among(needles, self.codes[0][codes])
        return odd | contains_any(self.forms(codes), unmixed(needles))

    def _scan(self, needles: Sequence[str], start: int) -> pl.Series:
        ways = self._ways(needles)
        look_ups = LookUps([code.slice(start) for code in self.codes]) if start else self._look_ups
        return look_ups.fits_any(ways)

    def _narrow(self, needles: Sequence[str], mask: pl.Series) -> pl.Series:
        return self._scan(needles, 0)

    def _ways(self, needles: Sequence[str]) -> list[Masks]:
        """Return all ways in which an entry may contain any of the needles."""
        ways: list[Masks] = []
        for number, part in enumerate(self.parts):
            mask = part.find(*needles)
            ways.append(tuple(mask if other == number else None for other in range(len(PARTS))))
        return ways + [across.masks(self.parts) for needle in needles for across in _parted(needle)]

    def sorted_by(self, search: pl.Series) -> pl.Series:
        shown = search.str.strip_chars(" ").str.replace(f"^{PLAIN}$", PLAIN_FIRST).str.strip_chars_end(" ")
        others = places(shown.str.contains("<", literal=True))
        if not len(others):
            return shown
        texts = [address_first(text) for text in search[others].to_list()]
        return shown.scatter(others, pl.Series(texts, dtype=pl.String))

    def _ranks_between(self, distinct: pl.Series, tail: pl.Series) -> pl.Series:
        last = len(distinct) - 1
        if len(tail) > _FEW_NEW or last < 0:
            return super()._ranks_between(distinct, tail)

        def keys(place: pl.Series) -> pl.Series:
            return self.sorted_by(self.forms(distinct[place.clip(upper_bound=last)]))

        # Computing the sort keys of all distinct texts would take half a second per million.
        low = pl.repeat(0, len(tail), dtype=pl.UInt32, eager=True)
        high = low + len(distinct)
        for _ in range(len(distinct).bit_length()):
            middle = (low + high) // 2
            below = (low < high) & (keys(middle) < tail)
            low, high = (middle + 1).zip_with(below, low), high.zip_with(below, middle)
        return between(low, (low <= last) & (keys(low) == tail), tail)


_EMPTY = pl.Series([""], dtype=pl.String)


def _moved(codes: pl.Series, by: int) -> pl.Series:
    return (codes + by).cast(pl.UInt32) if by else codes


def _concatenated(parts: Sequence[pl.Series]) -> pl.Series:
    return pl.DataFrame(dict(zip(PARTS, parts, strict=True))).select(pl.concat_str(PARTS)).to_series()


def _numbered(texts: pl.Series, forms: pl.Series) -> tuple[Dictionary, pl.Series]:
    """Return a dictionary of the distinct texts, and the code of each text in it."""
    each = pl.DataFrame({"text": texts, "form": forms})
    distinct = each.unique(maintain_order=True).with_row_index("code")
    codes = each.join(distinct, on=["text", "form"], how="left", maintain_order="left").get_column("code")
    text, form = distinct.get_column("text"), distinct.get_column("form")
    return Dictionary.of(text, form.zip_with(form != text, pl.Series([None], dtype=pl.String))), codes
