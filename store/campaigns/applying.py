"""Applies the operators' marks (joined, peeled off) to the campaigns that were found, without a new finding."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from store.campaigns.grouping import OddCopy
from store.campaigns.marks import Mark, Marks
from store.campaigns.oddness import Reason
from store.campaigns.rows import JoinedRow
from store.campaigns.standing import Campaign

#: A copy and its fit as one number: the id above, the fit in the lowest `_FIT` bits.
_FIT = 7
_FIT_MASK = (1 << _FIT) - 1


class _Copies(NamedTuple):
    """The copies of a campaign (ascending) with their fits, and the odd ones with their reasons."""

    copies: array[int]
    fits: bytes
    odd: dict[int, tuple[Reason, ...]]


def applied(found: Sequence[Campaign], joined: Mapping[int, JoinedRow], marks: Marks) -> tuple[Campaign, ...]:
    """Add the copies that joined to the campaigns that were found, and apply the operators' marks.

    Joined campaigns are shown as one, in the place of the first of them; if the target was not found again, they still
    have its id. A copy peeled off any part is odd in the whole.
    """
    mark_of = {one.campaign: one for one in marks.marks}
    out: dict[int, set[int]] = defaultdict(set)
    for peeled in marks.peeled:
        out[target_of(peeled.campaign, mark_of)].update(peeled.copies)
    more: dict[int, dict[int, JoinedRow]] = defaultdict(dict)
    for copy, row in joined.items():
        more[row.campaign][copy] = row
    parts: dict[int, list[Campaign]] = defaultdict(list)
    for one in found:
        parts[target_of(one.id, mark_of)].append(one)
    return tuple(_shown(number, each, more, out, mark_of) for number, each in parts.items())


def target_of(campaign: int, mark_of: Mapping[int, Mark]) -> int:
    """Follow the joins of a campaign to the one that it is shown in.

    In a circle (two operators at once, or an undone act) that is the oldest campaign of the circle.
    """
    seen = [campaign]
    while (mark := mark_of.get(seen[-1])) is not None and mark.into:
        if mark.into in seen:
            return min(seen[seen.index(mark.into) :])
        seen.append(mark.into)
    return seen[-1]


def _shown(
    number: int,
    parts: Sequence[Campaign],
    more: Mapping[int, Mapping[int, JoinedRow]],
    out: Mapping[int, set[int]],
    mark_of: Mapping[int, Mark],
) -> Campaign:
    alone = parts[0]
    if len(parts) == 1 and alone.id == number and number not in more and number not in out:
        return alone._replace(mark=mark_of.get(number, alone.mark))
    main = next((one for one in parts if one.id == number), None) or max(parts, key=lambda one: len(one.copies))
    whole = _without(_merged([_with(one, more.get(one.id, {})) for one in parts]), out.get(number, ()))
    return main._replace(
        id=number,
        rank=min(one.rank for one in parts),
        copies=whole.copies,
        fits=whole.fits,
        odd=tuple(OddCopy(copy, whole.odd[copy]) for copy in sorted(whole.odd)),
        mark=mark_of.get(number, Mark(number)),
        parts=tuple(sorted(one.id for one in parts if one.id != number)),
    )


def _with(one: Campaign, more: Mapping[int, JoinedRow]) -> _Copies:
    """Add the copies that joined a campaign since it was found."""
    odd = {each.copy: each.reasons for each in one.odd}
    odd.update((copy, row.reasons) for copy, row in more.items() if row.reasons)
    new = sorted((copy, row.fit) for copy, row in more.items() if not row.reasons and not _has(one.copies, copy))
    if not new:
        return _Copies(one.copies, one.fits, odd)
    copies, fits = array("Q", (copy for copy, _ in new)), bytes(fit for _, fit in new)
    if not one.copies or copies[0] > one.copies[-1]:
        return _Copies(one.copies + copies, one.fits + fits, odd)
    return _merged([_Copies(one.copies, one.fits, odd), _Copies(copies, fits, {})])


def _merged(parts: Sequence[_Copies]) -> _Copies:
    if len(parts) == 1:
        return parts[0]
    odd = {copy: reasons for part in parts for copy, reasons in part.odd.items()}
    # A copy has one place: it is odd in the whole if it is odd in any part.
    pairs = [
        copy << _FIT | fit
        for part in parts
        for copy, fit in zip(part.copies, part.fits, strict=True)
        if copy not in odd
    ]
    pairs.sort()
    return _Copies(array("Q", (pair >> _FIT for pair in pairs)), bytes(pair & _FIT_MASK for pair in pairs), odd)


def _without(part: _Copies, out: Iterable[int]) -> _Copies:
    """Make peeled-off copies odd; Reason.APART comes first."""
    odd = dict(part.odd)
    keep = bytearray(b"\1" * len(part.copies))
    some = False
    for copy in out:
        if copy in odd:
            odd[copy] = (Reason.APART, *(reason for reason in odd[copy] if reason is not Reason.APART))
        elif _has(part.copies, copy):
            keep[bisect_left(part.copies, copy)] = 0
            odd[copy] = (Reason.APART,)
            some = True
    if not some:
        return part._replace(odd=odd)
    return _Copies(array("Q", compress(part.copies, keep)), bytes(compress(part.fits, keep)), odd)


def _has(copies: array[int], copy: int) -> bool:
    at = bisect_left(copies, copy)
    return at < len(copies) and copies[at] == copy
