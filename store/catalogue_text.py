"""A text column of the catalogue: a dictionary of distinct texts, searched and ranked once for all their rows.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

import polars as pl

_CACHED_MASKS = 24
_NARROW_BELOW = 0.5
_TAIL_LIMIT = 20_000
_GAP = 1 << 24


class _Lineage:
    """What a dictionary and those that extend it share: found masks and ranks, each valid for the first entries."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ranking = threading.Lock()
        self.masks: OrderedDict[str, pl.Series] = OrderedDict()
        self.ranks: pl.Series | None = None
        self.sorted: pl.Series | None = None


class Dictionary:
    """Texts with their searched form, append-only and immutable: row `r` has `texts[codes[r]]`.

    `texts` and `search` are String series of equal length, without nulls; `search` is folded and shares its memory
    with `texts` where folding changes nothing. A text may occur twice (after `extend`): that costs memory only.
    """

    def __init__(self, texts: pl.Series, search: pl.Series, lineage: _Lineage | None = None) -> None:
        self.texts = texts
        self.search = search
        self._lineage = lineage or _Lineage()

    @classmethod
    def of(cls, texts: pl.Series, folded: pl.Series) -> Dictionary:
        """From texts and their searched form, null where that is the same."""
        if folded.null_count() == len(folded):
            return cls(texts, texts)
        return cls(texts, folded.zip_with(folded.is_not_null(), texts))

    def __len__(self) -> int:
        return len(self.texts)

    def extend(self, other: Dictionary) -> Dictionary:
        """This dictionary with another's entries after its own; codes of this one stay valid."""
        texts = pl.concat([self.texts, other.texts], rechunk=True)
        if self.search is self.texts and other.search is other.texts:
            return Dictionary(texts, texts, self._lineage)
        return Dictionary(texts, pl.concat([self.search, other.search], rechunk=True), self._lineage)

    def parts(self, codes: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Texts and searched forms (null where the same) of these codes, as `of` takes them."""
        texts, search = self.texts.gather(codes), self.search.gather(codes)
        return texts, search.zip_with(search != texts, pl.Series([None], dtype=pl.String))

    def find(self, needle: str) -> pl.Series:
        """A Boolean series: which entries contain the (folded) needle."""
        lineage = self._lineage
        with lineage.lock:
            known = lineage.masks.get(needle)
            wider = min(
                (mask for text, mask in lineage.masks.items() if text in needle and len(mask) >= len(self)),
                key=lambda mask: int(mask.sum() or 0),
                default=None,
            )
        if known is not None and len(known) >= len(self):
            return known.head(len(self))
        if known is not None:
            mask = pl.concat([known, self.search.slice(len(known)).str.contains(needle, literal=True)], rechunk=True)
        elif wider is not None and (wider.sum() or 0) < _NARROW_BELOW * len(self):
            candidates = wider.head(len(self)).arg_true()
            found = candidates.filter(self.search.gather(candidates).str.contains(needle, literal=True))
            mask = pl.repeat(False, len(self), dtype=pl.Boolean, eager=True).scatter(found, True)
        else:
            mask = self.search.str.contains(needle, literal=True)
        with lineage.lock:
            lineage.masks[needle] = mask
            lineage.masks.move_to_end(needle)
            while len(lineage.masks) > _CACHED_MASKS:
                lineage.masks.popitem(last=False)
        return mask

    @property
    def ranked(self) -> bool:
        """Whether `ranks` is cheap now."""
        ranks = self._lineage.ranks
        return ranks is not None and len(self) - len(ranks) <= _TAIL_LIMIT

    def ranks(self) -> pl.Series:
        """A UInt64 series: the place of each entry among all, by the code points of its searched form; equal if equal.

        Costs up to a second per million entries where `ranked` is False, and little afterwards.
        """
        lineage = self._lineage
        with lineage.ranking:
            if not self.ranked:
                lineage.ranks = self.search.rank("dense").cast(pl.UInt64) * _GAP
                first = pl.DataFrame({"rank": lineage.ranks, "search": self.search})
                lineage.sorted = first.unique("rank", keep="any").sort("rank").get_column("search")
            ranks, base = lineage.ranks, lineage.sorted
        assert ranks is not None and base is not None
        if len(ranks) >= len(self):
            return ranks.head(len(self))
        return pl.concat([ranks, _ranks_between(base, self.search.slice(len(ranks)))], rechunk=True)


def _ranks_between(base: pl.Series, tail: pl.Series) -> pl.Series:
    """Ranks for `tail` that fit between those of the sorted, distinct `base`: 1, 2, 3, … times `_GAP`."""
    place = base.search_sorted(tail, side="left")
    if len(base):
        equal = (place < len(base)) & (base.gather(place.clip(upper_bound=len(base) - 1)) == tail)
    else:
        equal = place < 0
    below = (place.cast(pl.UInt64)) * _GAP
    return (below + _GAP).zip_with(equal, below + tail.rank("dense").cast(pl.UInt64))
