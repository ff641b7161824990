"""Header of a released message: remove and add trace fields, without changing any other byte.

Removed: an mbox `From ` line before the header, and fields that a delivery or a quarantine adds, or that Postfix
removes (`TAKEN_OFF`, and names beginning with `TAKEN_OFF_PREFIXES`); those with envelope addresses would also betray
Bcc recipients. Added above everything else: what the caller passes, usually `resent_fields`, without which Postfix
would add a missing Date or Message-ID. Sources: RFC 5322 (2.2, 3.6.6), RFC 5321 (4.4), Postfix (message_drop_headers).
"""

from __future__ import annotations

from email.utils import formatdate
from typing import NamedTuple

from store.mail.header_fields import Field, header_of

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
    put_on = names_in(added)
    above = (MBOX_LINE,) if header.start else ()
    if header.start == header.end:
        parted = header.body > header.end or header.start == header.stop
        return Rewritten(added + (b"" if parted else b"\r\n") + text[header.start :], above, put_on)
    kept: list[Field] = []
    gone: list[Field] = []
    for field in header.fields():
        (gone if is_trace(field.name) else kept).append(field)
    message = b"".join((added, *(text[field.start : field.end] for field in kept), text[header.end :]))
    return Rewritten(message, (*above, *(_spelled(text, field) for field in gone)), put_on)


def names_in(block: bytes) -> tuple[str, ...]:
    """List the names of the header fields in `block`, as spelled there."""
    return tuple(_spelled(block, field) for field in header_of(block, mbox=False).fields())


def _spelled(text: bytes, field: Field) -> str:
    return text[field.start : field.start + len(field.name)].decode("ascii")


def released_message(raw: bytes, added: bytes) -> bytes:
    """Rewrite a message for release, as one value (see `rewritten`)."""
    return rewritten(raw, added).message


def resent_fields(sender: str, message_id: str, now: int) -> bytes:
    """Make Resent-Date, Resent-From and Resent-Message-ID. A Resent-To would reveal Bcc recipients.

    `sender` is an address and `message_id` has no angle brackets; `now` is Unix ms.
    """
    date = formatdate(now / 1000)
    return f"Resent-Date: {date}\r\nResent-From: {sender}\r\nResent-Message-ID: <{message_id}>\r\n".encode()
