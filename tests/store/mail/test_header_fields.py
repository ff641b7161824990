"""One header parser: intake, view and release agree on where a header ends, for any bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.delivery.trace import is_trace, released_message
from store.intake.released import own_fields
from store.judging.attachments import attachments_of
from store.judging.scanner_headers import HeaderVerdicts, verdicts_from_headers
from store.judging.senders import sender_of
from store.mail.changes import changed
from store.mail.header_fields import header_of, past_folds, with_line_feeds
from store.mail.incoming import Accept
from store.message.headers import scan_block
from store.message.message import parse_message, summarise
from store.message.parser import parse_headers
from tests.store.message.hostile import messages

#: Message, field names, body.
CUTS = [
    (b"", [], b""),
    (b"A: b", [b"a"], b""),
    (b"A: b\n", [b"a"], b""),
    (b"A: b\r\n\r\nbody\n", [b"a"], b"body\n"),
    (b"A: b\n\nbody\n", [b"a"], b"body\n"),
    (b"A: b\n\r\nB: body\n", [b"a"], b"B: body\n"),
    (b"A: b\r\n\nB: body\n", [b"a"], b"B: body\n"),
    (b"A: b\rC: d\r\rB: body\r", [b"a", b"c"], b"B: body\n"),
    (b"A: b\rC: d\r\rstill the value\n\nbody", [b"a"], b"body"),
    (b"A: b\n \t\r\nC: d\n\nbody", [b"a", b"c"], b"body"),
    (b"A:\n b\n\tc\n\nbody", [b"a"], b"body"),
    (b"\nA: body", [], b"A: body"),
    (b"\r\nA: body", [], b"A: body"),
    (b" folded onto nothing\nA: body", [], b" folded onto nothing\nA: body"),
    (b"no field\nA: body", [], b"no field\nA: body"),
    (b"A: b\nno field\nC: d\n\nbody", [b"a"], b"no field\nC: d\n\nbody"),
    (b"A: b\n\r", [b"a"], b"\r"),
    (b"From a@b Tue Nov 24\nA: b\n\nbody", [b"a"], b"body"),
    (b">>From a@b\r\nA: b\r\n\r\nbody", [b"a"], b"body"),
    (b"From : a@b\nA: b\n\nbody", [b"from", b"a"], b"body"),
    (b"From nobody, and no more", [], b"From nobody, and no more"),
    (b"A: b\nFrom a@b\n\nbody", [b"a"], b"From a@b\n\nbody"),
    (b"A: \0\xff\n\nbody", [b"a"], b"body"),
    (b"A: b\nB\0: c\n\nbody", [b"a"], b"B\0: c\n\nbody"),
    (b"A: b\n\xc3\xa9: c\n\nbody", [b"a"], b"\xc3\xa9: c\n\nbody"),
    (b"A \t: b\nB c: d\n", [b"a"], b"B c: d\n"),
    (b": b\nA: b\n\nbody", [b"", b"a"], b"body"),
]


@pytest.mark.parametrize(("raw", "names", "body"), CUTS)
def test_where_a_header_ends(raw: bytes, names: list[bytes], body: bytes) -> None:
    header = header_of(raw)
    assert [field.name for field in header.fields()] == names
    assert header.text[header.body :] == body
    assert header.broken == (bool(body) and header.body == header.end)


def test_inside_a_message_continuations_of_nothing_are_passed_over() -> None:
    assert past_folds(b"xx \n\tfoo\nA: b", 2, 13) == 9
    assert past_folds(b" text\nmore text\n", 0, 16) == 0
    assert past_folds(b" text", 0, 5) == past_folds(b"", 0, 0) == 0
    hidden = (
        b'Content-Type: multipart/mixed; boundary=x\n\n--x\n \nContent-Disposition: attachment; filename="a.exe"\n\nMZ'
    )
    assert [one.names for one in attachments_of(hidden).found] == [("a.exe",)]


def by_the_book(raw: bytes) -> tuple[list[bytes], bytes]:
    """Return the field names and the body, line by line as the parser's documentation says."""
    newline = b"\n" if b"\n" in raw else b"\r"
    lines = [line + newline for line in raw.split(newline)]
    lines[-1] = lines[-1][:-1]
    if lines[0].endswith(newline) and re.match(rb">*From (?![ \t]*:)", lines[0]):
        del lines[0]
    names: list[bytes] = []
    while lines and lines[0]:
        if lines[0] in (newline, b"\r\n"):
            del lines[0]
            break
        name, colon, _ = lines[0].partition(b":")
        if lines[0][:1] in (b" ", b"\t"):
            if not names:
                break
        elif colon and re.fullmatch(rb"(?:[!-9;-~]+[ \t]*)?", name):
            names.append(name.strip().lower())
        else:
            break
        del lines[0]
    body = b"".join(lines)
    return names, body if newline == b"\n" else body.replace(b"\r", b"\n")


