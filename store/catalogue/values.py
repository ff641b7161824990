"""Columns with several values per copy (symbols, link domains, files), stored as distinct words and sets of words.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import count
from operator import or_
from typing import NamedTuple

import polars as pl

from store.catalogue.arrow import joined, written_anew
from store.catalogue.lookup import looked_up
from store.catalogue.masks import places

#: Set members searched at once; each takes about 6 bytes meanwhile.
_AT_ONCE = 1 << 20
_PIECES = 12
#: Up to this many words are found by comparison instead of a look-up; below this share of members found, the sets of
#: the found ones are looked up.
_FEW_WORDS, _FEW_HITS = 16, 0.05
_NO_SETS = pl.Series([], dtype=pl.Boolean)


class _Piece(NamedTuple):
    """Some sets: the codes of their members, set after set, and the end of each set in that list."""

    members: pl.Series
    ends: pl.Series


class Values:
    """Sets of words, append-only and immutable. Each row of a table has the code of its set.

    `words`: the words by code, in one column or several (a client has its address as text and as bytes). After `extend`
    a word or a set may occur twice, which only costs memory.
    """

    def __init__(self, words: pl.DataFrame, pieces: Sequence[_Piece], sets: int, *, joined: bool = False) -> None:
        """Hold the parts. `joined`: they come from two instances, so a word may occur twice."""
        self.words = words
        self._pieces = tuple(pieces)
        self._sets = sets
        self._joined = joined

    @classmethod
    def of(cls, words: pl.DataFrame, sets: Iterable[Sequence[int]]) -> Values:
        """Make an instance of words and sets of their codes."""
        members: list[int] = []
        ends: list[int] = []
        for one in sets:
            members += one
            ends.append(len(members))
        piece = _Piece(pl.Series(members, dtype=smallest_of(words.height)), pl.Series(ends, dtype=pl.UInt32))
        return cls(words, [piece], len(ends))

    def __len__(self) -> int:
        """Return the number of sets."""
        return self._sets

    def extend(self, other: Values) -> Values:
        """Append the sets of `other`; the codes of this instance stay valid."""
        shift, kind = self.words.height, smallest_of(self.words.height + other.words.height)
        by = pl.Series([shift], dtype=kind)
        moved = [_Piece(piece.members.cast(kind) + by, piece.ends) for piece in other._pieces]
        words = {name: joined(self.words.get_column(name), other.words.get_column(name)) for name in self.words.columns}
        pieces = _merged([*self._pieces, *moved])
        return Values(pl.DataFrame(words), pieces, len(self) + len(other), joined=True)

    def having(self, words: pl.Series) -> pl.Series:
        """Return a mask by set: whether it contains any of the words that the mask `words` selects."""
        codes = places(words)
        return pl.concat([self._having(words, codes, piece) for piece in self._pieces], rechunk=True)

    @staticmethod
    def _having(words: pl.Series, codes: pl.Series, piece: _Piece) -> pl.Series:
        """Do `having` for one piece, some sets at a time. `codes` are the codes of the selected words."""
        members, ends = piece
        found, start, first = [_NO_SETS], 0, 0
        while start < len(ends):
            stop = max(start + 1, int(ends.search_sorted(first + _AT_ONCE, side="right")))
            part, last = ends.slice(start, stop - start) - first, int(ends[stop - 1])
            found.append(_any_of(_among(members.slice(first, last - first), words, codes), part))
            start, first = stop, last
        return pl.concat(found, rechunk=True)

    def tightened(self, codes: pl.Series) -> tuple[Values, pl.Series]:
        """Rebuild without unused or duplicate words and sets. Returns the new instance and the rows' new codes.

        The result is in freshly allocated memory, so it holds none of what was dropped.
        """
        used = codes.unique().sort()
        sets, counts = self._picked(used)
        left = sets.unique().sort()
        words, numbers = self.words[left], pl.arange(len(left), dtype=pl.UInt32, eager=True)
        if self._joined:
            distinct = words.unique(keep="first", maintain_order=True).with_row_index("code")
            numbered = words.join(distinct, on=words.columns, how="left", nulls_equal=True, maintain_order="left")
            words, numbers = distinct.drop("code"), numbered.get_column("code")
        kind = smallest_of(words.height)
        renumbered = pl.repeat(0, self.words.height, dtype=kind, eager=True).scatter(left, numbers.cast(kind))
        ends = counts.cum_sum().cast(pl.UInt32)
        every = Values(written_anew(words), [_Piece(renumbered.gather(sets), ends)], len(used))
        fresh, numbers = every._each_once()
        return fresh, pl.repeat(0, len(self), dtype=pl.UInt32, eager=True).scatter(used, numbers).gather(codes)

    def _each_once(self) -> tuple[Values, pl.Series]:
        """Merge equal sets of at most one member, and return each set's new code. Needs a single piece.

        Larger sets rarely repeat, except those of a scanner that reports the same for many messages.
        """
        [(members, ends)] = self._pieces
        sizes = ends - ends.shift(1, fill_value=0)
        # The key is 0 for the empty set; then one key per word for the sets of only that word; then one per larger set.
        keys = pl.arange(len(ends), dtype=pl.UInt32, eager=True) + self.words.height + 1
        if len(members):
            alone = members.gather(ends.clip(lower_bound=1) - 1).cast(pl.UInt32) + 1
            keys = alone.zip_with(sizes == 1, keys)
        keys = keys.zip_with(sizes != 0, sizes)
        firsts = keys.arg_unique().sort()
        numbers = pl.repeat(0, self.words.height + len(ends) + 1, dtype=pl.UInt32, eager=True)
        numbers = numbers.scatter(keys.gather(firsts), pl.arange(len(firsts), dtype=pl.UInt32, eager=True))
        picked, counts = self._picked(firsts)
        piece = _Piece(picked.cast(members.dtype), counts.cum_sum().cast(pl.UInt32))
        return Values(self.words, [piece], len(firsts)), numbers.gather(keys)

    def _picked(self, wanted: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return the members of these sets (UInt32), set after set, and the size of each set."""
        members = pl.concat([piece.members.cast(pl.UInt32) for piece in self._pieces], rechunk=True)
        sizes = pl.concat([piece.ends - piece.ends.shift(1, fill_value=0) for piece in self._pieces], rechunk=True)
        keep = pl.repeat(False, len(self), dtype=pl.Boolean, eager=True).scatter(wanted, True)
        owners = pl.DataFrame({"keep": keep, "size": sizes}).select(pl.col("keep").repeat_by("size").explode())
        return members.filter(owners.to_series().drop_nulls()), sizes.filter(keep)

    def parts(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Return the arguments of `of_parts`: words, members, ends."""
        values = self if len(self._pieces) == 1 else Values(self.words, _flat(self._pieces), len(self))
        [piece] = values._pieces
        return values.words, piece.members.to_frame("member"), piece.ends.to_frame("end")

    @classmethod
    def of_parts(cls, words: pl.DataFrame, members: pl.DataFrame, ends: pl.DataFrame) -> Values:
        """Rebuild an instance from `parts`."""
        piece = _Piece(members.to_series(), ends.to_series())
        return cls(words, [piece], len(piece.ends))

    def estimated_size(self) -> int:
        """Return the approximate size in memory (bytes)."""
        return int(self.words.estimated_size()) + sum(
            int(series.estimated_size()) for piece in self._pieces for series in piece
        )


class Gathered:
    """Collects the sets of words of one column, row by row, to make `Values`. A word holds one row of `schema`."""

    def __init__(self, schema: Mapping[str, type[pl.DataType]]) -> None:
        self._schema = dict(schema)
        #: The code of each word; a new word gets the next free code.
        self._words: defaultdict[Hashable, int] = defaultdict(count().__next__)
        self._sets: dict[tuple[int, ...], int] = {}
        #: The code of each row's set.
        self.codes: list[int] = []

    def add(self, values: Iterable[Hashable]) -> None:
        """Add the values of the next row."""
        members = tuple(sorted(set(map(self._words.__getitem__, values))))
        self.codes.append(self._sets.setdefault(members, len(self._sets)))

    def values(self) -> Values:
        """Return everything added so far."""
        rows = [word if isinstance(word, tuple) else (word,) for word in self._words]
        return Values.of(pl.DataFrame(rows, schema=self._schema, orient="row"), self._sets)


def _among(members: pl.Series, words: pl.Series, codes: pl.Series) -> pl.Series:
    """Return a mask by member: whether it is one of the words. For few words comparing is faster than a look-up."""
    if len(codes) > _FEW_WORDS:
        return looked_up(words, members)
    none = pl.repeat(False, len(members), dtype=pl.Boolean, eager=True)
    return reduce(or_, (members == code for code in codes.to_list()), none)


def _any_of(found: pl.Series, ends: pl.Series) -> pl.Series:
    """Return a mask by set: whether any of its members was found. Sets follow each other and end at `ends`."""
    if int(found.sum() or 0) < _FEW_HITS * len(found):
        sets = ends.search_sorted(places(found), side="right")
        return pl.repeat(False, len(ends), dtype=pl.Boolean, eager=True).scatter(sets, True)
    counts = pl.concat([pl.Series([0], dtype=pl.UInt32), found.cast(pl.UInt32).cum_sum()], rechunk=True)
    upto = counts.gather(ends)
    return upto > upto.shift(1, fill_value=0)


def smallest_of(count: int) -> type[pl.DataType]:
    """Choose the smallest type for codes below `count`."""
    return pl.UInt8 if count <= 1 << 8 else pl.UInt16 if count <= 1 << 16 else pl.UInt32


def _merged(pieces: list[_Piece]) -> list[_Piece]:
    """Join pieces until there are few, or each is at least twice as long as the next: appending then copies little."""
    while len(pieces) > _PIECES and len(pieces[-2].ends) < 2 * len(pieces[-1].ends):
        last = pieces.pop()
        pieces[-1:] = _flat([pieces[-1], last])
    return pieces


def _flat(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Join pieces into one."""
    kinds = {piece.members.dtype for piece in pieces}
    kind = next((kind for kind in (pl.UInt32, pl.UInt16) if kind in kinds), pl.UInt8)
    members, ends, shift = [], [], 0
    for piece in pieces:
        members.append(piece.members.cast(kind))
        ends.append(piece.ends + shift)
        shift += len(piece.members)
    none = _Piece(pl.Series([], dtype=kind), pl.Series([], dtype=pl.UInt32))
    return [_Piece(pl.concat([*members, none[0]], rechunk=True), pl.concat([*ends, none[1]], rechunk=True))]
