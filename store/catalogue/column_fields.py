"""The filter fields that are not columns of the catalogue's frame, and which data each of them needs."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum


class Source(StrEnum):
    """Where a filter field is read from: the sealed records, or the traits made from the bodies."""

    RECORD = "record"
    #: The records too, but in a table of its own: nearly each copy may have another text.
    ENVELOPE = "envelope"
    BODY = "body"

    @property
    def is_record(self) -> bool:
        """Whether each copy has a value from the start, because its record has it."""
        return self is not Source.BODY


#: By field: its source, and the name of the data as shown while it is being read.
FIELDS = {
    "known": (Source.RECORD, "known senders"),
    "client": (Source.RECORD, "client addresses"),
    "score": (Source.RECORD, "scores"),
    "symbol": (Source.RECORD, "symbols"),
    "envelope": (Source.ENVELOPE, "senders of envelopes"),
    "auth": (Source.RECORD, "authentication results"),
    "link": (Source.BODY, "links"),
    "file": (Source.BODY, "files"),
    "sha256": (Source.BODY, "files"),
}


#: Fields answered from the current campaigns; nothing is read for them.
CAMPAIGN_FIELDS = frozenset({"campaign", "odd"})


def sources_of(fields: Collection[str]) -> set[Source]:
    """Return the sources to read for these fields. Fields that need no reading are ignored."""
    return {FIELDS[field][0] for field in fields if field in FIELDS}
