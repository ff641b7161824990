"""Lasting ids: a handle that is found again keeps the id of the campaign that most of its copies were in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


def kept_ids(old: Mapping[int, Iterable[int]], new: Sequence[Iterable[int]], following: int = 1) -> list[int]:
    """Choose the id of each `new` handle, given as its copies; `old` maps existing ids to copies.

    Of the copies that an old campaign still has in any handle, more than half must be in one new handle: that handle
    keeps the id. A handle that could keep several ids keeps the smallest (oldest). All others get new ids from
    `following` on, above all old ones.
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
