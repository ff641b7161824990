"""HTTP/1.1 as a scanner speaks it: one request with a body, and its response. Written here, because an HTTP client
library took more time for a message than all the rest of asking rspamd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from store.judging.engines.states import ScannerFailure

#: Max size of a response's header, in bytes.
HEADER_LIMIT = 64 * 1024
_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})[ \r]")
_FIELD = re.compile(rb"\r\n(content-length|transfer-encoding|connection)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")
_INVALID = "its answer is invalid"


class Response(NamedTuple):
    """A response. `lasting`: the connection can take another request."""

    status: int
    body: bytes
    lasting: bool


def request(method: str, host: str, path: str, fields: Iterable[tuple[str, str]] = (), length: int = 0) -> bytes:
    """Write the header of a request. The values must be free of line ends."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if length or method == "POST":
        lines.append(f"Content-Length: {length}")
    return "\r\n".join((*lines, "\r\n")).encode()


def response(data: bytearray, ended: bool, limit: int) -> Response | None:
    """Read a response whose body has at most `limit` bytes; None if more has to come.

    Raises ScannerFailure if it is no HTTP or is too long.
    """
    end = data.find(b"\r\n\r\n", 0, HEADER_LIMIT)
    status = _STATUS.match(data)
    if end < 0 or status is None:
        if len(data) >= HEADER_LIMIT or not (status or _may_begin(data)) or end >= 0:
            raise ScannerFailure(_INVALID)
        return None
    fields = {name.lower(): value.strip().lower() for name, value in _FIELD.findall(data[: end + 2])}
    body = memoryview(data)[end + 4 :]
    try:
        found, complete = _body(body, fields, ended, limit)
    finally:
        body.release()
    if found is None:
        return None
    connection = fields.get(b"connection", b"keep-alive" if status[1] == b"1" else b"close")
    return Response(int(status[2]), found, complete and connection != b"close" and not ended)


def _may_begin(data: bytearray) -> bool:
    return b"HTTP/1.".startswith(bytes(data[:7])) and len(data) < 13


def _body(data: memoryview, fields: dict[bytes, bytes], ended: bool, limit: int) -> tuple[bytes | None, bool]:
    """Return the body, and whether it told its end itself; None if more has to come."""
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if coding is not None:
        if coding != b"chunked":
            raise ScannerFailure(_INVALID)
        _check(len(data), 2 * limit + HEADER_LIMIT)
        return _chunked(bytes(data), limit)
    if length is None:
        _check(len(data), limit)
        return (bytes(data) if ended else None), False
    if not length.isdigit() or len(length) > 18:
        raise ScannerFailure(_INVALID)
    _check(int(length), limit)
    return (bytes(data[: int(length)]) if len(data) >= int(length) else None), len(data) == int(length)


def _chunked(data: bytes, limit: int) -> tuple[bytes | None, bool]:
    body, at = bytearray(), 0
    while True:
        head = _CHUNK.match(data, at)
        if head is None:
            if b"\r\n" in data[at : at + 1000] or len(data) - at > 1000:
                raise ScannerFailure(_INVALID)
            return None, False
        size = int(head[1], 16)
        _check(len(body) + size, limit)
        at = head.end() + size + 2
        if size == 0:
            # Without trailer fields, or with some that end in an empty line.
            end = at if data[head.end() : at] == b"\r\n" else data.find(b"\r\n\r\n", head.end()) + 4
            return (bytes(body), len(data) == end) if end >= at else (None, False)
        if len(data) < at:
            return None, False
        if data[at - 2 : at] != b"\r\n":
            raise ScannerFailure(_INVALID)
        body += data[head.end() : at - 2]


def _check(length: int, limit: int) -> None:
    if length > limit:
        raise ScannerFailure("its answer is too long")
