"""Messages as bytes: headers in any charset, bodies in any transfer encoding, multipart bodies. CRLF throughout.

Written for speed (a demo store may hold 100,000 messages): it joins byte strings and parses nothing.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from random import Random
from typing import NamedTuple

Header = tuple[str, bytes]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"'})
_SPECIALS = frozenset('()<>[]:;@\\,."')
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Part(NamedTuple):
    """A MIME part: header lines and body, both encoded and ending in CRLF."""

    head: bytes
    body: bytes


def encode(text: str, charset: str) -> tuple[bytes, str]:
    """Encode `text` in `charset`, or in UTF-8 if that charset lacks a character; return also the charset used."""
    try:
        return text.encode(charset), charset
    except UnicodeEncodeError:
        return text.encode("utf-8"), "utf-8"


@lru_cache(maxsize=8192)
def encoded_words(text: str, charset: str, *, quoted: bool = False) -> bytes:
    """Encode a header's text: plain if ASCII, else as encoded words of at most 75 characters, folded."""
    if text.isascii():
        return text.encode()
    charset = encode(text, charset)[1]
    words = []
    at = 0
    while at < len(text):
        length = 40
        word = _word(text[at : at + length], charset, quoted)
        while len(word) > 75 and length > 1:
            length -= max(1, length // 6)
            word = _word(text[at : at + length], charset, quoted)
        words.append(word)
        at += length
    return b"\r\n ".join(words)


def _word(text: str, charset: str, quoted: bool) -> bytes:
    data = text.encode(charset)
    if not quoted:
        return b"=?%s?B?%s?=" % (charset.encode(), binascii.b2a_base64(data, newline=False))
    return b"=?%s?Q?%s?=" % (charset.encode(), b"".join(_QUOTED[byte] for byte in data))


_QUOTED = [
    bytes([byte]) if chr(byte).isalnum() and byte < 128 else b"_" if byte == 32 else b"=%02X" % byte
    for byte in range(256)
]


def mailbox(name: str, address: str, charset: str, *, quoted: bool = False) -> bytes:
    """Write `Name <address>` for an address header."""
    if not name:
        return address.encode()
    if not name.isascii():
        return encoded_words(name, charset, quoted=quoted) + b" <" + address.encode() + b">"
    if _SPECIALS.isdisjoint(name):
        return f"{name} <{address}>".encode()
    return f'"{name.translate(_ESCAPES)}" <{address}>'.encode()


def date(milliseconds: int, offset_hours: int = 0) -> bytes:
    """Write Unix ms as `Tue, 24 Nov 2026 09:41:03 +0200`."""
    zone = timezone(timedelta(hours=offset_hours)) if offset_hours else UTC
    moment = datetime.fromtimestamp(milliseconds / 1000, zone)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day} {_MONTHS[moment.month - 1]} {moment.year} "
        f"{moment:%H:%M:%S} {'+' if offset_hours >= 0 else '-'}{abs(offset_hours):02}00"
    ).encode()


def text_part(text: str, charset: str, rng: Random, *, subtype: str = "plain") -> Part:
    """Make a text part in a charset, with a transfer encoding that mail programs use for it."""
    data, charset = encode(text.replace("\n", "\r\n"), charset)
    if data.isascii():
        transfer = b"7bit"
    elif charset in ("utf-8", "gb18030", "big5", "shift_jis", "euc-kr", "euc-jp") and rng.random() < 0.6:
        transfer, data = b"base64", base64_lines(data)
    elif rng.random() < 0.75:
        transfer, data = b"quoted-printable", quoted_printable(data)
    else:
        transfer = b"8bit"
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    head = b"Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n" % (
        subtype.encode(),
        charset.encode(),
        transfer,
    )
    return Part(head, data)


def quoted_printable(data: bytes) -> bytes:
    """Encode `data`, whose lines end in CRLF, as quoted-printable."""
    return binascii.b2a_qp(data, istext=True)


def base64_lines(data: bytes) -> bytes:
    """Encode `data` as base64 in lines of 76 characters."""
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([*(encoded[at : at + 76] for at in range(0, len(encoded), 76)), b""])


def attachment_part(name: str, content_type: str, encoded: bytes, charset: str) -> Part:
    """Make an attachment part from a base64 body; a non-ASCII name is encoded by RFC 2231."""
    if name.isascii():
        parameter = b'"' + name.translate(_ESCAPES).encode() + b'"'
        type_name, disposition_name = b"; name=" + parameter, b"; filename=" + parameter
    else:
        data, charset = encode(name, charset)
        percent = b"".join(_PERCENT[byte] for byte in data)
        type_name = b'; name="' + encoded_words(name, charset) + b'"'
        disposition_name = b"; filename*=" + charset.encode() + b"''" + percent
    head = b"Content-Type: " + content_type.encode() + type_name + b"\r\nContent-Transfer-Encoding: base64\r\n"
    return Part(head + b"Content-Disposition: attachment" + disposition_name + b"\r\n", encoded)


_PERCENT = [
    bytes([byte]) if (chr(byte).isalnum() and byte < 128) or byte in b"-_." else b"%%%02X" % byte for byte in range(256)
]


def multipart(subtype: str, parts: Sequence[Part], rng: Random) -> Part:
    """Combine parts into a multipart part."""
    boundary = b"=_%024x" % rng.getrandbits(96)
    edge = b"--" + boundary
    pieces: list[bytes] = []
    for part in parts:
        pieces += (edge, b"\r\n", part.head, b"\r\n", part.body, b"\r\n")
    head = b'Content-Type: multipart/%s;\r\n\tboundary="%s"\r\n' % (subtype.encode(), boundary)
    return Part(head, b"".join([*pieces, edge, b"--\r\n"]))


def message(headers: Iterable[Header], body: Part) -> bytes:
    """Write the whole message."""
    lines = [b"%s: %s\r\n" % (name.encode(), value) for name, value in headers]
    return b"".join([*lines, b"MIME-Version: 1.0\r\n", body.head, b"\r\n", body.body])
