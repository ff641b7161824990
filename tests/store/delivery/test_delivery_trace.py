"""Trace fields: which are removed and added, and that no other byte changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.delivery.trace import is_trace, released_message, resent_fields
from store.mail.header_fields import header_of

ADDED = b"X-Added: 1\r\n"
NOW = 1_795_500_000_000


def test_trace_fields_come_off_with_their_continuations_and_nothing_else() -> None:
    raw = (
        b"From someone Mon Jan  1 00:00:00 2026\r\n"
        b"Return-Path: <x@y>\r\n"
        b"Delivered-To : a\r\n"
        b"X-Quarantine-ID: <abc>\r\n"
        b"X-AMAVIS-Alert: BANNED,\r\n\tcontinued\r\n"
        b"X-Envelope-To: <bcc@y>\r\n"
        b"BCC: <bcc@y>,\r\n <other@y>\r\n"
        b"Resent-Bcc: <bcc@y>\r\n"
        b"Content-Length: 30\r\n"
        b"Received: by h\r\n  (folded)\r\n"
        b"subject:raw \xff\x80 bytes\r\n"
        b"X-Mailhold-Delivery: forged\r\n"
        b"To: b\r\n"
        b"\r\n"
        b"Return-Path: in the body stays\r\n"
    )
    assert released_message(raw, ADDED) == (
        ADDED + b"Received: by h\r\n  (folded)\r\nsubject:raw \xff\x80 bytes\r\nTo: b\r\n\r\n"
        b"Return-Path: in the body stays\r\n"
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ADDED),
        (b"\nbody", ADDED + b"\nbody"),
        (b"\r\nbody", ADDED + b"\r\nbody"),
        (b"no header at all\nbody", ADDED + b"\r\nno header at all\nbody"),
        (b" folded onto nothing\nA: b\n", ADDED + b"\r\n folded onto nothing\nA: b\n"),
        (b"A: b\nbroken line\nC: d\n", ADDED + b"A: b\nbroken line\nC: d\n"),
        (b"Return-Path: x", ADDED),
        # The line ends are all CR: it is a header of three fields, not a single trace field.
        (b"Return-Path: x\rTo: b\rA: b\r\rtext\r", ADDED + b"To: b\nA: b\n\ntext\n"),
        (b": no name\nReturn-Path: x\nA: b\n\nx", ADDED + b": no name\nA: b\n\nx"),
        (b"A: b", ADDED + b"A: b"),
        (b">From mbox\nA: b\n\nx", ADDED + b"A: b\n\nx"),
        (b"From : a@x.example\nA: b\n\nx", ADDED + b"From : a@x.example\nA: b\n\nx"),
    ],
)
def test_malformed_headers(raw: bytes, expected: bytes) -> None:
    assert released_message(raw, ADDED) == expected


headers = st.lists(
    st.sampled_from(
        [
            b"A: b\n",
            b"A: b\r\n",
            b" fold\r\n",
            b"Return-Path: <>\r\n",
            b"X-Amavis-Foo: x\n",
            b"bad\n",
            b"\n",
            b"\xff:\n",
        ]
    )
    | st.binary(max_size=20)
)


@given(headers, st.binary(max_size=50))
def test_only_trace_fields_differ(lines: list[bytes], rest: bytes) -> None:
    raw = b"".join(lines) + b"\r\n" + rest
    released = released_message(raw, ADDED)
    assert released.startswith(ADDED)
    header = header_of(raw)
    fields = list(header.fields())
    kept = b"".join(raw[field.start : field.end] for field in fields if not is_trace(field.name))
    if fields:
        assert released == ADDED + kept + raw[header.end :]
    else:
        assert released in (ADDED + raw[header.end :], ADDED + b"\r\n" + raw[header.end :])


def test_real_messages_keep_every_other_byte(corpus: Path) -> None:
    seen = 0
    for path in sorted(corpus.rglob("*.eml"))[:400]:
        raw = path.read_bytes()
        released = released_message(raw, ADDED)
        header = header_of(raw)
        fields = list(header.fields())
        if fields and header.text is raw and not any(is_trace(field.name) for field in fields):
            assert released == ADDED + raw[header.start :]
            seen += 1
    assert seen > 50


def test_resent_fields_name_no_recipient() -> None:
    text = resent_fields("postmaster@x.example", "id@host", NOW)
    assert text.endswith(b"\r\n") and b"Resent-To" not in text
    assert b"Resent-From: postmaster@x.example\r\n" in text and b"Resent-Message-ID: <id@host>\r\n" in text
