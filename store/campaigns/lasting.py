"""Ids last: a handle that is found again keeps its id by the majority of its copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


def kept_ids(old: Mapping[int, Iterable[int]], new: Sequence[Iterable[int]], following: int = 1) -> list[int]:
    """Choose each `new` handle's id, given as its copies; `old` maps standing ids to copies.

    A new one has the id of an old one where more than half of the old one's copies that are still in handles are in it;
    of several such the smallest, which is the oldest. All others get ids after `following` - 1 and every old one.
    """
    id_of = {copy: number for number in sorted(old, reverse=True) for copy in old[number]}
    shared: dict[int, Counter[int]] = {}
    for place, copies in enumerate(new):
        for copy in copies:
            number = id_of.get(copy)
            if number is not None:
                shared.setdefault(number, Counter())[place] += 1
    ids: dict[int, int] = {}
    for number in sorted(shared):
        place, most = min(shared[number].items(), key=lambda item: (-item[1], item[0]))
        if 2 * most > shared[number].total():
            ids.setdefault(place, number)
    fresh = max([following - 1, *old])
    answer = []
    for place in range(len(new)):
        if place not in ids:
            fresh += 1
            ids[place] = fresh
        answer.append(ids[place])
    return answer
