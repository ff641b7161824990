"""Parse a whole message: text, links, attachments with hashes. Cannot raise; hostile input can make it slow."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from store.mail.header_fields import with_line_feeds
from store.message.blank_lines import shortened
from store.message.charset import guess, raw_codec, utf8_of
from store.message.filetype import OCTETS, attachment_type
from store.message.guessing import charset_name, read_text
from store.message.headers import Block, decode_field, scan_block
from store.message.html import LINK_LIMIT, TEXT_LIMIT, read_html, strip_html
from store.message.links import Link, links_in_text
from store.message.mime import Budget, Part, nest_message, scan_structure
from store.message.params import EMPTY, parse_parameters, with_ending
from store.message.parsed import ParsedAttachment, ParsedMessage
from store.message.transfer import decode_transfer, is_base64, uuencoded_files

#: Max attachments listed; max characters of a decoded field; max bytes decoded of one text part.
ATTACHMENT_LIMIT, HEADER_LIMIT, TEXT_PART_LIMIT = 500, 16_000, 8_000_000
#: Max characters of the name of a file.
FILE_NAME_LIMIT = 1000
#: Max bytes decoded of all text parts together: several times the text shown of them.
_TEXT_TOTAL = 16_000_000
#: Max decoded bytes of all attachments that are hashed. Only a message with overlapping parts exceeds it.
_DECODED_LIMIT = 512 * 1024 * 1024
_META_CHARSET = re.compile(rb"(?i)<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w:.-]{1,40})")
_EXTENSION = re.compile(r"\.[^./\\\s]{1,12}\Z")


def parse_message(
    raw: bytes, *, html_fails: str = "", enter: bool = True, markups: list[str] | None = None
) -> ParsedMessage:
    """Parse any bytes into headers, text, links and attachments. Never raises: unreadable parts are marked.

    With `html_fails` (the reason, in words), HTML is only stripped of tags, which is always fast. Without `enter`,
    attached messages are files only. Each HTML text is appended to `markups` unchanged.
    """
    raw = with_line_feeds(raw)
    block = scan_block(raw, 0, len(raw))
    budget = Budget()
    root = _structure(raw, block, budget)
    reader = _Reader(raw, budget, html_fails, enter, markups)
    reader.read(root)
    # Raw bytes in the header most likely have the charset of the text, guessed or declared.
    hint = reader.guessed or root.charset
    if any(utf8_of(value) is None for _, value in block.fields):
        budget.problem(f"the header holds raw bytes; read as {charset_name(raw_codec(hint))} (a guess)")
    if len(reader.links) > LINK_LIMIT:
        budget.problem("not all links are listed")
    parsed = _headers(raw, block, hint)
    parsed.problems = budget.problems
    parsed.text, parsed.text_source, parsed.plain_text = reader.texts()
    parsed.hidden_spans = reader.hidden
    parsed.text_truncated = reader.truncated
    parsed.links = reader.links[:LINK_LIMIT]
    parsed.attachments = reader.attachments
    parsed.attachments_truncated = reader.attachments_cut
    return parsed


def parse_headers(raw: bytes) -> ParsedMessage:
    """Parse only the headers, for a message whose rest cannot be parsed. Linear time, never raises."""
    raw = with_line_feeds(raw)
    block = scan_block(raw, 0, len(raw))
    return _headers(raw, block, parse_parameters(block.first(b"content-type")).get("charset"))


def _structure(raw: bytes, block: Block, budget: Budget) -> Part:
    """Scan a message's parts; if that fails, treat the whole body as one text."""
    try:
        return scan_structure(raw, block, len(raw), budget)
    except Exception as error:
        budget.problem(f"the message could not be split into parts ({_reason(error)}) and is read as text")
        return Part(block, block.body, len(raw), "text/plain", EMPTY, EMPTY, "", 0)


def _headers(raw: bytes, block: Block, hint: str) -> ParsedMessage:
    return ParsedMessage(
        headers=[(name.decode("ascii"), _field(value, HEADER_LIMIT, hint)) for name, value in block.original(raw)],
        headers_truncated=block.cut,
    )


def _field(value: bytes, limit: int, hint: str = "") -> str:
    try:
        return decode_field(value, limit, hint)
    except Exception:
        return value[:limit].decode("latin-1")


def _calendar_text(text: str) -> str:
    """Unfold the lines of an iCalendar file, and replace its escapes (RFC 5545, 3.1 and 3.3.11)."""
    unfolded = re.sub(r"\r?\n[ \t]", "", text)
    return re.sub(r"\\([nN,;\\])", lambda found: "\n" if found[1] in "nN" else found[1], unfolded)


def _reason(error: Exception) -> str:
    """Describe why a part could not be read; the error's class name if there are no words for it."""
    return "it exceeds the memory limit" if isinstance(error, MemoryError) else type(error).__name__


