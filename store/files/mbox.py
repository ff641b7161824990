"""Messages out of one file, byte for byte: one message, or an mbox that holds several.

A file is an mbox of several messages only where it begins with a `From ` line and a second one begins another message,
after an empty line and with a time and a year in it. In every other case, and always where its name ends in `.eml` or
it lies in a Maildir, the file is ONE message and is kept whole, a leading `From ` line included. So nothing is ever cut
out of a single message's file.

Out of an mbox come the bytes between a `From ` line and the empty line before the next one; the separators are the
mbox's, not the message's. A writer of mboxrd puts one `>` before each line of the message that begins with `From `
(or with `>`s and then `From `): one is taken off again. A message with an unquoted `From ` line in it was written by
a program that does not quote (mboxcl2), and is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from store.mail.header_fields import header_of
from store.terms.errors import IntakeError

#: The largest message that is read, in bytes. One message at a time is held in memory.
MESSAGE_LIMIT = 256 << 20
_CHUNK = 1 << 20
#: The longest line that can be a separator, in bytes.
_LOOKAHEAD = 4096

_FIRST = re.compile(rb"From [^\r\n]*\r?\n")
_CANDIDATE = re.compile(rb"\nFrom ")
_SEPARATOR = re.compile(rb"From [^\r\n]*\d\d:\d\d[^\r\n]*\b(?:19|20)\d\d\b[^\r\n]*(?:\r?\n|\Z)")
_FIELDS = frozenset((b"from", b"to", b"subject", b"date", b"received", b"message-id"))
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


class Readable(Protocol):
    """What bytes are read from: at most `size` at a time, none at the end."""

    def read(self, size: int, /) -> bytes: ...


def read_messages(
    stream: Readable, *, single: bool = False, only_messages: bool = False, limit: int = MESSAGE_LIMIT
) -> Iterator[bytes | IntakeError]:
    """Yield a file's messages in order; an IntakeError stands for one larger than `limit` bytes.

    `single`: the file is one message, whatever it looks like. `only_messages`: a file that is neither that nor an mbox
    and has no field of a message's header is refused, by an IntakeError too. Raises what `stream` raises.
    """
    first = _beginning(stream)
    if single or not _FIRST.match(first):
        if only_messages and not single and not any(field.name in _FIELDS for field in header_of(first).fields()):
            yield IntakeError(
                "It is no message: it has none of the header fields From, To, Subject, Date, Received and Message-ID. "
                "Give --force to place it in Backup all the same."
            )
            return
        yield _whole(stream, first, limit)
        return
    yield from _split(stream, bytearray(first), limit)


def _beginning(stream: Readable) -> bytes:
    """Enough of the stream to judge its first line, though it may give out a few bytes at a time."""
    first = b""
    while len(first) < _LOOKAHEAD:
        piece = stream.read(_CHUNK)
        if not piece:
            break
        first += piece
    return first


def _whole(stream: Readable, first: bytes, limit: int) -> bytes | IntakeError:
    pieces, size = [first], len(first)
    while size <= limit:
        piece = stream.read(_CHUNK)
        if not piece:
            return first if len(pieces) == 1 else b"".join(pieces)
        pieces.append(piece)
        size += len(piece)
    return _too_large(limit)


def _split(stream: Readable, buffer: bytearray, limit: int) -> Iterator[bytes | IntakeError]:
    """`buffer` always begins with the `From ` line of the message that is being read."""
    several, at_end, searched, dropped = False, False, 0, False
    while True:
        found = _separator(buffer, searched, at_end)
        if found.end is not None:
            several = True
            yield _too_large(limit) if dropped else _message(bytes(buffer[: found.end]))
            del buffer[: found.next]
            searched, dropped = 0, False
            continue
        if at_end:
            break
        searched = found.next
        if len(buffer) > limit:
            # Only the end of what is being dropped can still be the beginning of a separator.
            dropped = True
            kept = max(0, searched - len(b"\r\n\r\n"))
            del buffer[:kept]
            searched -= kept
        piece = stream.read(_CHUNK)
        at_end = not piece
        buffer += piece
    if dropped or len(buffer) > limit:
        yield _too_large(limit)
    else:
        yield _message(bytes(buffer), last=True) if several else bytes(buffer)


class _Cut(NamedTuple):
    """Where a message ends (None: no separator was found), and where the next one, or the next search, begins."""

    end: int | None
    next: int


def _separator(buffer: bytearray, position: int, at_end: bool) -> _Cut:
    for candidate in _CANDIDATE.finditer(buffer, position):
        line = candidate.start() + 1
        blank = _blank_line_before(buffer, line)
        if blank is None:
            continue
        if not at_end and len(buffer) - line < _LOOKAHEAD:
            return _Cut(None, candidate.start())
        if _SEPARATOR.match(buffer, line, line + _LOOKAHEAD):
            return _Cut(blank, line)
    return _Cut(None, max(position, len(buffer) - len(b"\r\n\r\nFrom ")))


def _blank_line_before(buffer: bytearray, line: int) -> int | None:
    """Return the offset of the empty line just before `line`; None if the line before is not empty."""
    blank = line - 2 if buffer[line - 2 : line] == b"\r\n" else line - 1
    return blank if blank > 0 and buffer[blank - 1] == 0x0A else None


def _message(piece: bytes, *, last: bool = False) -> bytes:
    body = piece.partition(b"\n")[2]
    if last:
        if body.endswith(b"\r\n\r\n"):
            body = body[:-2]
        elif body.endswith(b"\n\n"):
            body = body[:-1]
    if b"From " not in body or body.startswith(b"From ") or b"\nFrom " in body:
        return body
    return _QUOTED.sub(rb"\1", body)


def _too_large(limit: int) -> IntakeError:
    return IntakeError(f"A message in it is larger than {limit >> 20} MB, the most that import reads; it was left out.")
