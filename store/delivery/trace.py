"""Header of a released message: remove and add trace fields, without changing any other byte.

Removed: an mbox `From ` line before the header, and fields that a delivery or a quarantine adds, or that Postfix
removes (`TAKEN_OFF`, and names beginning with `TAKEN_OFF_PREFIXES`); those with envelope addresses would also betray
Bcc recipients. Added above everything else: what the caller passes, usually `resent_fields`, without which Postfix
would add a missing Date or Message-ID. Sources: RFC 5322 (2.2, 3.6.6), RFC 5321 (4.4), Postfix (message_drop_headers).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import NamedTuple

from store.mail.header_fields import Field, Header, header_of

TAKEN_OFF = frozenset(
    (
        b"return-path",
        b"bcc",
        b"resent-bcc",
        b"content-length",
        b"delivered-to",
        b"x-original-to",
        b"x-quarantine-id",
        b"x-envelope-from",
        b"x-envelope-to",
        b"x-envelope-to-blocked",
    )
)
TAKEN_OFF_PREFIXES = (b"x-amavis-", b"x-mailhold-")
# Searches the bytes: most messages have no such field, and then their header needs no list of fields.
_TRACE = re.compile(
    b"^(?:%b|(?:%b)[!-9;-~]*)[ \\t]*:"
    % (b"|".join(map(re.escape, sorted(TAKEN_OFF))), b"|".join(map(re.escape, TAKEN_OFF_PREFIXES))),
    re.IGNORECASE | re.MULTILINE,
)
#: Stands for an mbox `From ` line in the list of removed fields.
MBOX_LINE = "the mbox From line"


def is_trace(name: bytes) -> bool:
    """Return True for a field name (lower case) that a release removes."""
    return name in TAKEN_OFF or name.startswith(TAKEN_OFF_PREFIXES)


class Rewritten(NamedTuple):
    """A released message, and the names of the fields removed and added, as spelled there.

    `MBOX_LINE` in `taken_off` stands for an mbox `From ` line.
    """

    message: bytes
    taken_off: tuple[str, ...]
    put_on: tuple[str, ...]


def rewritten(raw: bytes, added: bytes) -> Rewritten:
    """Return `raw` without its trace fields, with the header lines `added` (each ending in CRLF) above the rest.

    If the message has no header, a blank line is put between `added` and its text. If its only line ends are CR, they
    become LF: below lines that end in CRLF, the whole message would be one field.
    """
    header = header_of(raw)
    text = header.text
    above = (MBOX_LINE,) if header.start else ()
    message, gone = _without_trace(header, added)
    return Rewritten(message, (*above, *(_spelled(text, field) for field in gone)), names_in(added))


def _without_trace(header: Header, added: bytes) -> tuple[bytes, list[Field]]:
    """Return the message with `added` above its header and without trace fields, and these fields."""
    text = header.text
    if header.start == header.end:
        parted = header.body > header.end or header.start == header.stop
        return added + (b"" if parted else b"\r\n") + text[header.start :], []
    if not _TRACE.search(text, header.start, header.end):
        return added + text[header.start :], []
    kept: list[Field] = []
    gone: list[Field] = []
    for field in header.fields():
        (gone if is_trace(field.name) else kept).append(field)
    message = b"".join((added, *(text[field.start : field.end] for field in kept), text[header.end :]))
    return message, gone


def names_in(block: bytes) -> tuple[str, ...]:
    """List the names of the header fields in `block`, as spelled there."""
    return tuple(_spelled(block, field) for field in header_of(block, mbox=False).fields())


def _spelled(text: bytes, field: Field) -> str:
    return text[field.start : field.start + len(field.name)].decode("ascii")


def released_message(raw: bytes, added: bytes) -> bytes:
    """Rewrite a message for release, as one value (see `rewritten`)."""
    return _without_trace(header_of(raw), added)[0]


def resent_fields(sender: str, message_id: str, now: int) -> bytes:
    """Make Resent-Date, Resent-From and Resent-Message-ID. A Resent-To would reveal Bcc recipients.

    `sender` is an address and `message_id` has no angle brackets; `now` is Unix ms.
    """
    date = formatdate(now / 1000)
    return f"Resent-Date: {date}\r\nResent-From: {sender}\r\nResent-Message-ID: <{message_id}>\r\n".encode()
