"""The header of a released message: trace fields taken off and put on, every other byte left as it is.

The header is cut into fields by their bytes; nothing is parsed further and nothing is written anew. Taken off: an mbox
`From ` line before the header, and the fields that a delivery or a quarantine adds (`TAKEN_OFF`, and names beginning
with `TAKEN_OFF_PREFIXES`); those with envelope addresses would also betray Bcc recipients. Put on, above all else: what
the caller gives, as a rule `resent_fields` and a marker. Sources: RFC 5322 (2.2, 3.6.6), RFC 5321 (4.4).
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import NamedTuple

TAKEN_OFF = frozenset(
    (
        b"return-path",
        b"delivered-to",
        b"x-original-to",
        b"x-quarantine-id",
        b"x-envelope-from",
        b"x-envelope-to",
        b"x-envelope-to-blocked",
    )
)
TAKEN_OFF_PREFIXES = (b"x-amavis-", b"x-mailhold-")

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_MBOX_LINE = re.compile(rb">*From (?![ \t]*:)[^\n]*\n")


class Field(NamedTuple):
    """A header field: its name in lower case, and where its bytes (with continuation and line end) begin and end."""

    name: bytes
    start: int
    end: int


def header_fields(raw: bytes, start: int = 0) -> tuple[list[Field], int]:
    """The fields of the header that begins at `start`, and the offset where it ends.

    It ends before the blank line, or before the first line that is neither a field nor a continuation.
    """
    fields: list[Field] = []
    at = start
    while at < len(raw):
        end = raw.find(b"\n", at) + 1 or len(raw)
        if raw[at] in b" \t":
            if not fields:
                break
            fields[-1] = fields[-1]._replace(end=end)
        else:
            match = _FIELD.match(raw, at, end)
            if not match:
                break
            fields.append(Field(match[1].lower(), at, end))
        at = end
    return fields, at


def is_trace(name: bytes) -> bool:
    """True for a field name (lower case) that is taken off a released message."""
    return name in TAKEN_OFF or name.startswith(TAKEN_OFF_PREFIXES)


def released_message(raw: bytes, added: bytes) -> bytes:
    """`raw` without its trace fields and with the header lines `added` (each ending in CRLF) above the rest.

    A message that has no header at all gets the blank line that parts `added` from its text.
    """
    mbox = _MBOX_LINE.match(raw)
    start = mbox.end() if mbox else 0
    fields, end = header_fields(raw, start)
    if not fields:
        blank = start == len(raw) or raw.startswith((b"\n", b"\r\n"), start)
        return added + (b"" if blank else b"\r\n") + raw[start:]
    kept = [raw[field.start : field.end] for field in fields if not is_trace(field.name)]
    return b"".join((added, *kept, raw[end:]))


def body_of(raw: bytes) -> bytes:
    """What follows the header and its blank line."""
    _, end = header_fields(raw)
    if raw.startswith(b"\r\n", end):
        return raw[end + 2 :]
    return raw[end + 1 :] if raw.startswith(b"\n", end) else raw[end:]


def resent_fields(sender: str, message_id: str, now: int) -> bytes:
    """Resent-Date, Resent-From and Resent-Message-ID. There is no Resent-To: it would show Bcc recipients.

    `sender` is an address and `message_id` has no angle brackets; `now` is Unix ms.
    """
    date = formatdate(now / 1000)
    return f"Resent-Date: {date}\r\nResent-From: {sender}\r\nResent-Message-ID: <{message_id}>\r\n".encode()
