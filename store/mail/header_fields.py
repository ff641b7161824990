"""Where the header of a message ends, and its fields: the one cutter, so that all who read a header read the same.

The header is cut by its bytes and nothing in it is decoded. Lines end in LF, with or without a CR before it; only
where a message has no LF at all do they end in CR. Then:

- an mbox `From ` line on top (any number of `>` before it) is no part of the header;
- a field begins with its name (printable ASCII without a colon), blanks, and a colon; a line that begins with a colon
  is a field too, whose name is empty; NUL, 8-bit bytes and a CR on its own may stand in a value and in no name;
- a line that begins with a blank goes on with the field above it, also where nothing but blanks is in it;
- the header ends before the first line that is neither: an empty line, which then parts it from the body, or any other,
  which is the body's first; so a message whose first line is neither has no header.

Sources: RFC 5322 (2.2, 4.5), and Postfix (is_header, smtpd), through which messages come and go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = re.compile(rb"([!-9;-~]*)[ \t]*:")
_NO_FIELD = re.compile(rb"(?!(?:[!-9;-~]+[ \t]*)?:)")
# One search over the bytes, whatever they are: a header of many megabytes costs no memory and no loop.
_END = re.compile(rb"\n(?![ \t]|[!-9;-~]*[ \t]*:)")
_FIELD_END = re.compile(rb"\n(?![ \t])")
_MBOX_LINE = re.compile(rb">*From (?![ \t]*:)[^\n]*\n")


class Field(NamedTuple):
    """A header field: its name in lower case, and where its bytes, its value and what follows it begin.

    The value begins behind the colon; it holds continuation lines, and the line end too.
    """

    name: bytes
    start: int
    value: int
    end: int


class Header(NamedTuple):
    """The header of a message: ``text[start:end]``. The body is ``text[body:]``; what parts them is an empty line.

    `text` is the message, with LF where its only line ends were CR; so offsets hold in the message as it came.
    `stop` is where the body ends.
    """

    text: bytes
    start: int
    end: int
    body: int
    stop: int

    @property
    def broken(self) -> bool:
        """Whether the header ends in a line that is no field, and not in an empty line or with the message."""
        return self.body == self.end < self.stop

    def fields(self) -> Iterator[Field]:
        """Yield the fields, in order and without a gap between them."""
        text, _, stop, _, _ = self
        at = self.start
        while at < stop:
            name = _NAME.match(text, at, stop)
            assert name is not None
            end = text.find(b"\n", at, stop) + 1 or stop
            if end < stop and text[end] in b" \t":
                last = _FIELD_END.search(text, end, stop)
                end = last.end() if last else stop
            yield Field(name[1].lower(), at, name.end(), end)
            at = end


def header_of(raw: bytes, start: int = 0, stop: int | None = None, *, mbox: bool = True) -> Header:
    """Cut out the header of a message (or of a part, without `mbox`) that begins at `start` and ends before `stop`."""
    text = with_line_feeds(raw)
    stop = len(text) if stop is None else stop
    if mbox and (line := _MBOX_LINE.match(text, start, stop)):
        start = line.end()
    if _NO_FIELD.match(text, start, stop):
        end = start
    else:
        found = _END.search(text, start, stop)
        end = found.end() if found else stop
    blank = 2 if text.startswith(b"\r\n", end, stop) else 1 if text.startswith(b"\n", end, stop) else 0
    return Header(text, start, end, end + blank, stop)


def body_of(raw: bytes) -> bytes:
    """Return what follows the header and its empty line."""
    header = header_of(raw)
    return header.text[header.body :]


def past_folds(raw: bytes, start: int, stop: int) -> int:
    """`start`, or where the first field begins if only continuations of nothing stand above it.

    For what lies inside a message: no mail server has looked at it, and mail programs pass over such lines.
    """
    folds = _FIELD_END.search(raw, start, stop) if raw[start : start + 1] in (b" ", b"\t") else None
    return folds.end() if folds and not _NO_FIELD.match(raw, folds.end(), stop) else start


def with_line_feeds(raw: bytes) -> bytes:
    """Replace lone carriage returns by LF if the message has no other line ends."""
    if b"\n" in raw or b"\r" not in raw:
        return raw
    return raw.replace(b"\r", b"\n")
