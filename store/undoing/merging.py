"""Undo a change to values that others may have changed since: their changes stay.

The functions take the values before the act (`before`), after it (`after`), and now (`present`). They return the values
to set.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Item = TypeVar("Item")


def without_change(
    before: Mapping[Key, Value], after: Mapping[Key, Value], present: Mapping[Key, Value]
) -> tuple[dict[Key, Value], list[Key]]:
    """Undo the act's changes in `present`. Returns the result, and the keys that were changed again since and so stay.

    A key that already has its value from before the act is in neither.
    """
    merged, kept = dict(present), list[Key]()
    for key in dict.fromkeys((*before, *after)):
        was, left, now = before.get(key), after.get(key), present.get(key)
        if was == left or now == was:
            continue
        if now != left:
            kept.append(key)
        elif was is None:
            del merged[key]
        else:
            merged[key] = was
    return merged, kept


def without_entries(before: Iterable[Item], after: Iterable[Item], present: Iterable[Item]) -> set[Item]:
    """Remove from `present` the entries that the act added, and add those that it removed."""
    had, left = set(before), set(after)
    return (set(present) - (left - had)) | (had - left)


def in_order(
    items: Mapping[Key, Value], former: Sequence[Key], present: Sequence[Key], *, restore: Callable[[], bool]
) -> list[Value]:
    """Return `items` in the order of `present`; an item missing there is put behind its predecessor in `former`.

    If `restore()` is true, items in `former` are put in the order that they have there, in the places that they take up
    among the others.
    """
    order = [key for key in present if key in items]
    if restore():
        places = [place for place, key in enumerate(order) if key in set(former)]
        for place, key in zip(places, [key for key in former if key in set(order)], strict=True):
            order[place] = key
    for place, key in enumerate(former):
        if key in items and key not in order:
            ahead = next((each for each in reversed(former[:place]) if each in order), None)
            order.insert(0 if ahead is None else order.index(ahead) + 1, key)
    order += [key for key in items if key not in order]
    return [items[key] for key in order]
