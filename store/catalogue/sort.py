"""How a list of copies can be sorted."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class SortKey(StrEnum):
    """A column to sort by. Texts sort folded; engines in the order listed, then by status, no verdict last."""

    PLACED = "placed"
    ENGINE = "engine"
    FROM = "from"
    TO = "to"
    SUBJECT = "subject"
    SIZE = "size"
    RULE = "rule"


class Sort(NamedTuple):
    """A sort order. Among equal keys the newest copies come first, for either direction."""

    key: SortKey
    descending: bool


NEWEST = Sort(SortKey.PLACED, True)
