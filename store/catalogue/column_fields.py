"""The fields of the filter that the catalogue's frame does not have, and what is read for them."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Source(StrEnum):
    """What is read for some fields of the filter: the sealed records, or what was made of the bodies later."""

    RECORD = "record"
    BODY = "body"


#: The source of each field, and what is read for it, in the words of the filter line.
FIELDS = {
    "known": (Source.RECORD, "known senders"),
    "client": (Source.RECORD, "client addresses"),
    "score": (Source.RECORD, "scores"),
    "symbol": (Source.RECORD, "symbols"),
    "auth": (Source.RECORD, "authentication results"),
    "link": (Source.BODY, "links"),
    "file": (Source.BODY, "files"),
    "sha256": (Source.BODY, "files"),
}


#: The fields that campaigns answer as they stand.
CAMPAIGN_FIELDS = frozenset({"campaign", "odd"})


def sources_of(fields: Collection[str]) -> set[Source]:
    """List what must be read for these fields; empty for fields that are not here."""
    return {FIELDS[field][0] for field in fields if field in FIELDS}
