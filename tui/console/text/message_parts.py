"""The lines of a message's parts: attachments, links, raw source."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from store.terms.sizes import format_size
from tui.terminal.lines import EMPTY, Line, Span, field, wrap
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.message.parsed import ParsedAttachment, ParsedMessage


def digest_halves(digest: bytes, room: int) -> list[str]:
    """Return a hexadecimal digest, in two halves if it does not fit."""
    text = digest.hex()
    return [text] if len(text) <= room else [text[: len(text) // 2], text[len(text) // 2 :]]


def full_size(size: int) -> str:
    """Write a size as ``82.34 KB (84,321 bytes)``."""
    shown = format_size(size)
    return shown if size < 1024 else f"{shown} ({size:,} bytes)"


def attachment_lines(parsed: ParsedMessage, width: int) -> list[Line]:
    """Write each attachment: name, declared type, type by content, size and SHA-256."""
    lines = _omission_lines(parsed, width)
    if not parsed.attachments:
        none = "No attachments were found in what was read." if lines else "The message has no attachments."
        return [*lines, (Span(none, "muted"),)]
    for attachment in parsed.attachments:
        differs = _difference(attachment)
        values: list[tuple[str, str, str]] = [
            ("Name", _SPACES.sub(_counted, attachment.name) or "(no name)", "strong"),
            ("Declared type", attachment.declared_type, "text"),
            (
                "Type by content",
                f"{attachment.detected_type}{f'  △ {differs}' if differs else ''}",
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
        lines += [(Span("Not all attachments are listed. The rest is in Source.", "muted"),), EMPTY]
    return lines[:-1]


def _omission_lines(parsed: ParsedMessage, width: int) -> list[Line]:
    """Write what was not read of the message, so that a list of its parts never passes for complete if it is not."""
    notes = [note for note in parsed.problems if any(words in note for words in _OMISSION)]
    notes = ([parsed.error] if parsed.error else []) + notes
    lines: list[Line] = [(Span(piece, "risk"),) for note in notes for piece in wrap(safe(f"△ {note}"), width)]
    return [*lines, EMPTY] if lines else []


def _attachment_notes(attachment: ParsedAttachment) -> list[str]:
    notes = [f"△ {attachment.note}"] if attachment.note else []
    if attachment.depth:
        notes.append(f"In an attached message{f', {attachment.depth} deep' if attachment.depth > 1 else ''}")
    return notes


#: So many spaces in a file name that its ending could be overlooked behind them.
_SPACES = re.compile(r"\s{4,}")


def _counted(spaces: re.Match[str]) -> str:
    return f" [{len(spaces[0]):,} spaces] "


#: Words of the problems that say that something was not read.
_OMISSION = ("not all", "could not", "NOT detected")
#: MIME types that say nothing about the content: they contradict no other type.
_VAGUE = frozenset(
    {"", "application/octet-stream", "application/x-download", "application/force-download", "application/x-empty"}
)
#: Substrings of MIME types; entries of one line are treated as the same kind.
_KINDS = (
    ("/zip", "x-zip", "vnd.openxmlformats", "vnd.oasis", "java-archive"),
    ("gzip", "gtar", "x-tgz"),
    ("message/", "rfc822"),
    ("pkcs7",),
    ("ms-tnef",),
    ("jpeg", "jpg"),
)


#: What the endings of file names promise: those that people open without a second thought.
_PROMISED = {
    "pdf": "application/pdf", "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif",
    "txt": "text/plain", "csv": "text/plain", "mp3": "audio/mpeg", "mp4": "video/mp4", "zip": "application/zip",
    "docx": "application/vnd.openxmlformats", "xlsx": "application/vnd.openxmlformats",
    "pptx": "application/vnd.openxmlformats",
}  # fmt: skip


def _difference(attachment: ParsedAttachment) -> str:
    """Say in what the content differs from the declared type or, if that says nothing, from the name; "" if not."""
    declared, detected = attachment.declared_type, attachment.detected_type
    if not _types_agree(declared, detected):
        return "differs from the declared type"
    _, dot, ending = attachment.name.rstrip(" .").rpartition(".")
    if declared.lower() in _VAGUE and not _types_agree(_PROMISED.get(dot and ending.lower(), ""), detected):
        return "differs from the name's ending"
    return ""


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
    """Write each link: the text shown, the real target (defanged), and what is odd about it."""
    lines = _omission_lines(parsed, width)
    if not parsed.links:
        none = "No links were found in what was read." if lines else "The message has no links."
        return [*lines, (Span(none, "muted"),)]
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
    """The raw bytes as lines, which are found, decoded and made safe only when drawn.

    Bytes that are not UTF-8 are shown as ``\\xNN``; lines longer than `CHUNK` bytes are shown in pieces.

    For each stretch of up to `CHUNK` bytes only its offset and first line number are stored, so that ten million empty
    lines take little memory. `width` is in bytes: a line can take more cells.
    """

    CHUNK = 2000
    #: Least value of `width`: the exact width of narrower lines is not needed.
    NARROW = 40

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._offsets, self._firsts = array("q"), array("q")
        self._length, self.width = 0, self.NARROW
        #: The stretch used last, and the offsets of its lines.
        self._known: tuple[int, list[int]] = -1, []
        self._index()

    def _index(self) -> None:
        raw, at = self._raw, 0
        while at < len(raw):
            self._offsets.append(at)
            self._firsts.append(self._length)
            end = raw.rfind(b"\n", at, at + self.CHUNK) + 1
            if end:
                self._length += raw.count(b"\n", at, end)
                self.width = self._widest(at, end, self.width)
            else:
                end = self._piece_end(at)
                self._length += 1
                self.width = max(self.width, min(end - at, self.CHUNK))
            at = end
        self._offsets.append(len(raw))

    def _piece_end(self, at: int) -> int:
        """Return the end of a piece of a long line: between characters, and after the line's end if that follows."""
        raw, at = self._raw, min(len(self._raw), at + self.CHUNK)
        for _ in range(3):
            at += at < len(raw) and raw[at] & 0xC0 == 0x80
        if raw[at : at + 2] == b"\r\n":
            at += 1
        if raw[at : at + 1] == b"\n":
            at += 1
        return at

    def _widest(self, at: int, end: int, known: int) -> int:
        """Return the length of the longest line in raw[at:end], at least `known`. Shorter lines are skipped quickly."""
        raw = self._raw
        while at < end:
            found = raw.rfind(b"\n", at, at + known + 1)
            if found < 0:
                found = raw.find(b"\n", at + known)
                known = found - at
            at = found + 1
        return known

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        start, end = self._place(index % self._length)
        line = self._raw[start:end].removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")
        return (Span(safe(line.expandtabs(8))),)

    def _place(self, index: int) -> tuple[int, int]:
        """Return the start and end (bytes) of a line."""
        stretch = bisect_right(self._firsts, index) - 1
        at, end = self._offsets[stretch], self._offsets[stretch + 1]
        known, starts = self._known
        if known != stretch:
            starts = list(accumulate((len(line) + 1 for line in self._raw[at:end].split(b"\n")), initial=at))
            self._known = stretch, starts
        place = index - self._firsts[stretch]
        return starts[place], min(starts[place + 1], end)
