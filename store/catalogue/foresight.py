"""Foresees the next letter of a search word: looks for the likeliest ones while nobody waits for a result.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import polars as pl

from store.catalogue.catalogue import Catalogue
from store.catalogue.frame import Frame
from store.catalogue.order import SORT_TEXTS
from store.catalogue.query import foresee
from store.catalogue.text import RankedTexts
from store.filters.folding import fold
from store.filters.model import MessageFilter
from store.terms.errors import FilterError

#: Fewer copies, or few copies found, are searched soon enough.
_MANY, _SHARE_FOUND = 100_000, 0.1
#: How many letters are looked for, and the least share of words that go on with each.
_LETTERS, _SHARE = 5, 1 / 12
_SAMPLE = 2_000
_WORD = r"[\p{L}\p{N}]+"
_LAST_WORD = re.compile(r"[^\W_]+\Z")


class Words:
    """The words of a sample of a frame's rows, with their numbers."""

    def __init__(self, frame: Frame) -> None:
        rows = frame.rows.gather_every(max(1, len(frame) // _SAMPLE))
        columns = [(frame.texts[name], rows.get_column(name)) for name in SORT_TEXTS.values()]
        forms = [texts.forms(codes) for texts, codes in columns if isinstance(texts, RankedTexts)]
        words = pl.concat(forms).str.extract_all(_WORD).explode().drop_nulls()
        self._counted = words.alias("word").value_counts()
        self.rows = len(frame)

    def letters_after(self, begun: str) -> list[str]:
        """Return the likeliest letters after the beginning of a word, the likeliest first."""
        letter = pl.col("word").str.slice(len(begun), 1).alias("letter")
        words = self._counted.filter(pl.col("word").str.starts_with(begun))
        found = words.group_by(letter).agg(pl.col("count").sum()).filter(pl.col("letter") != "")
        likely = found.filter(pl.col("count") >= pl.col("count").sum() * _SHARE)
        return likely.sort("count", "letter", descending=[True, False]).get_column("letter").head(_LETTERS).to_list()


class Foresight:
    """Does so for a catalogue. Not thread-safe."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._words: Words | None = None

    def foresee(self, text: str, found: int, read: Callable[[str], MessageFilter]) -> None:
        """Search for what `text` may become with one more letter, until another query comes or the catalogue is closed.

        `found`: the number of copies that it finds now. `read` makes a filter of a text, or raises FilterError.
        """
        catalogue, asked_at = self._catalogue, self._catalogue.asked_at
        frame, begun = catalogue.frame, _LAST_WORD.search(text)
        if frame is None or begun is None or not catalogue.complete:
            return
        if len(frame) < _MANY or found < _SHARE_FOUND * len(frame):
            return
        if self._words is None or abs(len(frame) - self._words.rows) > self._words.rows // 10:
            self._words = Words(frame)

        def wanted() -> bool:
            return catalogue.complete and catalogue.asked_at == asked_at

        for letter in self._words.letters_after(fold(begun[0])):
            if not wanted():
                return
            try:
                flt = read(text + letter)
            except FilterError:
                continue
            foresee(frame, flt, now=catalogue.now(), wanted=wanted)
