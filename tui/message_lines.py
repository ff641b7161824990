"""What the message view shows of a copy, as lines: the fields of the spec, and the message read in other ways.

Every function is pure and made for a worker thread; all text of the message is made safe here.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from store.delivery.recipients import ENVELOPE, recipients_of
from store.message_links import host_warning, read_url
from store.sizes import format_size
from store.verdicts import Engine, Status, Verdict
from tui.lines import EMPTY, Line, Span, block, field, wrap, wrap_spans
from tui.safe import safe
from tui.times import full_time
from tui.widgets.columns import severity

if TYPE_CHECKING:
    from store.message_parsed import ParsedAttachment, ParsedMessage
    from store.records import Copy

#: The engines that the spec lists under Scan Results, in its order.
SCAN_RESULTS = (Engine.ANTI_SPAM, Engine.ANTI_VIRUS, Engine.CONTENT, Engine.ANTI_PHISHING)
#: Columns for labels where there is room for the longest, and where there is not.
_WIDE_LABELS, _NARROW_LABELS = 34, 21
_NO_STATUS = frozenset({Status.CLEAN, Status.NOT_SCANNED})
_DOMAIN = re.compile(r"@([^\s<>,;:\"'()\[\]@]{1,255})")

#: Text is wrapped at this many cells at most, however wide the view.
_READABLE = 100

Values = list[tuple[str, str]]


def status_kind(status: Status | None) -> str:
    """The kind of span in which a status is shown."""
    if status is None or status in _NO_STATUS:
        return "muted"
    return {"danger": "danger", "risk": "risk"}.get(severity(status), "text")


def status_text(status: Status) -> str:
    """A status with the sign of its severity, which says without colour what the colour says."""
    sign = {"danger": "▲ ", "risk": "△ "}.get(status_kind(status), "")
    return f"{sign}{status.label}"


def copy_lines(copy: Copy, zone: tzinfo, width: int) -> list[Line]:
    """The spec's fields of a copy, each under its name there, and after them what else is known of it."""
    record = copy.record
    labels = _WIDE_LABELS if width >= 90 else _NARROW_LABELS
    lines: list[Line] = []

    def add(label: str, *values: tuple[str, str]) -> None:
        lines.extend(field(label, [one for one in values if one[0]], width, labels))

    add("Subject", (record.subject, "strong"))
    rule = f"{record.rule_id}" + (f"  {record.rule_name}" if record.rule_name else "")
    add("Processing rule", (rule if record.rule_id or record.rule_name else "", "text"))
    add("From", *_addresses(record.from_))
    add("To", *_addresses(record.to))
    add("Cc", *_addresses(record.cc))
    add("Bcc", *_addresses(_bcc(copy)))
    add("Scan Results", *_scan_results(record.verdicts))
    add("Backup Reason", *_reason(record.reason))
    add("Blacklisted by user", *(_names(record.blacklisted_by)))
    add("Whitelisted by user", *(_names(record.whitelisted_by)))
    add("Time placed in Backup", (full_time(copy.stored_at, zone), "text"))
    add("MTA-Message-ID", (record.mta_message_id, "text"))
    add("Message size", (_size(record.size), "text"))
    add("Time sent", (full_time(record.sent_at, zone), "text"))
    add("Time received", (full_time(record.received_at, zone), "text"))
    add("Attachments", *((f"{one.name or '(no name)'}  {format_size(one.size)}", "text") for one in record.attachments))
    add("Anti-Virus databases release date", (full_time(record.av_database_date, zone), "text"))
    lines.append(EMPTY)
    add("Message-ID", (record.message_id, "muted"))
    sender = record.envelope_sender
    add("Envelope sender", ("<> (none)" if sender == "" else sender or "", "muted"))
    add("Envelope recipients", *((one, "muted") for one in record.envelope_recipients))
    add("Client", (record.client_address, "muted"))
    add("Source", (record.source, "muted"))
    add("SHA-256", *((piece, "muted") for piece in _digest(record.sha256, width - labels - 2)))
    add("Copy", (str(copy.id), "muted"))
    return lines


