"""The header of a message or part: cut to limits, its fields unfolded and decoded. Cannot raise.

Encoded-words (RFC 2047) are decoded as generously as in mail programs: anywhere, inside quotes, without spaces between
them, and even if they split a character. Raw 8-bit text is decoded as UTF-8 if valid, else as windows-1252.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from store.mail.header_fields import Field, Header, header_of
from store.message.charset import decode, guess
from store.message.transfer import decode_base64, decode_quoted_printable

#: Max bytes and lines of a header block that are read, and max fields kept of it.
BLOCK_LIMIT, LINE_LIMIT, FIELD_COUNT_LIMIT = 4 * 1024 * 1024, 20_000, 2000
#: Max bytes kept of a field and of its name. A longer field does not hide the fields after it.
FIELD_LIMIT, NAME_LIMIT = 64 * 1024, 1000
#: Fields that say who wrote to whom, what about, and what the message consists of. No limit on the header hides them.
_ESSENTIAL = frozenset(
    (
        b"from", b"to", b"cc", b"bcc", b"subject", b"message-id", b"date", b"content-type", b"content-disposition",
        b"content-transfer-encoding",
    )
)  # fmt: skip

_WORD = r"=\?([^?\s]{1,80})\?([BbQq])\?([^?]*)\?="
_WORDS = re.compile(rf"{_WORD}(?:\s*{_WORD})*")
_ONE_WORD = re.compile(_WORD)
_SPECIALS = re.compile(r'[",;:<>@()\[\]\\]')
_FIELD_END = re.compile(rb"\n(?![ \t])")


class Block(NamedTuple):
    """A header block: its fields in order (lower-case name, unfolded raw value), and its offsets.

    `start`, `end` and `body` (start of the body) are offsets in the scanned bytes. `cut`: a limit was reached.
    `broken`: the block ends at a line that is not a field, which then belongs to the body. `late`: how many of the
    fields, the last ones, are essential fields from beyond the limit.
    """

    fields: list[tuple[bytes, bytes]]
    start: int
    end: int
    body: int
    cut: bool
    broken: bool
    late: int = 0

    def first(self, name: bytes) -> bytes:
        """Return the first field of this name (lower case); b"" if there is none."""
        for field, value in self.fields:
            if field == name:
                return value
        return b""

    def original(self, raw: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields with their names as written. The block must have been scanned without `wanted`."""
        cut = header_of(raw, self.start, self.end, mbox=False).fields()
        named = (raw[field.start : field.start + min(len(field.name), NAME_LIMIT)] for field in cut if field.name)
        early = len(self.fields) - self.late
        named_early = [(name, value) for name, (_, value) in zip(named, self.fields[:early], strict=False)]
        return named_early + [(name.title(), value) for name, value in self.fields[early:]]

    def all(self, name: bytes) -> list[bytes]:
        """Return all fields of this name (lower case), in order."""
        return [value for field, value in self.fields if field == name]


def scan_block(
    raw: bytes,
    start: int,
    end: int,
    *,
    wanted: frozenset[bytes] | None = None,
    top: bool = True,
    header: Header | None = None,
) -> Block:
    """Scan the header at ``raw[start:end]``, whose lines end in LF; with `wanted`, keep only fields of these names.

    At the `top` of a message an mbox `From ` line is skipped first. Continuation lines are joined with one space.
    `header` is what `header_of` returns for these arguments, if the caller has it. Beyond a limit, only the first field
    of each essential name that did not occur before is kept.
    """
    header = header_of(raw, start, end, mbox=top) if header is None else header
    fields: list[tuple[bytes, bytes]] = []
    cut = header.end - header.start > BLOCK_LIMIT
    many = raw.count(b"\n", header.start, header.end) > LINE_LIMIT
    lines = late = 0
    for field in header.fields():
        lines += raw.count(b"\n", field.start, field.end) if many else 0
        kept = field.name and (wanted is None or field.name in wanted)
        too_long = lines > LINE_LIMIT or field.start - header.start > BLOCK_LIMIT
        if too_long or (kept and len(fields) == FIELD_COUNT_LIMIT):
            cut = True
            found = {name for name, _ in fields}
            missing = (_ESSENTIAL if wanted is None else _ESSENTIAL & wanted) - found
            beyond = _late_fields(raw, field, header.end, missing)
            late = len(beyond)
            fields += beyond
            break
        if kept:
            fields.append((field.name[:NAME_LIMIT], _value(raw, field.value, field.end)))
    return Block(fields, header.start, header.end, header.body, cut, header.broken, late)


def _late_fields(raw: bytes, field: Field, end: int, missing: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the first field of each `missing` name from `field` to the `end` of the header: one search in all."""
    fields: list[tuple[bytes, bytes]] = []
    if field.name in missing:
        fields.append((field.name, _value(raw, field.value, field.end)))
        missing -= {field.name}
    at = field.end - 1
    while missing and (found := re.compile(rb"(?i)\n(%s)[ \t]*:" % b"|".join(sorted(missing))).search(raw, at, end)):
        name = found[1].lower()
        limit = min(end, found.end() + 2 * FIELD_LIMIT)
        stop = _FIELD_END.search(raw, found.end(), limit)
        fields.append((name, _value(raw, found.end(), stop.end() if stop else limit)))
        missing -= {name}
        at = found.end()
    return fields


def _value(raw: bytes, start: int, end: int) -> bytes:
    return unfolded(raw[start : min(end, start + 2 * FIELD_LIMIT)])


def unfolded(value: bytes) -> bytes:
    """Unfold a value to one line; cut it after the line that exceeds FIELD_LIMIT."""
    first, _, rest = value.partition(b"\n")
    pieces = [first[: FIELD_LIMIT + 1].lstrip(b" \t").rstrip()]
    if not rest:
        return pieces[0]
    size = len(first)
    for line in rest.removesuffix(b"\n").split(b"\n"):
        if size >= FIELD_LIMIT:
            break
        pieces.append(line.strip())
        size += len(line)
    return b" ".join(pieces)


def decode_field(value: bytes, limit: int = FIELD_LIMIT, hint: str = "") -> str:
    """Decode a field, encoded-words included, into at most `limit` characters; an ellipsis marks a cut.

    `hint` is the charset for raw 8-bit text that is not UTF-8.
    """
    text = _raw_text(value, limit, hint)
    if "=?" in text:
        text = _WORDS.sub(_decode_words, text)
    if len(text) > limit or len(value) > FIELD_LIMIT:
        return text[: limit - 1] + "…"
    return text


def decode_addresses(value: bytes, limit: int = FIELD_LIMIT, hint: str = "") -> str:
    """Decode a field of addresses like `decode_field`, but never let an encoded-word pass for an address.

    A decoded name with a comma, a bracket or an @ is put in quotes, unless it is in quotes already. A long field is cut
    after a whole address, so that no truncated address remains.
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
