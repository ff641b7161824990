"""The addresses in the From and To columns of a frame, as numbers that are equal where the addresses are.

They are made once for a dictionary, and after that for what it was extended by. Imports Polars: only the modules that
the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import polars as pl

from store.catalogue.text import Dictionary, Texts, places
from store.terms.sender import PLAIN, sender_of

#: Drawn by chance: nobody can write two addresses that have one number.
_SEED = random.SystemRandom().getrandbits(64)
_ALONE = r'^[^\s\p{Cc}"(),;<>\\]+$'
_RECIPIENT = r'[^\s\p{Cc}"(),;:<>\\@]+@[^\s\p{Cc}"(),;:<>\\@]+'
_QUOTED = r'"[^"\n]*"'
_NONE = pl.Series([None], dtype=pl.UInt64)


class Numbers(NamedTuple):
    """`first` by entry (UInt64, null: it names no address); `others` has `entry` and `number` of those after it."""

    first: pl.Series
    others: pl.DataFrame


_NO_NUMBERS = Numbers(pl.Series([], dtype=pl.UInt64), pl.DataFrame(schema={"entry": pl.UInt32, "number": pl.UInt64}))
_lock = threading.Lock()
#: By the lineage of a dictionary.
_senders: WeakKeyDictionary[object, Numbers] = WeakKeyDictionary()
_recipients: WeakKeyDictionary[object, Numbers] = WeakKeyDictionary()


def sender_texts(search: pl.Series) -> pl.Series:
    """`sender_of` each folded From field."""
    stripped = search.str.strip_chars(" ")
    named = stripped.str.extract(f"^{PLAIN}$", 3)
    found = named.zip_with(named.is_not_null(), stripped)
    alone = stripped.str.contains(_ALONE) & stripped.str.contains("@", literal=True)
    others = places(named.is_null() & ~alone & (stripped != ""))
    if not len(others):
        return found
    texts = [sender_of(text) for text in search.gather(others).to_list()]
    return found.scatter(others, pl.Series(texts, dtype=pl.String))


def sender_numbers(words: Texts) -> pl.Series:
    """UInt64, by entry of the From dictionary: equal where `sender_of` is, without case.

    Costs up to a second for a million entries, once.
    """
    return _numbers(_senders, words, lambda search: Numbers(sender_texts(search).hash(_SEED), _NO_NUMBERS.others)).first


def recipient_numbers(words: Texts) -> Numbers:
    """Give numbers to the addresses of each entry of the To dictionary: the field's, then the envelope's alone.

    Without case. Costs up to a second for a million entries, once.
    """
    return _numbers(_recipients, words, _recipients_in)


def _recipients_in(search: pl.Series) -> Numbers:
    quoted = places(search.str.contains('"', literal=True))
    if len(quoted):  # A name in quotes may hold an @.
        search = search.scatter(quoted, search.gather(quoted).str.replace_all(_QUOTED, " "))
    first = search.str.extract(f"({_RECIPIENT})", 1)
    several = places(search.str.count_matches("@", literal=True) > 1)
    each = pl.DataFrame({"entry": several, "text": search.gather(several).str.extract_all(_RECIPIENT)})
    others = each.explode("text").drop_nulls().select("entry", number=pl.col("text").hash(_SEED))
    return Numbers(first.hash(_SEED).zip_with(first.is_not_null(), _NONE), others)


def _numbers(kept: WeakKeyDictionary[object, Numbers], words: Texts, make: Callable[[pl.Series], Numbers]) -> Numbers:
    assert isinstance(words, Dictionary)
    with _lock:
        known = kept.get(words.lineage, _NO_NUMBERS)
        start = len(known.first)
        if start < len(words):
            more = make(words.search.slice(start))
            moved = more.others.with_columns(pl.col("entry") + pl.lit(start, pl.UInt32))
            known = Numbers(
                pl.concat([known.first, more.first], rechunk=True), pl.concat([known.others, moved], rechunk=True)
            )
            kept[words.lineage] = known
    if len(known.first) == len(words):
        return known
    return Numbers(known.first.head(len(words)), known.others.filter(pl.col("entry") < len(words)))
