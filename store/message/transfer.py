"""Decode base64, quoted-printable and uuencode, however broken. Cannot raise."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_BASE64)))
_SPACE = b" \t\r\n"
#: The name, and the space before it, may be missing.
_UU_BEGIN = re.compile(rb"(?m)^begin [0-7]{3,4}(?:[ \t]([^\r\n]*+))?\r?$")
_UU_NAMES = 1000
_UU_END = re.compile(rb"\nend[ \t\r]*(?=\n|\Z)")


def decode_base64(data: bytes) -> tuple[bytes, bool]:
    """Decode base64. The second value is True if it was malformed: foreign characters, a cut end, trailing text."""
    clean = data.translate(None, _SPACE)
    try:
        return binascii.a2b_base64(clean, strict_mode=True), False
    except (binascii.Error, ValueError):
        pass
    try:
        return binascii.a2b_base64(clean), True
    except (binascii.Error, ValueError):
        pass
    digits = clean.translate(None, _NOT_BASE64)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4)), True


def is_base64(data: bytes) -> bool:
    """Return True if text declared as base64 may be base64: at most 2 % of it are foreign characters or spaces."""
    clean = data.translate(None, b"\t\r\n=")
    return len(clean) - len(clean.translate(None, _NOT_BASE64)) <= len(clean) // 50


def base64_size(raw: bytes, start: int, end: int) -> int:
    """Compute the decoded size of well-formed base64 in ``raw[start:end]``, without decoding or copying it."""
    padding = raw.find(b"=", start, end)
    stop = padding if padding >= 0 else end
    digits = stop - start - sum(raw.count(space, start, stop) for space in (b"\n", b"\r", b" ", b"\t"))
    return digits * 3 // 4


def decode_quoted_printable(data: bytes) -> bytes:
    """Decode quoted-printable. Broken escapes stay as they are."""
    return binascii.a2b_qp(data)


def decode_uuencode(data: bytes) -> tuple[bytes, bool]:
    """Decode the first uuencoded block. The second value is True if it was malformed."""
    begin = _UU_BEGIN.search(data)
    if not begin:
        return data, True
    out: list[bytes] = []
    broken = False
    for line in data[begin.end() :].lstrip(b"\r").lstrip(b"\n").split(b"\n"):
        line = line.rstrip(b"\r")
        if line.rstrip(b" \t\r") == b"end":
            return b"".join(out), broken
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            length = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
            try:
                out.append(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                broken = True
    return b"".join(out), True


class UuFile(NamedTuple):
    """A uuencoded file in a text: its names, the range ``start:end`` of its lines, its content, and whether it is
    `broken`.

    `names` are from every `begin` line above its `end` line, b"" for one without. `end` is the end of the last line,
    without its line break. Lines of a broken file that cannot be decoded are left out.
    """

    names: tuple[bytes, ...]
    start: int
    end: int
    data: bytes
    broken: bool


def uuencoded_files(text: bytes, start: int = 0, stop: int | None = None) -> Iterator[UuFile]:
    """Yield the uuencoded files in ``text[start:stop]`` that mail programs find. Skips empty ones."""
    stop = len(text) if stop is None else stop
    while begin := _UU_BEGIN.search(text, start, stop):
        last = _UU_END.search(text, begin.end(), stop)
        if not last:
            return
        end = last.start() + len(b"\nend")
        data, broken = decode_uuencode(text[begin.start() : end] + b"\n")
        if data:
            begins = islice(_UU_BEGIN.finditer(text, begin.start(), end), _UU_NAMES)
            names = dict.fromkeys((match[1] or b"").strip() for match in begins)
            yield UuFile(tuple(names), begin.start(), end, data, broken)
        start = end


def decode_transfer(data: bytes, encoding: str) -> tuple[bytes, bool]:
    """Decode a transfer encoding. The second value is True if the bytes were malformed or the encoding is unknown."""
    match encoding:
        case "base64":
            return decode_base64(data)
        case "quoted-printable":
            return decode_quoted_printable(data), False
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return decode_uuencode(data)
        case "" | "7bit" | "8bit" | "binary":
            return data, False
    return data, True
