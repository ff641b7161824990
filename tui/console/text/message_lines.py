"""The lines of the message view: the fields of the spec, and the message's text and header.

All functions are pure, for a worker thread, and make text from the message safe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from store.delivery.recipients import ENVELOPE, recipients_of
from store.message.links import host_warning, read_url
from store.terms.records import ATTACHMENT_LIMIT
from store.terms.sender import address_first, sender_differs
from store.terms.sizes import format_size
from store.terms.verdicts import Engine, Status, Verdict, verdict_label
from tui.console.text.columns import DIFFERS, severity
from tui.console.text.message_parts import digest_halves, full_size
from tui.console.text.outcome_lines import Release, release_fields
from tui.terminal.known_words import known_words
from tui.terminal.lines import EMPTY, Line, Span, block, field, wrap, wrap_spans
from tui.terminal.safe import safe
from tui.terminal.times import full_time

if TYPE_CHECKING:
    from store.message.parsed import ParsedMessage
    from store.terms.records import Copy, CopyRecord

#: Engines under Scan Results, in the spec's order.
SCAN_RESULTS = (Engine.ANTI_SPAM, Engine.ANTI_VIRUS, Engine.CONTENT, Engine.ANTI_PHISHING)
#: Width of the label column (cells): for the longest label, and for narrow views.
_WIDE_LABELS, _NARROW_LABELS = 34, 21
#: Width of the engines' names under Scan Results (cells).
_ENGINE_NAMES = 18
_NO_STATUS = frozenset({Status.CLEAN, Status.NOT_SCANNED})
_DOMAIN = re.compile(r"@([^\s<>,;:\"'()\[\]@]{1,255})")

#: Greatest line width of text (cells), also in wider views.
_READABLE = 100

MORE_ATTACHMENTS = f"At most {ATTACHMENT_LIMIT} are listed here; see the Attachments tab."

Values = list[tuple[str, str]]


def status_kind(status: Status | None) -> str:
    """Return the kind of span for a status."""
    if status is None or status in _NO_STATUS:
        return "muted"
    return {"danger": "danger", "risk": "risk"}.get(severity(status), "text")


def status_text(status: Status, engine: Engine | None = None) -> str:
    """Write a status with the sign of its severity, so that it can be told without colour.

    `engine`: the engine that gave it, if nothing beside it says so.
    """
    sign = {"danger": "▲ ", "risk": "△ "}.get(status_kind(status), "")
    return f"{sign}{verdict_label(engine, status)}"


def copy_lines(copy: Copy, zone: tzinfo, width: int, release: Release | None = None) -> list[Line]:
    """Write a copy's fields under their names in the spec, then what else is known of it.

    `release`: the outcome of its releases.
    """
    record = copy.record
    labels = _WIDE_LABELS if width >= 90 else _NARROW_LABELS
    lines: list[Line] = []

    def add(label: str, *values: tuple[str, str], indent: int = 0) -> None:
        lines.extend(field(label, [one for one in values if one[0]], width, labels, indent=indent))

    add("Subject", (record.subject, "strong"))
    rule = f"{record.rule_id}" + (f"  {record.rule_name}" if record.rule_name else "")
    add("Processing rule", (rule if record.rule_id or record.rule_name else "", "text"))
    add("From", *_addresses(address_first(record.from_)), *_other_sender(record))
    add("To", *_addresses(record.to))
    add("Cc", *_addresses(record.cc))
    add("Bcc", *_addresses(_bcc(copy)))
    add("Scan Results", *_scan_results(record.verdicts), indent=_ENGINE_NAMES + 1)
    add("Backup Reason", *_reason(record.reason))
    add("Blacklisted by user", *(_names(record.blacklisted_by)))
    add("Whitelisted by user", *(_names(record.whitelisted_by)))
    add("Time placed in Backup", (full_time(copy.stored_at, zone), "text"))
    add("MTA-Message-ID", (record.mta_message_id, "text"))
    add("Message size", (full_size(record.size), "text"))
    add("Time sent", (full_time(record.sent_at, zone), "text"))
    add("Time received", (full_time(record.received_at, zone), "text"))
    add(
        "Attachments",
        *((f"{one.name or '(no name)'}  {format_size(one.size)}", "text") for one in record.attachments),
        (MORE_ATTACHMENTS if len(record.attachments) >= ATTACHMENT_LIMIT else "", "muted"),
    )
    add("Anti-Virus databases release date", (full_time(record.av_database_date, zone), "text"))
    for label, values in release_fields(release, zone) if release and release.recipients else ():
        add(label, *values, indent=10)
    lines.append(EMPTY)
    add("Message-ID", (record.message_id, "muted"))
    sender = record.envelope_sender
    add("Envelope sender", ("<> (none)" if sender == "" else sender or "", "muted"))
    add("Envelope recipients", *((one, "muted") for one in record.envelope_recipients))
    add("Client", (record.client_address, "muted"))
    if known := known_words(record):
        add("Known on arrival", (known, "text"))
    add("Source", (record.source, "muted"))
    add("SHA-256", *((piece, "muted") for piece in digest_halves(record.sha256, width - labels - 2)))
    add("Copy", (str(copy.id), "muted"))
    return lines


def _other_sender(record: CopyRecord) -> Values:
    """Write the envelope sender if it is of another organisation than From."""
    if not sender_differs(record.from_, record.envelope_sender):
        return []
    return [(f"{DIFFERS} Envelope sender: {record.envelope_sender}", "text")]


def _bcc(copy: Copy) -> str:
    """Write the Bcc field and the envelope recipients that are in neither To nor Cc."""
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
            values.append((f"{engine.label:<{_ENGINE_NAMES}} {_verdict(verdict)}", status_kind(verdict.status)))
    return values


def _verdict(verdict: Verdict) -> str:
    return status_text(verdict.status) + (f"  {verdict.detail}" if verdict.detail else "")


def _reason(reason: Verdict | None) -> Values:
    return [(f"{reason.engine.label}: {_verdict(reason)}", status_kind(reason.status))] if reason else []


def _addresses(text: str) -> Values:
    """Write a field of addresses, and below it each domain in it that is not plain ASCII, in punycode."""
    return [(text, "text"), *((f"△ {warning}", "risk") for warning in domain_warnings(text))] if text else []


def domain_warnings(text: str, limit: int = 10) -> list[str]:
    """Return, for each domain after an ``@`` in `text` that is not plain ASCII, its
    punycode and what is odd about it.
    """
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
    """Wrap the message's text. Quoted lines are muted; text hidden from readers is marked."""
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
        lines += [EMPTY, (Span("The text is cut here. The rest is in Source.", "muted"),)]
    if parsed.plain_text.strip():
        lines += [EMPTY, (Span("The message's own plain text", "strong"),), EMPTY]
        for spans in _paragraphs(parsed.plain_text, []):
            lines += wrap_spans(spans, width)
    return lines


def _paragraphs(text: str, hidden: Sequence[tuple[int, int]]) -> Iterator[list[Span]]:
    """Yield the lines of `text`, made safe, as spans. The ranges in `hidden` get the kind ``risk``."""
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
    """Write all header fields, decoded, long values wrapped below their names."""
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
        lines += [EMPTY, (Span("The header is cut here. The rest is in Source.", "muted"),)]
    return lines or [(Span("The message has no header fields.", "muted"),)]


def failure_lines(sentence: str, width: int) -> list[Line]:
    """Write why there is nothing to show."""
    return block(f"▲ {sentence}", width, "danger")
