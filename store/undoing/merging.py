"""Taking a change back where others have changed the same thing since: what they did stays.

Each function is given what an act found (`before`), what it left (`after`), and what is there now (`present`). It
returns what is to be there, and what of the act cannot be taken back, because it is not as the act left it.
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
    """`present` without what the act changed; keys of the act whose value somebody changed since stay as they are.

    A key that the act left as somebody has put it back by now counts as neither.
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
    """Remove from `present` the entries that the act added, and put back those that it removed."""
    had, left = set(before), set(after)
    return (set(present) - (left - had)) | (had - left)


def in_order(
    items: Mapping[Key, Value], former: Sequence[Key], present: Sequence[Key], *, restore: Callable[[], bool]
) -> list[Value]:
    """`items` in the order of `present`; those that are not in it stand behind the one that `former` has before them.

    Where `restore` says so, those of `former` stand in its order, in the places that they have among the others.
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
