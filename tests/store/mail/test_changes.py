"""The changes of an Accept, applied to the bytes of a message."""

from __future__ import annotations

from store.mail.changes import changed
from store.mail.incoming import Accept

RAW = b"Subject: s\r\nX-Gone: 1\r\nx-gone: 2\r\n two\r\nX-Gone: 3\r\n\r\nold\r\n"


def test_nothing_changes_without_a_change() -> None:
    assert changed(RAW, Accept()) is RAW


def test_fields_go_and_come_and_the_body_is_replaced() -> None:
    accept = Accept(
        body=b"new\r\n", add_headers=(("X-Added", "one\n\ttwo"),), delete_headers=(("X-Gone", 1), ("X-Gone", 2))
    )
    assert changed(RAW, accept) == b"Subject: s\r\nX-Gone: 3\r\nX-Added: one\r\n\ttwo\r\n\r\nnew\r\n"
    assert changed(RAW, Accept(body=b"")) == RAW[: RAW.index(b"\r\n\r\n") + 4]


def test_what_is_added_stands_in_the_header() -> None:
    added = Accept(add_headers=(("X-Added", "1"),))
    assert changed(b"Subject: s\r\n\r\nbody\r\n", added) == b"Subject: s\r\nX-Added: 1\r\n\r\nbody\r\n"
    assert changed(b"Subject: s", added) == b"Subject: s\r\nX-Added: 1\r\n"
    assert changed(b"Subject: s\r\nno field\r\n", added) == b"Subject: s\r\nX-Added: 1\r\n\r\nno field\r\n"
    assert changed(b"\r\nbody\r\n", added) == b"X-Added: 1\r\n\r\nbody\r\n"