def all_agree(raw: bytes) -> None:
    """Assert that all readers of a header read the same one."""
    header = header_of(raw)
    fields = list(header.fields())
    assert len(header.text) == len(raw)
    assert [field.start for field in fields] == [header.start, *(field.end for field in fields)][: len(fields)]
    assert not fields or fields[-1].end == header.end
    assert by_the_book(raw) == ([field.name for field in fields], header.text[header.body :])
    # The view: Headers, and the Text below.
    shown = parse_headers(raw)
    text = with_line_feeds(raw)
    read = scan_block(text, 0, len(text))
    assert text[read.start : read.end] == header.text[header.start : header.end]
    named = [field.name for field in fields if field.name]
    assert [name.lower().encode() for name, _ in shown.headers] == named
    # Scanner verdicts are read from the displayed header only.
    found = verdicts_from_headers(raw)
    assert found == verdicts_from_headers(text[read.start : read.end])
    assert verdicts_from_headers(b"\n" + header.text[header.body :]) == HeaderVerdicts()
    if not fields:
        assert found == HeaderVerdicts()
    # The readers for content rules and for our marker.
    block = attachments_of(raw).block
    assert (block.start, block.end, block.body) == (header.start, header.end, header.body)
    assert len(own_fields(raw).delete) == sum(name.startswith(b"x-mailhold-") for name in named)
    # What is told the header finds the same in it.
    assert own_fields(raw, header) == own_fields(raw)
    assert summarise(raw, header=header) == summarise(raw)
    assert sender_of(raw, "a@b.example", header) == sender_of(raw, "a@b.example")
    # Released: trace fields removed, and the body that was shown.
    released = released_message(raw, b"X-Added: 1\r\n")
    again = header_of(released)
    assert [f.name for f in again.fields()] == [b"x-added", *(f.name for f in fields if not is_trace(f.name))]
    assert again.text[again.body :] == header.text[header.body :]
    # Passed on with a new body: the same header.
    onward = changed(raw, Accept(body=b"new"))
    passed = header_of(onward)
    assert [field.name for field in passed.fields()] == [field.name for field in fields]
    assert passed.text[passed.body :] == b"new"


_PIECES = st.sampled_from(
    b"\n|\r\n|\r|\r\r|\n\n|\n\r\n| |\t|:|\0|\xff|A: b\n|A : b\r\n|A: b\r| fold\n|\t\n|: x\n|no field\n|From x\n|"
    b">From x\r\n|From : x\n|X-Spam-Flag: YES\n|X-Virus: Eicar\r\n|X-Envelope-To: <a@b.example>\n|"
    b"Return-Path: <c@d.example>\r|X-Mailhold-Delivery: v=1\n|x-amavis-alert: INFECTED,\n".split(b"|")
)
made = st.lists(_PIECES, max_size=12).map(b"".join)


@given(st.one_of(made, messages, st.binary(max_size=200)))
@example(b"\nX-Spam-Flag: YES\n")
@example(b"no field\nX-Spam-Flag: YES\n")
@example(b"A: b\nno field\nX-Spam-Flag: YES\n\n")
@example(b"Return-Path: <a@b.example>\rSubject: all of it\r\rtext\r")
@example(b"From : a@b.example\nX-Mailhold-Delivery: forged\n\n")
def test_all_agree_on_every_byte_string(raw: bytes) -> None:
    all_agree(raw)


def test_all_agree_on_real_messages(corpus_files: list[Path]) -> None:
    for path in corpus_files:
        raw = path.read_bytes()
        if len(raw) < 1 << 20:
            all_agree(raw)


def test_all_that_a_message_holds_may_be_header() -> None:
    raw = b":\n" * 3_000_000
    assert header_of(raw).end == len(raw)
    assert parse_message(raw).headers_truncated
