"""Read the messages in a file, byte for byte: a single message, or an mbox of several.

A file counts as an mbox of several messages only if it begins with a `From ` line, and a second `From ` line, after an
empty line and with a time and a year in it, begins another message. Any other file, and always one whose name ends in
`.eml` or that is in a Maildir, is ONE message and is kept whole, with a leading `From ` line. So nothing is ever cut
out of a single message's file.

A message of an mbox is the bytes between a `From ` line and the empty line before the next one; the separators belong
to the mbox. An mboxrd writer puts one `>` before each line of the message that begins with any number of `>` and `From
`; it is removed again. A message with an unquoted `From ` line was written by a program that does not quote (mboxcl2),
and stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from store.mail.header_fields import header_of
from store.terms.errors import IntakeError

#: Max size of a message, in bytes. One message at a time is held in memory.
MESSAGE_LIMIT = 256 << 20
_CHUNK = 1 << 20
#: Max length of a separator line, in bytes.
_LOOKAHEAD = 4096

_FIRST = re.compile(rb"From [^\r\n]*\r?\n")
_CANDIDATE = re.compile(rb"\nFrom ")
_SEPARATOR = re.compile(rb"From [^\r\n]*\d\d:\d\d[^\r\n]*\b(?:19|20)\d\d\b[^\r\n]*(?:\r?\n|\Z)")
_FIELDS = frozenset((b"from", b"to", b"subject", b"date", b"received", b"message-id"))
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


class Readable(Protocol):
    """A source of bytes: `read` returns at most `size` of them, none at the end."""

    def read(self, size: int, /) -> bytes: ...


def read_messages(
    stream: Readable, *, single: bool = False, only_messages: bool = False, limit: int = MESSAGE_LIMIT
) -> Iterator[bytes | IntakeError]:
    """Yield a file's messages in order, with an IntakeError in place of one larger than `limit` bytes.

    `single`: the file is one message, whatever its content. `only_messages`: a file that is not an mbox and has no
    header field of a message is refused, also by an IntakeError. Raises the errors of `stream`.
    """
    first = _beginning(stream)
    if single or not _FIRST.match(first):
        if only_messages and not single and not any(field.name in _FIELDS for field in header_of(first).fields()):
            yield IntakeError(
                "It is not a message: it has none of the header fields From, To, Subject, Date, Received and "
                "Message-ID. Add --force to import it anyway."
            )
            return
        yield _whole(stream, first, limit)
        return
    yield from _split(stream, bytearray(first), limit)


def _beginning(stream: Readable) -> bytes:
    """Read enough of the stream to judge its first line, even if it returns only a few bytes at a time."""
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
    """Split an mbox. `buffer` always begins with the `From ` line of the present message."""
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
            # A separator may begin in the last bytes of the dropped text, so keep these.
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
    """The end of a message (None: no separator found), and the start of the next message or of the next search."""

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
    return IntakeError(
        f"A message in it was skipped: it is larger than {limit >> 20} MB, the largest that import reads."
    )
