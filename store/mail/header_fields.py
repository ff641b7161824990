"""Find the end of a message's header, and its fields. All header readers use this module, so that they all agree.

The header is split by its bytes; nothing in it is decoded. Lines end in LF, with or without a CR before it; only in a
message without any LF do they end in CR. The rules:

- an mbox `From ` line at the top (after any number of `>`) is not part of the header;
- a field begins with its name (printable ASCII without a colon), blanks, and a colon; a line that begins with a colon
  is a field too, with an empty name; NUL, 8-bit bytes and a lone CR may occur in values, but not in names;
- a line that begins with a blank continues the field above it, even if it holds only blanks;
- the header ends before the first other line: an empty line, which separates it from the body, or any other line, which
  is the first of the body. So a message whose first line is neither a field nor a continuation has no header.

Sources: RFC 5322 (2.2, 4.5), and Postfix (is_header, smtpd), which passes on the messages before and after Mailhold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = re.compile(rb"([!-9;-~]*)[ \t]*:")
_NO_FIELD = re.compile(rb"(?!(?:[!-9;-~]+[ \t]*)?:)")
# A single search over the bytes: a header of many megabytes needs no copy and no loop.
_END = re.compile(rb"\n(?![ \t]|[!-9;-~]*[ \t]*:)")
_FIELD_END = re.compile(rb"\n(?![ \t])")
_MBOX_LINE = re.compile(rb">*From (?![ \t]*:)[^\n]*\n")


class Field(NamedTuple):
    """A header field: its name in lower case, and the offsets of its start, of its value, and of its end.

    The value starts after the colon; it includes continuation lines and the line end.
    """

    name: bytes
    start: int
    value: int
    end: int


class Header(NamedTuple):
    """The header of a message: ``text[start:end]``. The body is ``text[body:]``; an empty line may be in between.

    `text` is the message; if its only line ends are CR, they are LF here, so offsets are valid in the original too.
    `stop` is the end of the body.
    """

    text: bytes
    start: int
    end: int
    body: int
    stop: int

    @property
    def broken(self) -> bool:
        """Whether the header ends at a line that is not a field, instead of at an empty line or at the end of the
        message.
        """
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
    """Find the header of a message (or with `mbox` False of a part) from `start` on; the message ends before `stop`."""
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


def past_folds(raw: bytes, start: int, stop: int) -> int:
    """Return the start of the first field after continuation lines that continue nothing; `start` if there are none.

    Only for messages inside a message: no mail server has checked them, and mail programs skip such lines.
    """
    folds = _FIELD_END.search(raw, start, stop) if raw[start : start + 1] in (b" ", b"\t") else None
    return folds.end() if folds and not _NO_FIELD.match(raw, folds.end(), stop) else start


def with_line_feeds(raw: bytes) -> bytes:
    """Replace CR by LF if CR is the message's only line end."""
    if b"\n" in raw or b"\r" not in raw:
        return raw
    return raw.replace(b"\r", b"\n")
