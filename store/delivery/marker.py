"""The marker: a header field by which intake recognizes a released message that comes back, and lets it pass once.

    X-Mailhold-Delivery: 2; t=…

`t` is a token of 16 random bytes, base64url. The field alone proves nothing. The table `release` has a row for each
recipient, signed by the sending gateway (`store.delivery.release_rows`), with the recipient's tag and the message's
digest. Both are computed with the token, so the database reveals neither the message nor the recipient.

The digest covers everything below the field, byte for byte as SMTP carries it. Above it only Received fields may stand,
which relays add. Nothing is normalised: a message that a relay changed is judged like any other. `FORMAT.md` specifies
it byte by byte.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Set
from typing import NamedTuple

from store.mail.addresses import same
from store.mail.header_fields import Field, Header, header_of
from store.sealing.statements import statement
from store.terms.errors import TamperedError

FIELD = b"x-mailhold-delivery"
#: How long a marker is valid after the message was sent (ms): a relay in between may queue it.
LIFE = 24 * 3600 * 1000
TOKEN_SIZE, TAG_SIZE = 16, 16
#: Maximum fields that a relay may add, and their total bytes; for those above the marker and those below it.
MOST_ADDED, MOST_ADDED_BYTES = 60, 64 * 1024
#: Maximum fields, and bytes per field, of a message that gets a marker: Postfix cuts longer ones.
MOST_FIELDS, MOST_FIELD_BYTES = 1000, 100_000

WHAT = "the delivery marker"
_LINE = re.compile(rb"X-Mailhold-Delivery: 2; t=([A-Za-z0-9_-]{22})\r\n")
_BLANK_FOLD = re.compile(rb"\n[ \t]+\r?(?:\n|$)")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


class Marked(NamedTuple):
    """A message's marker: its token, and the offset at which the covered part begins."""

    token: bytes
    below: int


def new_token() -> bytes:
    """Make the token of a new marker."""
    return secrets.token_bytes(TOKEN_SIZE)


def field_of(token: bytes) -> bytes:
    """Write the header field of a token, with its CRLF."""
    return b"X-Mailhold-Delivery: 2; t=" + urlsafe_b64encode(token).rstrip(b"=") + b"\r\n"


def tag_of(token: bytes, address: str) -> bytes:
    """Compute a recipient's tag under a token. `address`: from `same` to send, from `spellings` to recognise."""
    return hashlib.sha256(statement("release tag", token, address)).digest()[:TAG_SIZE]


def spellings(address: str) -> tuple[str, ...]:
    """List how a recipient's address may have been spelled when the message was sent, for `tag_of` and `digest_of`.

    A mail server adds its own domain to a name without one. Raises TamperedError for an address that cannot have been
    sent to.
    """
    if any("\ud800" <= char <= "\udfff" for char in address):
        raise TamperedError(WHAT, "an address of its envelope is not UTF-8")
    key = same(address)
    local, at, _ = key.rpartition("@")
    return (key, local) if at else (key,)


def digest_of(token: bytes, sender: str, message: bytes, below: int = 0, ignored: Set[bytes] = frozenset()) -> bytes:
    """Hash ``message[below:]`` and `sender` ("" for the null sender; normalised by `same`).

    Leaves out header fields with names (lower case) in `ignored`. Raises TamperedError if such a field, or their
    number, could change how the rest is read.
    """
    pieces = _covered(message, below, ignored)
    head = statement("release message", sender)
    mac = hmac.new(token, head + b"b" + sum(map(len, pieces)).to_bytes(4, "big"), "sha256")
    for piece in pieces:
        mac.update(piece)
    return mac.digest()


def find_marker(raw: bytes) -> Marked:
    """Find the marker of an incoming message. Raises TamperedError, saying what is wrong with it."""
    header = header_of(raw, mbox=False)
    above: list[Field] = []
    for field in header.fields():
        if field.name == FIELD:
            line = _LINE.fullmatch(raw, field.start, field.end)
            token = urlsafe_b64decode(line[1] + b"==") if line else b""
            if line is None or field_of(token) != line[0]:
                raise TamperedError(WHAT, "it is not in the format of this version of Mailhold")
            _check_added(header, above)
            return Marked(token, field.end)
        if field.name != b"received":
            raise TamperedError(WHAT, "there are other fields than Received above it")
        above.append(field)
        if len(above) > MOST_ADDED:
            break
    _check_added(header, above)
    raise TamperedError(WHAT, "the message has none")


def markable(message: bytes) -> tuple[bytes, str]:
    """Prepare a message for a marker, and say why it cannot have one ("" if it can).

    The message gets the form that SMTP carries: every line ends in CRLF, and an empty line follows a header without a
    body. A message that mail servers would repair on the way cannot have a marker, because it would come back changed.
    """
    header = header_of(message, mbox=False)
    wire = message
    if b"\n" in wire and wire.count(b"\n") != wire.count(b"\r\n"):
        wire = wire.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not wire.endswith(b"\r\n"):
        wire += b"\r\n"
    if header.body == header.end == header.stop:
        wire += b"\r\n"
    return wire, _unmarkable(wire)


def _unmarkable(wire: bytes) -> str:
    if wire.count(b"\r") != wire.count(b"\n"):
        return "it has a CR without LF"
    header = header_of(wire, mbox=False)
    if header.broken or header.start == header.end:
        return "a line of its header is not a field"
    if wire.find(b"\0", header.start, header.end) >= 0:
        return "its header has a NUL"
    if _BLANK_FOLD.search(wire, header.start, header.end):
        return "a line of its header has only blanks"
    for count, field in enumerate(header.fields(), 1):
        if not field.name or field.value != field.start + len(field.name) + 1:
            return "a field has a blank before its colon"
        if field.end - field.start > MOST_FIELD_BYTES:
            return "a field of its header is too long"
        if count > MOST_FIELDS:
            return "its header has too many fields"
    return ""


def _covered(message: bytes, below: int, ignored: Set[bytes]) -> list[memoryview]:
    view = memoryview(message)
    if not ignored:
        return [view[below:]]
    header = header_of(message, below, mbox=False)
    left_out = [field for field in header.fields() if field.name in ignored] if header.text is message else []
    _check_added(header, left_out)
    pieces, at = [], below
    for field in left_out:
        pieces.append(view[at : field.start])
        at = field.end
    return [*pieces, view[at:]]


def _check_added(header: Header, fields: list[Field]) -> None:
    """Refuse ignored fields if they are more than relays add, or malformed."""
    if len(fields) > MOST_ADDED or sum(field.end - field.start for field in fields) > MOST_ADDED_BYTES:
        raise TamperedError(WHAT, "too many fields were added to the message")
    for field in fields:
        text = header.text[field.start : field.end]
        spaced = field.value != field.start + len(field.name) + 1
        if spaced or _BARE.search(text) or _BLANK_FOLD.search(text) or not text.endswith(b"\r\n"):
            raise TamperedError(WHAT, "a field that was added to the message is malformed")
