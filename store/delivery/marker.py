"""The marker: a keyed header field by which intake knows a message that a delivery released, and lets it pass once.

    X-Mailhold-Delivery: v=1; d=17; n=…; e=1795504800; b=…; r=…,…; m=…

`d` is the delivery, `n` 12 random bytes, `e` the expiry (Unix seconds), `b` the SHA-256 of the body, `r` one tag a
recipient (8 bytes of HMAC-SHA-256 over `n` and the address), `m` HMAC-SHA-256 over all of these; bytes are base64url.
Tags let a relay split the recipients among transactions, and show nobody's address. Whoever accepts a marker must
remember (`nonce`, tag) until the expiry, so that it is good once for each recipient.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

from store.mail.addresses import same
from store.mail.header_fields import body_of
from store.terms.errors import TamperedError

FIELD = b"x-mailhold-delivery"
#: A marker outlives the hand-over by this much (ms): a relay in between may queue.
LIFE = 24 * 3600 * 1000

_WHAT = "the delivery marker"
_FORM = re.compile(r"v=1;d=(\d{1,18});n=([\w-]{16});e=(\d{1,12});b=([\w-]{43});r=([\w,-]+);m=([\w-]{43})", re.ASCII)


class Marker(NamedTuple):
    """A marker that verified: the delivery, its nonce, its expiry (Unix ms), and the tags of the recipients asked."""

    delivery_id: int
    nonce: bytes
    expires_at: int
    tags: tuple[bytes, ...]


def marker_field(key: bytes, delivery_id: int, message: bytes, recipients: Sequence[str], now: int) -> bytes:
    """The header field, folded and with its CRLF, for handing `message` (header and body) to `recipients` now."""
    nonce = secrets.token_bytes(12)
    expires = (now + LIFE) // 1000
    tags = [_text(_tag(key, nonce, address)) for address in recipients]
    signed = f"v=1;d={delivery_id};n={_text(nonce)};e={expires};b={_text(_body_hash(message))};r={','.join(tags)}"
    mac = _text(_mac(key, b"marker", signed.encode()))
    head, _, _ = signed.partition("r=")
    lines = [",".join(tags[at : at + 6]) for at in range(0, len(tags), 6)]
    folded = ",\r\n ".join(lines)
    return f"X-Mailhold-Delivery: {head.replace(';', '; ').strip()}\r\n r={folded};\r\n m={mac}\r\n".encode("ascii")


def read_marker(key: bytes, value: bytes, message: bytes, recipients: Sequence[str], now: int) -> Marker:
    """Verify a marker field's `value` for `message` and the envelope `recipients` it came with.

    Raises TamperedError where it is malformed, forged, expired, of another body, or of other recipients. Whether it was
    used before is for the caller to know.
    """
    compact = b"".join(value.split()).decode("ascii", "replace")
    match = _FORM.fullmatch(compact)
    if not match:
        raise TamperedError(_WHAT, "it is not in the form that this release writes")
    signed = compact[: match.start(6) - len(";m=")]
    if not hmac.compare_digest(_text(_mac(key, b"marker", signed.encode())), match[6]):
        raise TamperedError(_WHAT, "it was not made with this store's key")
    expires_at = int(match[3]) * 1000
    if now > expires_at:
        raise TamperedError(_WHAT, "it has expired")
    if not hmac.compare_digest(_text(_body_hash(message)), match[4]):
        raise TamperedError(_WHAT, "it belongs to another body")
    nonce = _bytes(match[2])
    known = set(match[5].split(","))
    tags = tuple(_tag(key, nonce, address) for address in recipients)
    if not tags or any(_text(tag) not in known for tag in tags):
        raise TamperedError(_WHAT, "it belongs to other recipients")
    return Marker(int(match[1]), nonce, expires_at, tags)


def _tag(key: bytes, nonce: bytes, address: str) -> bytes:
    return _mac(key, b"recipient", nonce + same(address).encode())[:8]


def _mac(key: bytes, use: bytes, data: bytes) -> bytes:
    return hmac.digest(key, b"mailhold marker 1 " + use + b"\0" + data, "sha256")


def _body_hash(message: bytes) -> bytes:
    """SHA-256 of the body with the liberties of an MTA undone: line ends, stray CR, and the last line's end."""
    body = body_of(message)
    pairs = body.count(b"\r\n")
    if not body.count(b"\r") == body.count(b"\n") == pairs:
        body = body.replace(b"\r\n", b"\n").replace(b"\r", b" ").replace(b"\n", b"\r\n")
    return hashlib.sha256(body.rstrip(b"\r\n")).digest()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
