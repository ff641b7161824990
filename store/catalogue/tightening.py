"""Makes a follower's frame smaller: duplicate texts go while it grows, unused ones when it is loaded.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import polars as pl

from store.catalogue.follow import Follower
from store.catalogue.frame import TEXTS, Frame
from store.catalogue.memory import give_back_memory
from store.catalogue.sections import loose, tightened
from store.catalogue.senders import Senders
from store.catalogue.text import Dictionary

#: Entries compared at once. Few: each is in memory several times meanwhile.
_SECTION = 1 << 14
#: A dictionary with fewer entries takes little memory, whatever is twice in it.
_FEW = 50_000
#: Between two columns, so that the memory of the first is free: until the console asked again, and Polars gave it back.
_GIVEN_BACK_SECONDS = 0.3


def thin(follower: Follower) -> None:
    """Remove duplicate texts: each frame that was added brought its own. Quick, for use while copies are loaded."""
    for name in TEXTS:  # A loop over the former frame's texts would hold them all.
        if _swapped(follower, name, without_duplicates):
            give_back_memory()


def tighten(follower: Follower, stopping: threading.Event) -> Iterator[None]:
    """Rebuild the columns with many duplicate or unused texts, one by one. Yields after each.

    Whoever holds a result of the former frame keeps its texts in memory, until it asks again.
    """
    for name in TEXTS:
        if not stopping.is_set() and loose(follower.state.frame, name) and _swapped(follower, name, tightened):
            yield
            stopping.wait(_GIVEN_BACK_SECONDS)
            give_back_memory()


def _swapped(follower: Follower, name: str, smaller: Callable[[Frame, str], Frame]) -> bool:
    """Replace the follower's frame by a smaller one. Keeps no reference to the former, so that its memory is free."""
    frame = follower.state.frame
    made = smaller(frame, name)
    return made is not frame and follower.swap(frame, made)


def without_duplicates(frame: Frame, name: str) -> Frame:
    """Return the frame with each text of a column once. Takes a fifth of the time of `tightened`.

    Unused texts stay.
    """
    words, codes = frame.texts[name], frame.rows.get_column(name)
    if isinstance(words, Senders):
        parts = [_each_once(part) for part in words.parts]
        moved = [code if part is None else part[1].gather(code) for part, code in zip(parts, words.codes, strict=True)]
        kept = [each if part is None else part[0] for part, each in zip(parts, words.parts, strict=True)]
        return frame.with_texts(name, Senders(kept, moved), codes) if any(parts) else frame
    found = _each_once(words) if isinstance(words, Dictionary) else None
    return frame if found is None else frame.with_texts(name, found[0], found[1].gather(codes))


def _each_once(words: Dictionary) -> tuple[Dictionary, pl.Series] | None:
    """Return a dictionary without duplicates, and for each code its new one; None if it would not be much smaller."""
    if len(words) < _FEW:
        return None
    hashes = pl.DataFrame({"hash": words.texts.hash(0) ^ words.search.hash(1)})
    order = hashes.select(pl.arg_sort_by("hash", maintain_order=True)).to_series().cast(pl.UInt32)
    ordered = hashes.to_series().gather(order)
    first = (ordered != ordered.shift(1)).fill_null(True)
    kept = order.filter(first)
    if len(words) < 1.2 * len(kept):
        return None
    groups = pl.repeat(0, len(words), dtype=pl.UInt32, eager=True).scatter(order, first.cast(pl.UInt32).cum_sum() - 1)
    firsts = kept.gather(groups)
    del hashes, order, ordered, first, groups
    if not _equal(words, firsts):
        return None
    kept = kept.sort()
    each = pl.arange(len(kept), dtype=pl.UInt32, eager=True)
    numbers = pl.repeat(0, len(words), dtype=pl.UInt32, eager=True).scatter(kept, each)
    # The texts before the first duplicate stay where they are in memory: they are not copied.
    stay = int((kept == each).sum() or 0)
    return words.head(stay).extend(words.picked(kept.slice(stay))), numbers.gather(firsts)


def _equal(words: Dictionary, others: pl.Series) -> bool:
    """Return whether each entry equals the other one of the same place: hashes may be equal by chance."""
    for start in range(0, len(others), _SECTION):
        part = others.slice(start, _SECTION)
        mine = words.columns(pl.arange(start, start + len(part), dtype=pl.UInt32, eager=True))
        searched, shown = words.columns(part)
        if not searched.equals(mine[0]) or not shown.equals(mine[1], null_equal=True):
            return False
    return True