@dataclass
class _Reader:
    """Collects the contents of one message's parts."""

    raw: bytes
    budget: Budget
    html_fails: str
    enter: bool = True
    markups: list[str] | None = None
    shown: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    has_html: bool = False
    has_plain: bool = False
    hidden: list[tuple[int, int]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    attachments: list[ParsedAttachment] = field(default_factory=list)
    attachments_cut: bool = False
    truncated: bool = False
    decoded: int = 0
    length: int = 0
    guessed: str = ""
    plain_length: int = 0
    text_left: int = _TEXT_TOTAL

    def texts(self) -> tuple[str, str, str]:
        """Return the text to show, where it comes from, and its plain alternative."""
        shown = "".join(self.shown)
        if self.has_html:
            return shown, "html", "".join(self.plain) if self.has_plain else ""
        return shown, "plain" if self.has_plain else "none", ""

    def read(self, part: Part, messages: int = 0, show: bool = True, plain: bool = True) -> None:
        """Read a part with all parts in it: as attachment, as text to `show`, and as `plain` alternative."""
        if part.is_attachment:
            try:
                self._attachment(part, messages)
            except Exception as error:
                self._unreadable_attachment(part, messages, _reason(error))
            if part.children and part.is_message and self.enter:
                child = part.children[0]
                if show:
                    self._heading(child)
                self.read(child, messages + 1, show, plain)
        elif part.children:
            best = _best(part.children) if part.type == "multipart/alternative" else None
            simple = _simple(part.children) if part.type == "multipart/alternative" else None
            for child in part.children:
                self.read(
                    child,
                    messages,
                    show and (best is None or child is best),
                    plain and (simple is None or child is simple),
                )
        elif part.start < part.end and (show or plain):
            try:
                self._text(part, show, plain)
            except Exception as error:
                self._unreadable_text(part, show, plain, _reason(error))

    def _unreadable_text(self, part: Part, show: bool, plain: bool, why: str) -> None:
        """Put a mark in place of a part that could not be read (to its end), and go on with the others."""
        self.budget.problem(f"a part ({part.type}) could not be read: {why}")
        mark = f"[This part ({part.type}) could not be read: {why}. It is in Source.]\n"
        self.has_plain |= plain
        if show:
            self._show(mark, plain)
        elif plain:
            self._keep_plain(mark)

    def _unreadable_attachment(self, part: Part, messages: int, why: str) -> None:
        """List an attachment that could not be decoded, by its encoded bytes."""
        self.budget.problem(f"an attachment ({part.type}) could not be read: {why}")
        stands = memoryview(self.raw)[part.start : part.end]
        digest = hashlib.sha256(stands).digest()
        note = f"it could not be decoded ({why}): size and SHA-256 are of its encoded bytes in Source"
        name, declared, disposition = (
            with_ending(part.name, FILE_NAME_LIMIT),
            part.type[:200],
            part.disposition.value[:40],
        )
        self.attachments.append(
            ParsedAttachment(name, declared, OCTETS, len(stands), digest, disposition, messages, note)
        )

    def _heading(self, part: Part) -> None:
        lines = [
            f"{label}: {_field(value, 500)}"
            for label, value in ((name.decode().capitalize(), part.block.first(name)) for name in _HEADING)
            if value
        ]
        self._show("\n".join(["", "──── attached message ────", *lines, ""]), False)

    def _show(self, text: str, also_plain: bool) -> int:
        """Append text on a line of its own; return its start."""
        if not text:
            return self.length
        if self.shown and not self.shown[-1].endswith("\n"):
            self._append("\n")
        start = self.length
        self._append(text)
        if also_plain:
            self._keep_plain(text)
        return start

    def _keep_plain(self, text: str) -> None:
        room = max(0, TEXT_LIMIT - self.plain_length)
        self.truncated |= len(text) > room
        self.plain.append(text[:room])
        self.plain_length += len(self.plain[-1])

    def _append(self, text: str) -> None:
        room = max(0, TEXT_LIMIT - self.length)
        self.truncated |= len(text) > room
        self.shown.append(text[:room])
        self.length += len(self.shown[-1])

    def _text(self, part: Part, show: bool, plain: bool) -> None:
        limit = min(TEXT_PART_LIMIT, self.text_left)
        self.text_left -= min(limit, part.end - part.start)
        if not limit:
            self.truncated = True
            self.budget.problem("the text is too long: not all of it was read")
            return
        data = self._decode(part, limit)
        stands = self.raw[part.start : min(part.end, part.start + limit)]
        if part.encoding == "base64" and not is_base64(stands):
            data = stands
        charset = part.parameters.get("charset")
        if part.type == "text/html":
            if show:
                found = _META_CHARSET.search(data[:2048]) if not charset else None
                self._html(self._read_text(part, data, charset or (found[1].decode("ascii") if found else "")))
            return
        text = shortened(self._read_text(part, data, charset).replace("\r\n", "\n"))
        if "begin " in text:
            self._uuencoded(data)
        if part.type == "text/enriched":
            text = re.sub(r"<[^>]{0,100}>", "", text)
        self.has_plain = True
        if show:
            self._show(text, plain)
            self._links_in(text)
        elif plain:
            self._keep_plain(text)

    def _links_in(self, text: str) -> None:
        known = {link.target for link in self.links}
        found = links_in_text(text[:TEXT_LIMIT], LINK_LIMIT + 1)
        self.links += [link for link in found if link.target not in known]

    def _uuencoded(self, data: bytes) -> None:
        for file in uuencoded_files(data):
            if len(self.attachments) >= ATTACHMENT_LIMIT:
                self._too_many_attachments()
                return
            name, *others = map(guess, file.names)
            note = f"uuencoded in the text{', with lines that cannot be decoded' if file.broken else ''}"
            if others:
                note += f"; also named {', '.join(others[:5])}"
            self._add(name, "application/x-uuencode", file.data, "inline", 0, note)

    def _read_text(self, part: Part, data: bytes, charset: str) -> str:
        text, guessed, note = read_text(data, charset)
        if note:
            self.guessed = self.guessed or guessed
            self.budget.problem(f"a part ({part.type}) {note}")
        return text

    def _html(self, markup: str) -> None:
        reading = strip_html(markup, self.html_fails) if self.html_fails else read_html(markup)
        self.has_html = True
        if self.markups is not None:
            self.markups.append(markup)
        offset = self._show(reading.text, False)
        spans = [(start + offset, min(end + offset, self.length)) for start, end in reading.hidden]
        self.hidden += [span for span in spans if span[0] < self.length]
        self.links += reading.links
        self.truncated |= reading.truncated
        for problem in reading.problems:
            self.budget.problem(problem)

    def _decode(self, part: Part, limit: int | None = None) -> bytes:
        end = part.end if limit is None else min(part.end, part.start + limit)
        if end < part.end:
            self.truncated = True
        data, malformed = decode_transfer(self.raw[part.start : end], part.encoding)
        if malformed and end == part.end:
            self.budget.problem(
                f"malformed {part.encoding}" if part.encoding in _ENCODINGS else "an unknown transfer encoding"
            )
        return data

    def _attachment(self, part: Part, messages: int) -> None:
        if len(self.attachments) >= ATTACHMENT_LIMIT or self.decoded > _DECODED_LIMIT:
            self._too_many_attachments()
            return
        data = self._decode(part)
        self.decoded += len(data)
        children = part.children
        if part.is_message and not children and part.encoding in _ENCODINGS and self.enter:
            children = self._encoded_message(part, data, messages)
        name = part.name
        if not name and children:
            name = decode_field(children[0].block.first(b"subject"), 255)
        self._add(name, part.type, data, part.disposition.value, messages, _name_note(part))
        if "text/calendar" in (part.type, self.attachments[-1].detected_type):
            self._links_in(_calendar_text(guess(data[:TEXT_PART_LIMIT])))
        if children is not part.children:
            outer, self.raw = self.raw, data
            try:
                for child in children:
                    self.read(child, messages + 1, False, False)
            finally:
                self.raw = outer

    def _too_many_attachments(self) -> None:
        self.attachments_cut = True
        self.budget.problem("not all attachments are listed")

    def _add(self, name: str, declared: str, data: bytes, disposition: str, depth: int, note: str) -> None:
        detected = "message/rfc822" if declared == "message/rfc822" else attachment_type(data)
        digest = hashlib.sha256(data).digest()
        name = with_ending(name, FILE_NAME_LIMIT)
        self.attachments.append(
            ParsedAttachment(name, declared[:200], detected, len(data), digest, disposition[:40], depth, note)
        )

    def _encoded_message(self, part: Part, data: bytes, messages: int) -> list[Part]:
        # RFC 2046 forbids encoding an attached message, but it occurs: parse it from its decoded bytes.
        if messages >= _ENCODED_DEPTH:
            self.budget.problem("messages are nested too deeply: not all were read")
            return []
        inner = Part(part.block, 0, len(data), part.type, part.parameters, part.disposition, "", part.depth)
        nest_message(data, inner, 0, self.budget)
        return inner.children


_HEADING = (b"from", b"date", b"subject")
_ENCODINGS = frozenset(("base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue", "uue"))
_ENCODED_DEPTH = 3


def _best(parts: list[Part]) -> Part:
    """Choose the alternative that a mail program shows: the last one with HTML, else the first with plain text."""
    return next((part for part in reversed(parts) if _holds(part, "text/html")), None) or _simple(parts)


def _simple(parts: list[Part]) -> Part:
    return next((part for part in parts if _holds(part, "text/plain")), parts[-1])


def _holds(part: Part, kind: str) -> bool:
    return any(inner.type == kind and not inner.is_attachment for inner in part.walk())


def _name_note(part: Part) -> str:
    """Report claimed names of an attachment that differ in their extensions; "" if they do not."""
    names = part.disposition.names("filename") + part.parameters.names("name")
    extensions = {match[0].lower() for name in names if (match := _EXTENSION.search(name.strip()))}
    if len(extensions) > 1:
        return "it has several different names: " + ", ".join(dict.fromkeys(names[:5]))
    return ""
