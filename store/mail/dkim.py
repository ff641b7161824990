"""Check the body hashes of a message's DKIM signatures. No key is looked up, so no signature itself is verified.

Source: RFC 6376 (3.2 tag lists, 3.4.3 and 3.4.4 canonicalisation of the body, 3.5 the field, 3.7 the hash), RFC 8301,
RFC 8463. Tags without effect on the body hash are ignored. Input is hostile: fields have a maximum length, and every
step takes time in proportion to the message.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from enum import StrEnum
from typing import NamedTuple

from store.mail.header_fields import header_of

FIELD = b"dkim-signature"
#: Max signatures checked per message, and max bytes of one.
MOST, LONGEST = 10, 20_000

_ALGORITHMS = frozenset((b"rsa-sha256", b"ed25519-sha256"))
_BLANKS = re.compile(rb"[ \t]+")
_FOLDS = re.compile(rb"[ \t\r\n]+")
_ENDS = re.compile(rb"(?:\n\r)*")
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")


class Holds(StrEnum):
    """Whether a body hash matches. UNKNOWN: its form or algorithm is not supported here."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class BodyHash(NamedTuple):
    """One signature: its domain (NOT safe for a terminal), whether its body hash matches, and the fields that it signs.

    `signed` are names in lower case. `partial`: the hash covers only part of the body (`l=`).
    """

    domain: str
    holds: Holds
    signed: frozenset[bytes] = frozenset()
    partial: bool = False


def body_hashes(message: bytes) -> list[BodyHash]:
    """Check the body hashes of a message's DKIM signatures, in field order. Line ends count as CRLF, as in SMTP."""
    header = header_of(message)
    fields = [field for field in header.fields() if field.name == FIELD][:MOST]
    if not fields:
        return []
    body = _wire(header.text[header.body :])
    forms: dict[bytes, bytes] = {}
    found = []
    for field in fields:
        tags = _tags(header.text[field.value : field.end]) if field.end - field.value <= LONGEST else None
        found.append(BodyHash("", Holds.UNKNOWN) if tags is None else _judged(tags, body, forms))
    return found


def _judged(tags: dict[bytes, bytes], body: bytes, forms: dict[bytes, bytes]) -> BodyHash:
    domain = tags.get(b"d", b"").decode("utf-8", "replace")[:253]
    signed = frozenset(_FOLDS.sub(b"", tags.get(b"h", b"")).lower().split(b":"))
    unknown = BodyHash(domain, Holds.UNKNOWN, signed, b"l" in tags)
    form = tags.get(b"c", b"simple").partition(b"/")[2] or b"simple"
    length = tags.get(b"l", b"0")
    canonical = _FORMS.get(form)
    if tags.get(b"a") not in _ALGORITHMS or canonical is None or not length.isdigit() or len(length) > 76:
        return unknown
    try:
        claimed = b64decode(_FOLDS.sub(b"", tags.get(b"bh", b"")), validate=True)
    except (binascii.Error, ValueError):
        return unknown
    if not claimed:
        return unknown
    if form not in forms:
        forms[form] = canonical(body)
    text = memoryview(forms[form])
    if b"l" in tags:
        if int(length) > len(text):
            return unknown._replace(holds=Holds.NO)
        text = text[: int(length)]
    holds = hmac.compare_digest(hashlib.sha256(text).digest(), claimed)
    return unknown._replace(holds=Holds.YES if holds else Holds.NO)


def _tags(value: bytes) -> dict[bytes, bytes] | None:
    """Parse the tag list of a field's value. None if it is not a tag list or repeats a tag."""
    tags: dict[bytes, bytes] = {}
    specs = value.split(b";")
    if not specs[-1].strip(b" \t\r\n"):
        specs.pop()
    for spec in specs:
        name, equals, text = spec.partition(b"=")
        name = name.strip(b" \t\r\n")
        if not equals or not _NAME.fullmatch(name) or name in tags:
            return None
        tags[name] = text.strip(b" \t\r\n")
    return tags


def _wire(body: bytes) -> bytes:
    if body.count(b"\n") != body.count(b"\r\n"):
        body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"


def _without_last_lines(body: bytes) -> bytes:
    """Strip the empty lines at the end of `body`, including the CRLF of its last line."""
    text = body.rstrip(b"\r\n")
    ends = _ENDS.match(body[len(text) :][::-1])
    return body[: len(body) - (ends.end() if ends else 0)]


def _simple(body: bytes) -> bytes:
    return _without_last_lines(body) + b"\r\n"


def _relaxed(body: bytes) -> bytes:
    text = _without_last_lines(_BLANKS.sub(b" ", body).replace(b" \r\n", b"\r\n"))
    return text + b"\r\n" if text else b""


_FORMS = {b"simple": _simple, b"relaxed": _relaxed}
