"""Numbers for the addresses in a frame's From and To columns: equal addresses have equal numbers.

They are computed once per dictionary; after an extension only the new entries are computed. Imports Polars: only the
modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakKeyDictionary

import polars as pl

from store.catalogue.masks import places
from store.catalogue.text import RankedTexts, Texts
from store.terms.sender import PLAIN, sender_of

#: A random seed, so that no sender can craft two addresses whose hashes collide.
_SEED = random.SystemRandom().getrandbits(64)
_ALONE = r'^[^\s\p{Cc}"(),;<>\\]+$'
_RECIPIENT = r'[^\s\p{Cc}"(),;:<>\\@]+@[^\s\p{Cc}"(),;:<>\\@]+'
_QUOTED = r'"[^"\n]*"'
_NONE = pl.Series([None], dtype=pl.UInt64)
#: Entries whose texts are in memory at once.
_PART = 1 << 17


class Numbers(NamedTuple):
    """The numbers of a dictionary's addresses.

    `first`: by entry, the number of its first address (UInt64, null if it has none). `others`: the entry's further
    addresses, as columns `entry` and `number`.
    """

    first: pl.Series
    others: pl.DataFrame


_NO_NUMBERS = Numbers(pl.Series([], dtype=pl.UInt64), pl.DataFrame(schema={"entry": pl.UInt32, "number": pl.UInt64}))
_lock = threading.Lock()
#: Keyed by `Texts.lineage`.
_senders: WeakKeyDictionary[object, Numbers] = WeakKeyDictionary()
_recipients: WeakKeyDictionary[object, Numbers] = WeakKeyDictionary()


def sender_texts(search: pl.Series) -> pl.Series:
    """Apply `sender_of` to each folded From field."""
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
    """Return the sender's number for each entry of the From dictionary (UInt64), ignoring case.

    Entries with the same `sender_of` have the same number. Costs up to a second per million entries, once.
    """
    return _numbers(_senders, words, lambda search: Numbers(sender_texts(search).hash(_SEED), _NO_NUMBERS.others)).first


def recipient_numbers(words: Texts) -> Numbers:
    """Return the numbers of each To entry's addresses, ignoring case: the field's, then those only in the envelope.

    Costs up to a second per million entries, once.
    """
    return _numbers(_recipients, words, _recipients_in)


def _recipients_in(search: pl.Series) -> Numbers:
    quoted = places(search.str.contains('"', literal=True))
    if len(quoted):  # A quoted display name may contain an @.
        search = search.scatter(quoted, search.gather(quoted).str.replace_all(_QUOTED, " "))
    first = search.str.extract(f"({_RECIPIENT})", 1)
    several = places(search.str.count_matches("@", literal=True) > 1)
    each = pl.DataFrame({"entry": several, "text": search.gather(several).str.extract_all(_RECIPIENT)})
    others = each.explode("text").drop_nulls().select("entry", number=pl.col("text").hash(_SEED))
    return Numbers(first.hash(_SEED).zip_with(first.is_not_null(), _NONE), others)


def _numbers(kept: WeakKeyDictionary[object, Numbers], words: Texts, make: Callable[[pl.Series], Numbers]) -> Numbers:
    assert isinstance(words, RankedTexts)
    with _lock:
        known = kept.get(words.lineage, _NO_NUMBERS)
        for start in range(len(known.first), len(words), _PART):
            more = make(words.forms_between(start, start + _PART))
            moved = more.others.with_columns(pl.col("entry") + pl.lit(start, pl.UInt32))
            known = Numbers(
                pl.concat([known.first, more.first], rechunk=True), pl.concat([known.others, moved], rechunk=True)
            )
        kept[words.lineage] = known
    if len(known.first) == len(words):
        return known
    return Numbers(known.first.head(len(words)), known.others.filter(pl.col("entry") < len(words)))
