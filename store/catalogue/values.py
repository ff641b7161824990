"""Values of which a copy can have several (symbols, link domains, files): distinct ones, and distinct sets of them.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import count
from operator import or_
from typing import NamedTuple

import polars as pl

from store.catalogue.text import joined, looked_up, places

#: Members of sets that are looked through at once, which takes some 6 bytes each.
_AT_ONCE = 1 << 20
_PIECES = 12
#: Below so many words, and below this share of members that are found, there is a quicker way.
_FEW_WORDS, _FEW_HITS = 16, 0.05
_NO_SETS = pl.Series([], dtype=pl.Boolean)


class _Piece(NamedTuple):
    """Some sets: the codes of their members, one set after the other, and where each of them ends."""

    members: pl.Series
    ends: pl.Series


class Values:
    """Sets of words, append-only and immutable: a row has the code of its set.

    `words`: what there is, by code; a frame of one column or several (a client has its address as text and as bytes).
    A word or a set may occur twice (after `extend`): that costs memory only.
    """

    def __init__(self, words: pl.DataFrame, pieces: Sequence[_Piece], sets: int, *, joined: bool = False) -> None:
        """Hold the parts; `joined` from two, a word may occur twice."""
        self.words = words
        self._pieces = tuple(pieces)
        self._sets = sets
        self._joined = joined

    @classmethod
    def of(cls, words: pl.DataFrame, sets: Iterable[Sequence[int]]) -> Values:
        """From words and sets of their codes."""
        members: list[int] = []
        ends: list[int] = []
        for one in sets:
            members += one
            ends.append(len(members))
        piece = _Piece(pl.Series(members, dtype=smallest_of(words.height)), pl.Series(ends, dtype=pl.UInt32))
        return cls(words, [piece], len(ends))

    def __len__(self) -> int:
        """How many sets there are."""
        return self._sets

    def extend(self, other: Values) -> Values:
        """Append another's sets; codes of these stay valid."""
        shift, kind = self.words.height, smallest_of(self.words.height + other.words.height)
        by = pl.Series([shift], dtype=kind)
        moved = [_Piece(piece.members.cast(kind) + by, piece.ends) for piece in other._pieces]
        words = {name: joined(self.words.get_column(name), other.words.get_column(name)) for name in self.words.columns}
        pieces = _merged([*self._pieces, *moved])
        return Values(pl.DataFrame(words), pieces, len(self) + len(other), joined=True)

    def having(self, words: pl.Series) -> pl.Series:
        """Boolean, by set: which have any of the words that a Boolean series has."""
        codes = places(words)
        return pl.concat([self._having(words, codes, piece) for piece in self._pieces], rechunk=True)

    @staticmethod
    def _having(words: pl.Series, codes: pl.Series, piece: _Piece) -> pl.Series:
        """As `having`, of one piece; `codes` are those of the words. Some sets at once."""
        members, ends = piece
        found, start, first = [_NO_SETS], 0, 0
        while start < len(ends):
            stop = max(start + 1, int(ends.search_sorted(first + _AT_ONCE, side="right")))
            part, last = ends.slice(start, stop - start) - first, int(ends[stop - 1])
            found.append(_any_of(_among(members.slice(first, last - first), words, codes), part))
            start, first = stop, last
        return pl.concat(found, rechunk=True)

    def tightened(self, codes: pl.Series) -> tuple[Values, pl.Series]:
        """Rebuild without unused or duplicate words and sets, and return the rows' new codes.

        In memory of its own: what is left out is not held by what is kept.
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
        every = Values(_written_anew(words), [_Piece(renumbered.gather(sets), ends)], len(used))
        fresh, numbers = every._each_once()
        return fresh, pl.repeat(0, len(self), dtype=pl.UInt32, eager=True).scatter(used, numbers).gather(codes)

    def _each_once(self) -> tuple[Values, pl.Series]:
        """Merge equal sets of at most one member, and map each set to its new code. Needs one piece.

        Larger sets are hardly ever the same, but for those of a scanner that says the same of many.
        """
        [(members, ends)] = self._pieces
        sizes = ends - ends.shift(1, fill_value=0)
        # 0 for the empty set, then a key for the set of each word alone, then one for each other set.
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
        """Return the members of sets (UInt32), one set after the other, and how many each has."""
        members = pl.concat([piece.members.cast(pl.UInt32) for piece in self._pieces], rechunk=True)
        sizes = pl.concat([piece.ends - piece.ends.shift(1, fill_value=0) for piece in self._pieces], rechunk=True)
        keep = pl.repeat(False, len(self), dtype=pl.Boolean, eager=True).scatter(wanted, True)
        owners = pl.DataFrame({"keep": keep, "size": sizes}).select(pl.col("keep").repeat_by("size").explode())
        return members.filter(owners.to_series().drop_nulls()), sizes.filter(keep)

    def parts(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """Return what `of_parts` takes: words, members, ends."""
        values = self if len(self._pieces) == 1 else Values(self.words, _flat(self._pieces), len(self))
        [piece] = values._pieces
        return values.words, piece.members.to_frame("member"), piece.ends.to_frame("end")

    @classmethod
    def of_parts(cls, words: pl.DataFrame, members: pl.DataFrame, ends: pl.DataFrame) -> Values:
        """From what `parts` answered."""
        piece = _Piece(members.to_series(), ends.to_series())
        return cls(words, [piece], len(piece.ends))

    def estimated_size(self) -> int:
        """Bytes that it takes up."""
        return int(self.words.estimated_size()) + sum(
            int(series.estimated_size()) for piece in self._pieces for series in piece
        )


class Gathered:
    """Sets of words as they come, to make `Values` of. A word is what a row of `schema` holds."""

    def __init__(self, schema: Mapping[str, type[pl.DataType]]) -> None:
        self._schema = dict(schema)
        #: The code of each word, the next free one for a new word.
        self._words: defaultdict[Hashable, int] = defaultdict(count().__next__)
        self._sets: dict[tuple[int, ...], int] = {}
        #: By row: the code of its set.
        self.codes: list[int] = []

    def add(self, values: Iterable[Hashable]) -> None:
        """Add the values of the next row."""
        members = tuple(sorted(set(map(self._words.__getitem__, values))))
        self.codes.append(self._sets.setdefault(members, len(self._sets)))

    def values(self) -> Values:
        """All of them."""
        rows = [word if isinstance(word, tuple) else (word,) for word in self._words]
        return Values.of(pl.DataFrame(rows, schema=self._schema, orient="row"), self._sets)


def _written_anew(words: pl.DataFrame) -> pl.DataFrame:
    """Copy the words to memory of their own: gathered texts hold the buffers of all they were gathered from."""
    buffer = io.BytesIO()
    words.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    return pl.read_ipc(io.BytesIO(buffer.getvalue()))


def _among(members: pl.Series, words: pl.Series, codes: pl.Series) -> pl.Series:
    """Boolean, by member: which are among the words. To compare with a few takes less than to look up in all."""
    if len(codes) > _FEW_WORDS:
        return looked_up(words, members)
    none = pl.repeat(False, len(members), dtype=pl.Boolean, eager=True)
    return reduce(or_, (members == code for code in codes.to_list()), none)


def _any_of(found: pl.Series, ends: pl.Series) -> pl.Series:
    """Boolean, by set: which have a member that was found; sets end at `ends`, one after the other."""
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
    """Few pieces, beyond some of them each at least twice as long as the next: appending copies little."""
    while len(pieces) > _PIECES and len(pieces[-2].ends) < 2 * len(pieces[-1].ends):
        last = pieces.pop()
        pieces[-1:] = _flat([pieces[-1], last])
    return pieces


def _flat(pieces: Sequence[_Piece]) -> list[_Piece]:
    """One piece of several."""
    kinds = {piece.members.dtype for piece in pieces}
    kind = next((kind for kind in (pl.UInt32, pl.UInt16) if kind in kinds), pl.UInt8)
    members, ends, shift = [], [], 0
    for piece in pieces:
        members.append(piece.members.cast(kind))
        ends.append(piece.ends + shift)
        shift += len(piece.members)
    none = _Piece(pl.Series([], dtype=kind), pl.Series([], dtype=pl.UInt32))
    return [_Piece(pl.concat([*members, none[0]], rechunk=True), pl.concat([*ends, none[1]], rechunk=True))]
