"""How a list of copies can be sorted."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class SortKey(StrEnum):
    """A column to sort by. Texts sort by their folded form; engines as listed, then by status, none last."""

    PLACED = "placed"
    ENGINE = "engine"
    FROM = "from"
    TO = "to"
    SUBJECT = "subject"
    SIZE = "size"
    RULE = "rule"


class Sort(NamedTuple):
    """A sort order. Among copies with equal keys the newest come first, whatever the direction."""

    key: SortKey
    descending: bool


NEWEST = Sort(SortKey.PLACED, True)
