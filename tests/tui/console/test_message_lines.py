"""The message view as lines: every field of the spec, and no text that a terminal would execute."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from store.message.links import examine
from store.message.message import parse_message, summarise
from store.message.parsed import ParsedAttachment, ParsedMessage
from store.terms.records import Attachment, Copy, CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from tests.tui.console.view_harness import NOW, ZONE
from tui.console.text.message_lines import copy_lines, domain_warnings, header_lines, text_lines
from tui.console.text.message_parts import SourceLines, attachment_lines, link_lines
from tui.terminal.lines import KINDS, Span, field, hang, wrap, wrap_spans, wrap_within
from tui.terminal.safe import safe

#: The spec, "Viewing message copies in Backup", in its order.
FIELDS = [
    "Subject",
    "Processing rule",
    "From",
    "To",
    "Cc",
    "Bcc",
    "Scan Results",
    "Backup Reason",
    "Blacklisted by user",
    "Whitelisted by user",
    "Time placed in Backup",
    "MTA-Message-ID",
    "Message size",
    "Time sent",
    "Time received",
    "Attachments",
    "Anti-Virus databases release date",
]
INFECTED = Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Win.Test.EICAR_HDB-1")
RECORD = CopyRecord(
    from_="Billing <inv@acme.example>",
    to="ap@corp.example",
    cc="cc@corp.example",
    subject="Invoice 88213",
    message_id="<a1@acme.example>",
    mta_message_id="4XyZ12abcDz9k",
    envelope_sender="",
    envelope_recipients=("ap@corp.example", "hidden@corp.example"),
    rule_id=3,
    rule_name="Inbound",
    verdicts=(INFECTED, Verdict(Engine.ANTI_SPAM, Status.CLEAN)),
    reason=INFECTED,
    blacklisted_by=("ceo@corp.example",),
    sent_at=NOW - 3_600_000,
    received_at=NOW - 60_000,
    attachments=(Attachment("invoice.pdf.exe", "application/pdf", 4096),),
    av_database_date=NOW - 86_400_000,
    size=84_321,
)
COPY = Copy(17, NOW, 90_000, RECORD)
words = st.text(st.characters(codec="utf-8"), max_size=200)


def plain(lines) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


def values(lines, label: str) -> str:
    """Return the text next to a label."""
    found: list[str] = []
    inside = False
    for line in lines:
        if not line:
            continue
        name = line[0].text.strip() if line[0].kind == "label" else ""
        if name:
            inside = label.startswith(name)
        if inside:
            found.append("".join(span.text for span in line[1:]).strip())
    return "\n".join(found)


def check_drawn(lines, width: int | None = None) -> None:
    for line in lines:
        for span in line:
            assert span.kind in KINDS
            assert span.text == safe(span.text), "a span that is not safe"
        if width is not None:
            assert cell_len("".join(span.text for span in line)) <= width


@pytest.mark.parametrize("width", [57, 79, 120])
def test_every_field_of_the_spec_is_named_as_there_and_in_its_order(width):
    lines = copy_lines(COPY, ZONE, width)
    labels = " ".join(
        line[0].text.strip() for line in lines if line and line[0].kind == "label" and line[0].text.strip()
    )
    at = 0
    for name in FIELDS:
        at = labels.index(name, at) + len(name)


def test_the_fields_say_what_the_record_holds():
    lines = copy_lines(COPY, ZONE, 120)
    assert values(lines, "Subject") == "Invoice 88213"
    assert values(lines, "Processing rule") == "3  Inbound"
    assert values(lines, "Bcc") == "hidden@corp.example"
    assert values(lines, "Scan Results").splitlines() == [
        "Anti-Spam          Clean",
        "Anti-Virus         ▲ Infected  Win.Test.EICAR_HDB-1",
        "Content filtering  Not scanned",
        "Anti-Phishing      Not scanned",
    ]
    assert values(lines, "Backup Reason") == "Anti-Virus: ▲ Infected  Win.Test.EICAR_HDB-1"
    assert values(lines, "Blacklisted by user") == "ceo@corp.example"
    assert values(lines, "Whitelisted by user") == "No"
    assert values(lines, "Time placed in Backup") == "24 Nov 2026 09:41:05 UTC+2"
    assert values(lines, "Message size") == "82.34 KB (84,321 bytes)"
    assert values(lines, "Time sent") == "24 Nov 2026 08:41:05 UTC+2"
    assert values(lines, "Attachments") == "invoice.pdf.exe  4 KB"
    assert values(lines, "Anti-Virus databases release date") == "23 Nov 2026 09:41:05 UTC+2"
    assert values(lines, "Envelope sender") == "<> (none)"


def test_attachments_beyond_those_in_the_record_are_not_passed_over():
    part = b"--x\nContent-Type: application/pdf; name=a.pdf\nContent-Disposition: attachment\n\nx\n"

    def listed(count: int) -> list[str]:
        record = summarise(b"Content-Type: multipart/mixed; boundary=x\n\n" + part * count + b"--x--\n")
        return values(copy_lines(Copy(1, NOW, 0, record), ZONE, 120), "Attachments").splitlines()

    assert listed(99) == ["a.pdf  1 byte"] * 99
    assert listed(101) == [*["a.pdf  1 byte"] * 100, "At most 100 are listed here; see the Attachments tab."]


def test_what_is_not_known_is_a_dash():
    lines = copy_lines(Copy(1, NOW, 0, CopyRecord()), ZONE, 120)
    for name in ("Subject", "From", "Cc", "Backup Reason", "Time sent", "Attachments", "MTA-Message-ID"):
        assert values(lines, name) == "—"


def test_the_black_list_engine_is_listed_where_it_spoke():
    verdict = Verdict(Engine.BLACK_LIST, Status.BLACKLISTED)
    lines = copy_lines(Copy(1, NOW, 0, CopyRecord(verdicts=(verdict,), reason=verdict)), ZONE, 120)
    assert "Custom black list of addresses Blacklisted" in values(lines, "Scan Results")


def test_the_view_shows_the_address_first_and_says_where_the_envelope_has_another_sender():
    record = CopyRecord(from_="Billing <inv@acme.example>", envelope_sender="x@evil.example")
    shown = values(copy_lines(Copy(1, NOW, 0, record), ZONE, 120), "From")
    assert shown == "inv@acme.example Billing\n≠ Envelope sender: x@evil.example"
    record = CopyRecord(from_="Billing <inv@acme.example>", envelope_sender="bounce@mail.acme.example")
    assert values(copy_lines(Copy(1, NOW, 0, record), ZONE, 120), "From") == "inv@acme.example Billing"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x <a@аccounts.example>", "xn--ccounts-1fg.example: mixes Cyrillic and Latin letters"),
        ("a@xn--pypal-4ve.example", "is xn--pypal-4ve.example"),
        ("a@müller.example", "müller.example is xn--mller-kva.example"),
    ],
)
def test_domains_that_are_not_plain_show_punycode(text, words):
    assert words in "; ".join(domain_warnings(text))
    record = CopyRecord(from_=text)
    assert "△" in values(copy_lines(Copy(1, NOW, 0, record), ZONE, 120), "From")


def test_plain_domains_are_left_alone():
    assert domain_warnings("a@corp.example, B <b@sub.corp.example>") == []


@settings(deadline=None)
@given(words, words, words, st.integers(40, 120))
def test_hostile_fields_are_drawn_safe_and_within_the_width(first, second, third, width):
    verdict = Verdict(Engine.ANTI_VIRUS, Status.INFECTED, third)
    record = CopyRecord(
        from_=first,
        to=second,
        cc=third,
        subject=first,
        message_id=second,
        mta_message_id=third,
        envelope_sender=first,
        envelope_recipients=(second,),
        client_address=third,
        rule_name=first,
        verdicts=(verdict,),
        reason=verdict,
        blacklisted_by=(first,),
        whitelisted_by=(second,),
        attachments=(Attachment(first, second, 1),),
        source=third,
    )
    check_drawn(copy_lines(Copy(1, NOW, 0, record), ZONE, width), width)


@settings(deadline=None)
@given(words, words, words, st.integers(64, 120))
def test_hostile_messages_are_drawn_safe_and_within_the_width(first, second, third, width):
    half = len(first) // 2
    parsed = ParsedMessage(
        headers=[(first, second), (second, third)],
        text=first,
        text_source="html",
        hidden_spans=[(half // 2, half)] if half else [],
        plain_text=second,
        attachments=[ParsedAttachment(first, second, third, 1, b"\0" * 32, note=first, depth=1)],
        links=[examine(first, second)],
        problems=[third],
        error=first,
    )
    check_drawn(text_lines(parsed, width), width)
    check_drawn(attachment_lines(parsed, width), width)
    check_drawn(link_lines(parsed, width), width)
    check_drawn(header_lines(parsed, width), width)


@settings(deadline=None)
@given(st.binary(max_size=6000))
def test_any_bytes_have_source_lines_that_are_safe(raw):
    lines = SourceLines(raw)
    check_drawn(lines)
    assert lines.width <= SourceLines.CHUNK


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=100), max_size=50))
def test_source_lines_are_the_lines(written):
    raw = "\r\n".join(written).encode()
    assert plain(SourceLines(raw)) == (written if written and written[-1] else written[:-1])


def test_a_long_source_line_is_shown_in_pieces_and_characters_stay_whole():
    raw = "é".encode() * 5000 + b"\n\xff\xfe end\n"
    shown = plain(SourceLines(raw))
    assert "".join(shown[:-1]) == "é" * 5000
    assert len(shown) == 6
    assert shown[-1] == "\\xff\\xfe end"


def test_a_large_source_is_indexed_and_not_decoded(monkeypatch):
    looked: list[str] = []
    monkeypatch.setattr("tui.console.text.message_parts.safe", lambda text, **_: looked.append(text) or text)
    lines = SourceLines(b"x" * 70 + b"\n" + b"0123456789\n" * 500_000)
    assert len(lines) == 500_001
    assert looked == []
    assert lines[400_000] == (Span("0123456789"),)
    assert len(looked) == 1


_BYTES = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\n\n\n", b"word ", b"\xc3\xa9", b"\xff", b"\x80" * 9, b"\t", b"x" * 1999, b"y" * 2000]
    ),
    max_size=30,
).map(b"".join)


@given(_BYTES, st.randoms(use_true_random=False))
def test_source_lines_are_all_there_in_whatever_order_they_are_looked_at(raw, random):
    lines = SourceLines(raw)
    in_order = plain(lines)
    order = list(range(len(lines)))
    random.shuffle(order)
    assert {at: plain([lines[at]])[0] for at in order} == dict(enumerate(in_order))
    written = [line.removesuffix(b"\r").decode("utf-8", "backslashreplace") for line in raw.split(b"\n")]
    short = all(len(line) < SourceLines.CHUNK for line in raw.split(b"\n"))
    if short:
        assert in_order == [safe(line.expandtabs(8)) for line in (written if written[-1] else written[:-1])]
        assert lines.width == max(
            SourceLines.NARROW, *map(len, raw.split(b"\n")[:-1] or [b""]), len(raw.split(b"\n")[-1])
        )
    for at in (len(lines), -len(lines) - 1):
        with pytest.raises(IndexError):
            lines[at]


def test_ten_million_empty_lines_are_found_when_they_are_looked_at():
    raw = b"Subject: s\n" + b"\n" * 10_000_000 + b"end"
    tracemalloc.start()
    try:
        lines = SourceLines(raw)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(lines) == 10_000_002
    assert most < len(raw) // 20
    assert plain([lines[0], lines[1], lines[9_999_999], lines[10_000_001]]) == ["Subject: s", "", "", "end"]


def test_no_source_line_is_long_whatever_the_bytes_are():
    for byte in (b"\x80", b"\xff", b"a"):
        assert len(SourceLines(byte * 100_000)) >= 49


def test_hidden_text_is_marked_in_words_and_kind():
    raw = (
        b"Content-Type: text/html; charset=utf-8\r\n\r\n"
        b"<p>Hello</p><span style='display:none'>secret</span><p>> quoted</p>"
    )
    lines = text_lines(parse_message(raw), 60)
    marked = [span.text for line in lines for span in line if span.kind == "risk"]
    assert any("hidden text" in text and "secret" in text for text in marked)
    assert not any("Hello" in text for text in marked)


def test_links_show_text_against_the_real_target_defanged():
    parsed = ParsedMessage(links=[examine("https://www.bank.example/login", "http://xn--pypal-4ve.example/x")])
    text = "\n".join(plain(link_lines(parsed, 100)))
    assert "Shown text   [1]  https://www.bank.example/login" in text
    assert "Real target  hxxp://xn--pypal-4ve[.]example/x" in text
    assert "Punycode     xn--pypal-4ve[.]example" in text
    assert "▲ shows www.bank.example, leads to xn--pypal-4ve.example" in text


@pytest.mark.parametrize(
    ("declared", "detected", "odd"),
    [
        ("application/pdf", "application/x-msdownload", True),
        ("image/png", "text/html", True),
        ("application/pdf", "application/pdf", False),
        ("application/octet-stream", "application/zip", False),
        ("text/csv", "text/plain", False),
        ("text/plain", "application/x-empty", False),
        ("application/pkcs7-signature", "application/pkcs7-mime", False),
        ("message/delivery-status", "message/rfc822", False),
        ("application/ms-tnef", "application/vnd.ms-tnef", False),
        ("image/jpeg", "image/png", True),
        ("application/zip", "application/gzip", True),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "application/zip", False),
    ],
)
def test_attachments_whose_content_is_not_what_is_declared_are_pointed_out(declared, detected, odd):
    parsed = ParsedMessage(attachments=[ParsedAttachment("a", declared, detected, 10, b"\x01" * 32)])
    text = "\n".join(plain(attachment_lines(parsed, 100)))
    assert ("differs from the declared type" in text) == odd
    for word in ("Name", "Declared type", "Type by content", "Size", "10 bytes", "SHA-256", "01" * 32):
        assert word in text


def test_an_empty_message_says_so_in_every_tab():
    parsed = ParsedMessage()
    for make, word in (
        (text_lines, "no text"),
        (header_lines, "no header fields"),
        (attachment_lines, "no attachments"),
        (link_lines, "no links"),
    ):
        assert word in "\n".join(plain(make(parsed, 80)))


def test_the_real_corpus_is_drawn_safe(corpus_files: list[Path]):
    for path in corpus_files[::17]:
        raw = path.read_bytes()[:300_000]
        record = summarise(raw)
        check_drawn(copy_lines(Copy(1, NOW, 0, record), ZONE, 79), 79)
        parsed = parse_message(raw)
        for make in (text_lines, attachment_lines, link_lines):
            check_drawn(make(parsed, 79), 79)
        check_drawn(header_lines(parsed, 79))
        check_drawn(SourceLines(raw)[:2000])


@given(words, st.integers(2, 80), st.integers(1, 4))
def test_wrapping_within_some_lines_says_when_that_is_not_all(text, width, most):
    text = safe(text)
    pieces, shown = wrap(text, width), wrap_within(text, width, most).split("\n")
    assert len(shown) == min(len(pieces), most) and all(cell_len(line) <= width for line in shown)
    if len(pieces) <= most:
        assert shown == pieces
    else:
        assert shown[:-1] == pieces[: most - 1] and shown[-1].endswith("…")


@given(words, st.integers(2, 80))
def test_wrapping_keeps_all_but_blanks_and_the_width(text, width):
    text = safe(text)
    pieces = wrap(text, width)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(cell_len(piece) <= width for piece in pieces)


@given(st.lists(st.tuples(words, st.sampled_from(KINDS)), min_size=1, max_size=5), st.integers(2, 80))
def test_wrapping_spans_keeps_each_characters_kind(written, width):
    spans = [Span(safe(text), kind) for text, kind in written if text] or [Span("")]
    lines = wrap_spans(spans, width)
    drawn = [(character, span.kind) for line in lines for span in line for character in span.text if character != " "]
    assert drawn == [(character, span.kind) for span in spans for character in span.text if character != " "]
    assert all(cell_len("".join(span.text for span in line)) <= width for line in lines)


def test_a_field_without_value_shows_a_dash_and_a_long_label_wraps():
    lines = plain(field("Anti-Virus databases release date", [], 60, 21))
    assert lines == ["Anti-Virus databases   —", "release date           "]


def test_what_a_scan_result_has_beyond_its_line_stays_in_the_column_of_the_status():
    detail = "26.6 of 15.0: BAYES_SPAM, R_DKIM_REJECT, DMARC_POLICY_REJECT, URIBL_BLACK"
    verdict = Verdict(Engine.ANTI_SPAM, Status.SPAM, detail)
    record = CopyRecord(verdicts=(verdict,), reason=verdict)
    lines = plain(copy_lines(Copy(1, NOW, 4096, record), ZONE, 75))
    first = next(index for index, line in enumerate(lines) if line.startswith("Scan Results"))
    column = lines[first].rindex("Spam  ")
    assert lines[first + 1][:column].isspace() and lines[first + 1][column] != " "
    assert " ".join(" ".join(lines[first : first + 3]).split()).count(detail) == 1


@given(st.text(max_size=120), st.integers(1, 40), st.integers(0, 30))
def test_hanging_keeps_all_but_blanks_and_the_width(text, width, indent):
    pieces = hang(safe(text), width, indent)
    assert "".join("".join(pieces).split()) == "".join(safe(text).split())
    assert all(cell_len(piece) <= max(width, 2) for piece in pieces)
