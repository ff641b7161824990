"""Undo an operator's changes to the marks of campaigns, keeping those of others."""

from __future__ import annotations

from collections import Counter
from typing import Any

from store.campaigns import marks
from store.campaigns.marks import Mark, Marks, Peeled, State
from store.undoing.merging import without_change

#: Fields of a mark, each undone separately, with the names that an operator sees.
_FIELDS = {"name": "name", "owner": "owner", "state": "state", "note": "note", "into": "joined to campaign"}
_PLAIN = {"name": "-", "owner": "-", "state": State.NEW, "note": "-", "into": "-"}


def merged_marks(before: Marks, after: Marks, present: Marks) -> tuple[Marks, list[str], list[str]]:
    """Undo an act's changes to the marks. Returns the marks, what changes, and what stays and why."""
    merged, kept = without_change(_said(before), _said(after), _said(present))
    stays = [
        f"{_FIELDS[field]} of campaign {number} stays as it is: it was changed again later" for number, field in kept
    ]
    found: dict[int, dict[str, Any]] = {}
    for (number, field), value in merged.items():
        found.setdefault(number, {})[field] = value
    said = tuple(Mark(number, **fields) for number, fields in sorted(found.items()))
    peeled = _peeled(before, after, present)
    if len(said) > marks.MAX_MARKS or sum(len(one.copies) for one in peeled) > marks.MAX_PEELED:
        return present, [], [*stays, "too many campaigns have names, owners, states or notes by now"]
    value = Marks(said, peeled)
    return value, changes_of(present, value), stays


def changes_of(before: Marks, after: Marks) -> list[str]:
    """Describe each difference in a line: ``campaign 3: owner ada -> -``. NOT safe for a terminal."""
    was, now = _said(before), _said(after)
    changes = [
        f"campaign {key[0]}: {_FIELDS[key[1]]} {was.get(key, _PLAIN[key[1]])} -> {now.get(key, _PLAIN[key[1]])}"
        for key in sorted({*was, *now})
        if was.get(key) != now.get(key)
    ]
    had, have = Counter(before.peeled), Counter(after.peeled)
    changes += [f"{_copies(one)} back in campaign {one.campaign}" for one in had - have]
    changes += [f"{_copies(one)} out of campaign {one.campaign}" for one in have - had]
    return changes


def _said(said: Marks) -> dict[tuple[int, str], Any]:
    plain = Mark(0)
    return {
        (one.campaign, field): getattr(one, field)
        for one in said.marks
        for field in _FIELDS
        if getattr(one, field) != getattr(plain, field)
    }


def _peeled(before: Marks, after: Marks, present: Marks) -> tuple[Peeled, ...]:
    """Undo the act's peelings in the present ones.

    If another operator peeled off the same copies, that peeling stays.
    """
    had, left = Counter(before.peeled), Counter(after.peeled)
    found = (Counter(present.peeled) - (left - had)) + (had - left)
    return tuple(sorted(found.elements(), key=lambda one: (one.campaign, one.copies, one.stays)))


def _copies(one: Peeled) -> str:
    count = len(one.copies)
    return f"{count:,} message {'copy' if count == 1 else 'copies'}"
