"""The parts of a message as lines: its attachments, its links, and its raw source."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from store.terms.sizes import format_size
from tui.terminal.lines import EMPTY, Line, Span, field
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.message.parsed import ParsedAttachment, ParsedMessage


def digest_halves(digest: bytes, room: int) -> list[str]:
    """A digest in hexadecimal, in two even halves where it does not fit."""
    text = digest.hex()
    return [text] if len(text) <= room else [text[: len(text) // 2], text[len(text) // 2 :]]


def full_size(size: int) -> str:
    """``82.34 KB (84,321 bytes)``."""
    shown = format_size(size)
    return shown if size < 1024 else f"{shown} ({size:,} bytes)"


def attachment_lines(parsed: ParsedMessage, width: int) -> list[Line]:
    """Each attachment: name, declared type, type by content, size and SHA-256."""
    if not parsed.attachments:
        return [(Span("The message has no attachments.", "muted"),)]
    lines: list[Line] = []
    for attachment in parsed.attachments:
        differs = not _types_agree(attachment.declared_type, attachment.detected_type)
        values: list[tuple[str, str, str]] = [
            ("Name", attachment.name or "(no name)", "strong"),
            ("Declared type", attachment.declared_type, "text"),
            (
                "Type by content",
                f"{attachment.detected_type}{'  △ not what is declared' if differs else ''}",
                "risk" if differs else "text",
            ),
            ("Size", full_size(attachment.size), "text"),
        ]
        for label, text, kind in values:
            lines += field(label, [(text, kind)] if text else [], width, 15)
        lines += field(
            "SHA-256", [(piece, "muted") for piece in digest_halves(attachment.sha256, width - 17)], width, 15
        )
        for note in _attachment_notes(attachment):
            lines += field("", [(note, "risk")], width, 15)
        lines.append(EMPTY)
    if parsed.attachments_truncated:
        lines += [(Span("There are more attachments: they are in Source.", "muted"),), EMPTY]
    return lines[:-1]


def _attachment_notes(attachment: ParsedAttachment) -> list[str]:
    notes = [f"△ {attachment.note}"] if attachment.note else []
    if attachment.depth:
        notes.append(f"In an attached message{f', {attachment.depth} deep' if attachment.depth > 1 else ''}")
    return notes


#: Types that say nothing of what is inside, or that there is nothing: they contradict no other.
_VAGUE = frozenset(
    {"", "application/octet-stream", "application/x-download", "application/force-download", "application/x-empty"}
)
#: Parts of type names that stand for the same kind of content as others of their line.
_KINDS = (
    ("/zip", "x-zip", "vnd.openxmlformats", "vnd.oasis", "java-archive"),
    ("gzip", "gtar", "x-tgz"),
    ("message/", "rfc822"),
    ("pkcs7",),
    ("jpeg", "jpg"),
)


def _types_agree(declared: str, detected: str) -> bool:
    declared, detected = declared.lower(), detected.lower()
    if declared in _VAGUE or detected in _VAGUE:
        return True
    if detected.startswith("text/") and not declared.startswith(("image/", "audio/", "video/", "application/pdf")):
        return True
    bare = [one.split("/")[-1].removeprefix("x-") for one in (declared, detected)]
    return bare[0] == bare[1] or any(
        any(part in declared for part in parts) and any(part in detected for part in parts) for parts in _KINDS
    )


def link_lines(parsed: ParsedMessage, width: int) -> list[Line]:
    """Each link: the text shown, against where it really leads, defanged; what is odd about it below."""
    if not parsed.links:
        return [(Span("The message has no links.", "muted"),)]
    lines: list[Line] = []
    for number, link in enumerate(parsed.links, 1):
        kind = "danger" if link.mismatch else "risk" if link.reason else "text"
        values: list[tuple[str, str, str]] = [
            ("Shown text", f"[{number}]  {' '.join(link.text.split()) or '(nothing)'}", "text"),
            ("Real target", link.defanged, kind),
        ]
        if link.punycode:
            values.append(("Punycode", link.punycode.replace(".", "[.]"), kind))
        if link.reason:
            sign = "▲" if link.mismatch else "△"
            values.append(("", f"{sign} {link.reason}", kind))
        for label, text, value_kind in values:
            lines += field(label, [(text, value_kind)], width, 11)
        lines.append(EMPTY)
    return lines[:-1]


class SourceLines(Sequence[Line]):
    """The raw bytes as lines, decoded and made safe only as they are looked at.

    Bytes that are no UTF-8 show as ``\\xNN``; a line longer than `CHUNK` bytes is shown in pieces.
    """

    CHUNK = 2000

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._starts = array("q", self._find_starts(raw))
        self.width = min(
            self.CHUNK,
            max((end - start for start, end in zip(self._starts, self._starts[1:], strict=False)), default=1),
        )
        self._starts.append(len(raw))

    @classmethod
    def _find_starts(cls, raw: bytes) -> Iterator[int]:
        at = 0
        while at < len(raw):
            yield at
            end = raw.find(b"\n", at, at + cls.CHUNK)
            if end >= 0:
                at = end + 1
                continue
            at = min(len(raw), at + cls.CHUNK)
            while at < len(raw) and raw[at] & 0xC0 == 0x80:
                at += 1
            if raw[at : at + 2] == b"\r\n":
                at += 1
            if raw[at : at + 1] == b"\n":
                at += 1

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        piece = self._raw[self._starts[index] : self._starts[index + 1]]
        line = piece.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")
        return (Span(safe(line.expandtabs(8))),)
