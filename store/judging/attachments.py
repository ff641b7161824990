"""Find a message's attachments and replace some of them by notes. All other bytes of the message stay as they are.

An attachment is a MIME part that a mail program shows as a file, or a uuencoded file inside a text. The note that
replaces it is a MIME part or a line of the text. Messages may be hostile: nothing here raises.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection, Iterator
from itertools import islice
from typing import NamedTuple

from store.helpers.file_names import safe_filename
from store.mail.header_fields import header_of, with_line_feeds
from store.mail.incoming import Accept
from store.message.headers import Block, scan_block
from store.message.mime import PART_LIMIT, Budget, Part, scan_structure
from store.message.transfer import UuFile, base64_size, decode_transfer, uuencoded_files
from store.terms.sizes import format_size

_FIELDS = (b"content-type", b"content-transfer-encoding", b"content-disposition")
_WANTED = frozenset((*_FIELDS, b"subject", b"from", b"date"))
_IDENTITY = frozenset(("", "7bit", "8bit", "binary"))
_NOTE_FIELDS = (
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Transfer-Encoding", "quoted-printable"),
    ("Content-Disposition", "inline"),
)


class Found(NamedTuple):
    """One attachment. All text is hostile.

    `names` are all the file names that it claims, the most important first; `declared` is its declared type.
    `raw[start:end]` are its encoded bytes, which `decode` decodes; `whole` is the range that the note replaces. `kind`
    says where the note goes: "part" (a MIME part), "body" (the whole body of the message) or "text" (a line of a text).
    """

    names: tuple[str, ...]
    declared: str
    encoding: str
    start: int
    end: int
    whole: tuple[int, int]
    kind: str

    def decode(self, raw: bytes, limit: int | None = None) -> bytes:
        """Decode the content; with `limit`, only the first `limit` encoded bytes of it."""
        end = self.end if limit is None else min(self.end, self.start + limit)
        return decode_transfer(raw[self.start : end], self.encoding)[0]


class Attachments(NamedTuple):
    """The attachments of a message in order, its top header, and the limits that stopped the search (`problems`)."""

    found: list[Found]
    block: Block
    problems: list[str]


def attachments_of(raw: bytes) -> Attachments:
    """Find all attachments of a message, in order; an attached message comes before its own attachments."""
    raw = with_line_feeds(raw)
    block = scan_block(raw, 0, len(raw), wanted=_WANTED)
    budget = Budget()
    root = scan_structure(raw, block, len(raw), budget)
    found: list[Found] = []
    for part in root.walk():
        if part.is_attachment:
            found.append(_part(part, part is root, _names(part), part.type))
        elif not part.children:
            found.extend(_uuencoded(raw, part, part is root))
    return Attachments(found, block, budget.problems)


def accept_without(raw: bytes, which: Collection[int] | None = None) -> Accept:
    """Express the change that `reduced` makes as header and body changes for the MTA, which holds the message."""
    message, body, block = reduced(raw, which)
    if message == raw:
        return Accept()
    if body is None:
        return Accept(message[block.body :])
    gone = [(name.decode().title(), index + 1) for name in _FIELDS for index in range(len(block.all(name)))]
    return Accept(message[body:], add_headers=_NOTE_FIELDS, delete_headers=tuple(gone))


class Reduced(NamedTuple):
    """A message without attachments, and its former top header (`block`).

    `body` is the offset of the body in `message` if the top header changed too, else None.
    """

    message: bytes
    body: int | None
    block: Block


def reduced(raw: bytes, which: Collection[int] | None = None) -> Reduced:
    """Replace attachments, given by their indexes in `attachments_of` (None = all), by notes.

    Other bytes stay as they are, with one exception: if the whole body is an attachment, the header fields that
    describe it (`_FIELDS`) are replaced too.
    """
    found, block, _ = attachments_of(raw)
    text = with_line_feeds(raw)
    newline = b"\r\n" if b"\r\n" in text[: text.find(b"\n") + 1] else b"\n"
    out: list[bytes] = []
    position = 0
    body: int | None = None
    for index, attachment in enumerate(found):
        start, end = attachment.whole
        # Skip attachments nested in one already removed.
        if start < position or (which is not None and index not in which):
            continue
        note = _note(attachment, text)
        match attachment.kind:
            case "body":
                head = _head(text, newline)
                out.append(head + _encoded(note, newline))
                body = len(head)
            case "part":
                fields = b"".join(f"{name}: {value}".encode() + newline for name, value in _NOTE_FIELDS)
                out += (text[position:start], fields, newline, _encoded(note, newline))
            case _:
                out += (text[position:start], note.encode("ascii", "backslashreplace"))
        position = end
    if not out:
        return Reduced(raw, None, block)
    message = b"".join((*out, text[position:]))
    return Reduced(message if text is raw else message.replace(b"\n", b"\r"), body, block)


def _head(text: bytes, newline: bytes) -> bytes:
    """Build the new top header: the note's content fields replace the attachment's. Ends with the empty line."""
    header = header_of(text)
    others = (text[field.start : field.end] for field in header.fields() if field.name not in _FIELDS)
    kept = b"".join((text[: header.start], *others))
    if kept and not kept.endswith(b"\n"):
        kept += newline
    return kept + b"".join(f"{name}: {value}".encode() + newline for name, value in _NOTE_FIELDS) + newline


def _note(attachment: Found, raw: bytes) -> str:
    name = safe_filename(attachment.names[0], "") if attachment.names else ""
    what = f"{attachment.declared[:100].encode('ascii', 'replace').decode()}, {format_size(_size(attachment, raw))}"
    # Replace "--" so that the note can never match a MIME boundary.
    what = (f"{name} ({what})" if name else f"({what})").replace("--", "__")
    return f"[An attachment was removed from this message: {what}]"


def _size(attachment: Found, raw: bytes) -> int:
    if attachment.encoding == "base64":
        return base64_size(raw, attachment.start, attachment.end)
    return len(attachment.decode(raw))


def _encoded(note: str, newline: bytes) -> bytes:
    """Encode the note in quoted-printable, with the message's line ends."""
    return binascii.b2a_qp(note.encode()).replace(b"\n", newline)


def _part(part: Part, root: bool, names: tuple[str, ...], declared: str) -> Found:
    kind = "body" if root else "part"
    return Found(names, declared, part.encoding, part.start, part.end, (part.block.start, part.end), kind)


def _names(part: Part) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*part.disposition.names("filename"), *part.parameters.names("name"))))


def _uuencoded(raw: bytes, part: Part, root: bool) -> Iterator[Found]:
    """Yield the uuencoded files in a text part.

    If the text itself is encoded (base64, quoted-printable), its files cannot be cut out, so the whole part is yielded
    as one attachment.
    """
    if part.encoding in _IDENTITY:
        for file in islice(uuencoded_files(raw, part.start, part.end), PART_LIMIT):
            where = (file.start, file.end)
            yield Found(_uu_names(file), "application/x-uuencode", "x-uuencode", *where, where, "text")
        return
    text = decode_transfer(raw[part.start : part.end], part.encoding)[0]
    if files := list(islice(uuencoded_files(text), PART_LIMIT)):
        names = tuple(dict.fromkeys(name for file in files for name in _uu_names(file)))
        yield _part(part, root, names, "application/x-uuencode")


def _uu_names(file: UuFile) -> tuple[str, ...]:
    return tuple(name.decode("utf-8", "replace") for name in file.names if name)
