"""No number of header fields or lines hides who wrote to whom, what about, and what the message consists of."""

from __future__ import annotations

import pytest

from store.message.headers import BLOCK_LIMIT, FIELD_COUNT_LIMIT, LINE_LIMIT
from store.message.message import parse_message, summarise

LETTER = (
    b"From: Alice <alice@a.example>\nTo: bob@b.example\n second@b.example\nSubject: pay\n now\n"
    b"Message-ID: <m@a.example>\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: text/html\n\n<a href='http://evil.example/'>bank</a>\n"
    b"--b\nContent-Type: application/pdf; name=x.pdf\n\n%PDF\n--b--\n"
)
FILLS = {
    "many that are read": b"Received: from x\n" * (FIELD_COUNT_LIMIT + 1),
    "many that are not read": b"X: a\n" * (FIELD_COUNT_LIMIT + 1),
    "many lines": b"X: a\n" + b" b\n" * (LINE_LIMIT + 1),
    "many fields and lines": b"X:\n" * (LINE_LIMIT + 1),
    "long": b"X: " + b"a" * (BLOCK_LIMIT + 1) + b"\n",
}


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_a_long_header_hides_nothing_essential(fill: bytes) -> None:
    record = summarise(fill + LETTER)
    assert (record.from_, record.to) == ("Alice <alice@a.example>", "bob@b.example second@b.example")
    assert (record.subject, record.message_id) == ("pay now", "<m@a.example>")
    assert [each.name for each in record.attachments] == ["x.pdf"]
    parsed = parse_message(fill + LETTER)
    assert [each.name for each in parsed.attachments] == ["x.pdf"]
    assert [link.target for link in parsed.links] == ["http://evil.example/"]
    assert ("From", "Alice <alice@a.example>") in parsed.headers


def test_beyond_a_limit_names_and_values_stay_together() -> None:
    raw = b"X: a\n" * FIELD_COUNT_LIMIT + b"Y: b\nsubject: s\nSubject: t\nZ: c\nFrom: f\n\n"
    parsed = parse_message(raw)
    assert parsed.headers_truncated
    assert parsed.headers[FIELD_COUNT_LIMIT:] == [("Subject", "s"), ("From", "f")]


def test_a_long_header_without_a_field_left_out_is_not_called_cut() -> None:
    parsed = parse_message(b"".join(b"X-%d: %s\n" % (number, b"a" * 1000) for number in range(400)) + b"\nbody")
    assert len(parsed.headers) == 400
    assert not parsed.headers_truncated


def test_the_field_that_reaches_a_limit_is_read() -> None:
    assert summarise(b"Subject:" + b"\n a" * (LINE_LIMIT + 1) + b"\nFrom: f@a.example\n\n").from_ == "f@a.example"
    assert summarise(b"Subject:" + b"\n a" * (LINE_LIMIT + 1) + b"\nFrom: f@a.example\n\n").subject.split()[:2] == [
        "a",
        "a",
    ]