def _digest(digest: bytes, room: int) -> list[str]:
    """A digest in hexadecimal, in two even halves where it does not fit."""
    text = digest.hex()
    return [text] if len(text) <= room else [text[: len(text) // 2], text[len(text) // 2 :]]


def _size(size: int) -> str:
    shown = format_size(size)
    return shown if size < 1024 else f"{shown} ({size:,} bytes)"


def _bcc(copy: Copy) -> str:
    """Bcc as the header has it, and the envelope's recipients whom neither To nor Cc names."""
    header = copy.record.bcc
    hidden = [one.address for one in recipients_of(copy) if one.bcc and one.source == ENVELOPE]
    return ", ".join([header] * bool(header) + [address for address in hidden if address not in header])


def _names(names: Sequence[str]) -> Values:
    return [(name, "text") for name in names] or [("No", "muted")]


def _scan_results(verdicts: Sequence[Verdict]) -> Values:
    values: Values = []
    extra = [one.engine for one in verdicts if one.engine not in SCAN_RESULTS]
    for engine in (*SCAN_RESULTS, *dict.fromkeys(extra)):
        of_engine = [one for one in verdicts if one.engine is engine]
        for verdict in of_engine or [Verdict(engine, Status.NOT_SCANNED)]:
            values.append((f"{engine.label:<18} {_verdict(verdict)}", status_kind(verdict.status)))
    return values


def _verdict(verdict: Verdict) -> str:
    return status_text(verdict.status) + (f"  {verdict.detail}" if verdict.detail else "")


def _reason(reason: Verdict | None) -> Values:
    return [(f"{reason.engine.label}: {_verdict(reason)}", status_kind(reason.status))] if reason else []


def _addresses(text: str) -> Values:
    """A field of addresses, and below it every domain in it that is not what it looks like, in punycode."""
    return [(text, "text"), *((f"△ {warning}", "risk") for warning in domain_warnings(text))] if text else []


def domain_warnings(text: str, limit: int = 10) -> list[str]:
    """For each domain after an ``@`` in `text` that is not plain ASCII: its punycode, and what is odd in it."""
    found: dict[str, None] = {}
    for match in _DOMAIN.finditer(text):
        domain = match[1].rstrip(".")
        if domain.isascii() and "xn--" not in domain.lower():
            continue
        target = read_url(f"mailto:x@{domain}")
        shown = target.host if domain.isascii() else domain
        odd = host_warning(target.host)
        found[f"{shown} is {target.ascii_host}{f': {odd}' if odd else ''}"] = None
        if len(found) == limit:
            break
    return list(found)


def text_lines(parsed: ParsedMessage, width: int) -> Sequence[Line]:
    """The message's text, wrapped; quoted lines are read second, and text that a reader would not see is marked."""
    width = min(width, _READABLE)
    lines = list(_problem_lines(parsed, width))
    if not parsed.text.strip():
        lines.append((Span("The message has no text.", "muted"),))
    else:
        if parsed.text_source == "html":
            lines += [(Span("Made from HTML; nothing was loaded. [1] is the first link.", "muted"),), EMPTY]
        for spans in _paragraphs(parsed.text, parsed.hidden_spans):
            lines += wrap_spans(spans, width)
    if parsed.text_truncated:
        lines += [EMPTY, (Span("The text is longer: the rest is in Source.", "muted"),)]
    if parsed.plain_text.strip():
        lines += [EMPTY, (Span("The same as plain text, as the message has it", "strong"),), EMPTY]
        for spans in _paragraphs(parsed.plain_text, []):
            lines += wrap_spans(spans, width)
    return lines


def _paragraphs(text: str, hidden: Sequence[tuple[int, int]]) -> Iterator[list[Span]]:
    """The lines of `text`, made safe, each as spans; the ranges `hidden` are of their own kind."""
    line: list[Span] = []
    at = 0
    for start, end in [*hidden, (len(text), len(text))]:
        for piece, kind in ((text[at:start], ""), (text[start:end], "risk")):
            first, *rest = safe(piece, multiline=True).split("\n")
            line.append(Span(first, kind))
            for following in rest:
                yield _with_kind(line)
                line = [Span(following, kind)]
        at = end
    if any(span.text.strip() for span in line):
        yield _with_kind(line)


def _with_kind(line: list[Span]) -> list[Span]:
    kind = "muted" if line[0].text.startswith(">") else "text"
    return [Span(span.text, span.kind or kind) for span in line if span.text] or [Span("")]


def _problem_lines(parsed: ParsedMessage, width: int) -> Iterator[Line]:
    problems = ([parsed.error] if parsed.error else []) + list(parsed.problems)
    for problem in problems:
        for piece in wrap(safe(f"△ {problem}"), width):
            yield (Span(piece, "risk"),)
    if problems:
        yield EMPTY


def header_lines(parsed: ParsedMessage, width: int) -> list[Line]:
    """Every header field, decoded, its value wrapped under itself."""
    lines: list[Line] = []
    for name, value in parsed.headers:
        shown = safe(name, max_len=60)
        if len(shown) + 2 + len(value) <= width:
            lines.append((Span(f"{shown}: ", "label"), Span(safe(value))))
            continue
        first, *rest = wrap(safe(value), max(8, width - 4))
        lines.append((Span(f"{shown}:", "label"),))
        lines += [(Span(f"    {piece}"),) for piece in (first, *rest)]
    if parsed.headers_truncated:
        lines += [EMPTY, (Span("The header is longer: the rest is in Source.", "muted"),)]
    return lines or [(Span("The message has no header fields.", "muted"),)]


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
            ("Size", _size(attachment.size), "text"),
        ]
        for label, text, kind in values:
            lines += field(label, [(text, kind)] if text else [], width, 15)
        lines += field("SHA-256", [(piece, "muted") for piece in _digest(attachment.sha256, width - 17)], width, 15)
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

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        piece = self._raw[self._starts[index] : self._starts[index + 1]]
        line = piece.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")
        return (Span(safe(line.expandtabs(8))),)


def failure_lines(sentence: str, width: int) -> list[Line]:
    """Why there is nothing to show."""
    return block(f"▲ {sentence}", width, "danger")
