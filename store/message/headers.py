"""The header block of a message or part: found, cut to its limits, split into fields, decoded. Cannot raise.

Encoded-words (RFC 2047) are read as generously as mail programs do: in any place, also inside quotes, without the
spaces between, with words that split a character. Raw 8-bit text is UTF-8 if it can be, else windows-1252.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from store.message.charset import decode, guess
from store.message.transfer import decode_base64, decode_quoted_printable

#: Bytes and lines of a header block that are looked at, and fields that are kept of it; the rest is left out.
BLOCK_LIMIT, LINE_LIMIT, FIELD_COUNT_LIMIT = 4 * 1024 * 1024, 20_000, 2000
#: Bytes of one field that are kept. A longer one does not push the fields after it out of sight.
FIELD_LIMIT = 64 * 1024

_FIELD = re.compile(rb"([!-9;-~]{1,1000})[ \t]*:[ \t]*")
_NAMES = re.compile(rb"(?m)^([!-9;-~]{1,1000})[ \t]*:")
_WORD = r"=\?([^?\s]{1,80})\?([BbQq])\?([^?]*)\?="
_WORDS = re.compile(rf"{_WORD}(?:\s*{_WORD})*")
_ONE_WORD = re.compile(_WORD)
_SPECIALS = re.compile(r'[",;:<>@()\[\]\\]')


class Block(NamedTuple):
    """A header block: its fields in order (lower-case name, unfolded raw value), where it starts and ends, the body.

    Offsets are in the bytes that were scanned. `cut` says that a limit was reached, `broken` that the block ends in
    a line that is no field (which then belongs to the body).
    """

    fields: list[tuple[bytes, bytes]]
    start: int
    end: int
    body: int
    cut: bool
    broken: bool

    def first(self, name: bytes) -> bytes:
        """The first field of this name (lower case), b"" where there is none."""
        for field, value in self.fields:
            if field == name:
                return value
        return b""

    def original(self, raw: bytes) -> list[tuple[bytes, bytes]]:
        """The fields with their names as written, for a block that was scanned without `wanted`."""
        names = _NAMES.findall(raw[self.start : self.end][:BLOCK_LIMIT])
        if len(names) < len(self.fields):
            return self.fields
        return [(names[index], value) for index, (_, value) in enumerate(self.fields)]

    def all(self, name: bytes) -> list[bytes]:
        """All fields of this name (lower case), in order."""
        return [value for field, value in self.fields if field == name]


def scan_block(raw: bytes, start: int, end: int, *, wanted: frozenset[bytes] | None = None, top: bool = True) -> Block:
    """Split the header block at ``raw[start:end]``; with `wanted`, only fields of these names are kept.

    At the `top` of a message a `From ` line (mbox) is skipped first. Continuation lines are joined with one space.
    """
    if top and (raw.startswith(b"From ", start) or raw.startswith(b">From ", start)):
        line_end = raw.find(b"\n", start, end)
        start = line_end + 1 if line_end >= 0 else end
    if raw.startswith((b"\n", b"\r\n"), start):
        return Block([], start, start, min(end, start + (1 if raw.startswith(b"\n", start) else 2)), False, False)
    crlf = raw.find(b"\n\r\n", start, end)
    blank = raw.find(b"\n\n", start, crlf if crlf >= 0 else end)
    if blank >= 0:
        stop, body = blank + 1, blank + 2
    elif crlf >= 0:
        stop, body = crlf + 1, crlf + 3
    else:
        stop = body = end
    fields: list[tuple[bytes, bytes]] = []
    pieces: list[bytes] | None = None
    cut = stop - start > BLOCK_LIMIT
    offset = start
    size = 0
    lines = raw[start : min(stop, start + BLOCK_LIMIT)].split(b"\n", LINE_LIMIT)
    if len(lines) > LINE_LIMIT:
        lines.pop()
        cut = True
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if pieces is not None and size < FIELD_LIMIT:
                pieces.append(line.strip())
                size += len(line)
        elif line and line != b"\r":
            if pieces is not None and len(pieces) > 1:
                fields[-1] = (fields[-1][0], b" ".join(pieces))
            pieces = None
            found = _FIELD.match(line)
            if found is None:
                if line[:1] != b":":
                    return Block(fields, start, offset, offset, cut, True)
            else:
                name = found[1].lower()
                if wanted is None or name in wanted:
                    if len(fields) == FIELD_COUNT_LIMIT:
                        cut = True
                        break
                    pieces = [line[found.end() : found.end() + FIELD_LIMIT + 1].rstrip()]
                    size = len(pieces[0])
                    fields.append((name, pieces[0]))
        offset += len(line) + 1
    if pieces is not None and len(pieces) > 1:
        fields[-1] = (fields[-1][0], b" ".join(pieces))
    return Block(fields, start, stop, body, cut, False)


def decode_field(value: bytes, limit: int = FIELD_LIMIT, hint: str = "") -> str:
    """A field's value as text of at most `limit` characters, encoded-words decoded; an ellipsis where it was cut.

    `hint` is the charset in which raw 8-bit text that is not UTF-8 is read.
    """
    text = _raw_text(value, limit, hint)
    if "=?" in text:
        text = _WORDS.sub(_decode_words, text)
    if len(text) > limit or len(value) > FIELD_LIMIT:
        return text[: limit - 1] + "…"
    return text


def decode_addresses(value: bytes, limit: int = FIELD_LIMIT, hint: str = "") -> str:
    """A field of addresses as text: as `decode_field`, but what an encoded-word hides cannot pose as an address.

    A decoded name that holds a comma, a bracket or an @ is put in quotes, unless it stood in quotes already. What is
    too long is cut after a whole address, so that no half of one is left to be written to.
    """
    text = _raw_text(value, limit, hint)
    if "=?" in text:
        out: list[str] = []
        position = 0
        quoted = False
        for match in _WORDS.finditer(text):
            between = text[position : match.start()]
            quoted ^= between.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 1
            words = _decode_words(match)
            if quoted:
                words = words.replace("\\", "\\\\").replace('"', '\\"')
            elif _SPECIALS.search(words):
                words = '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
            out += (between, words)
            position = match.end()
        text = "".join((*out, text[position:]))
    if len(text) > limit or len(value) > FIELD_LIMIT:
        whole, comma, _ = text[: limit - 3].rpartition(",")
        return f"{whole}, …" if comma else text[: limit - 1] + "…"
    return text


def _raw_text(value: bytes, limit: int, hint: str) -> str:
    if value.isascii() and b"\x1b" not in value:
        return value[:FIELD_LIMIT].decode("ascii")
    room = min(FIELD_LIMIT, 8 * limit + 64)
    return guess(value[:room], hint, cut=len(value) > room)


def _decode_words(match: re.Match[str]) -> str:
    out: list[str] = []
    pending: list[bytes] = []
    pending_charset = ""
    for charset, encoding, payload in _ONE_WORD.findall(match[0]):
        charset = charset.split("*", 1)[0].lower()
        coded = payload.encode("utf-8", "replace")
        if encoding in "Bb":
            data = decode_base64(coded)[0]
        else:
            data = decode_quoted_printable(coded.replace(b"_", b" ").replace(b"\n", b" ").replace(b"= ", b"=20"))
        if pending and charset != pending_charset:
            out.append(decode(b"".join(pending), pending_charset))
            pending = []
        pending.append(data)
        pending_charset = charset
    out.append(decode(b"".join(pending), pending_charset))
    return "".join(out)
