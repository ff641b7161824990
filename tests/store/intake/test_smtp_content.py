"""Content after DATA: for any bytes and any division into chunks, the message equals what was sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store.intake.smtp.content import Content
from tests.store.intake.smtp_wire import stuffed

#: Bytes with many dots and line ends.
tricky = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"x", b"\x00\xff", b".\r\n", b"\n.\n"])).map(b"".join)


def ended(raw: bytes) -> bytes:
    return raw if not raw or raw.endswith(b"\r\n") else raw + b"\r\n"


@given(tricky.map(ended), tricky, st.integers(1, 9))
def test_every_byte_comes_back_and_the_rest_is_the_next_command(raw: bytes, rest: bytes, step: int) -> None:
    wire = stuffed(raw) + rest
    content = Content(1000)
    for at in range(0, len(wire), step):
        left = content.feed(wire[at : at + step])
        if left is not None:
            assert left + wire[at + step :] == rest
            assert content.message() == raw
            assert not content.too_large
            return
    raise AssertionError("the end was not found")


def test_a_dot_between_bare_line_ends_is_no_end() -> None:
    for smuggled in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n.\r"):
        content = Content(1000)
        assert content.feed(b"Subject: x\r\n\r\nfirst" + smuggled + b"MAIL FROM:<evil@gw.test>\r\n") is None
        assert content.feed(b".\r\nQUIT\r\n") == b"QUIT\r\n"
        assert b"MAIL FROM" in content.message()


@given(st.integers(0, 300), st.integers(1, 64))
def test_what_is_too_large_is_not_held_and_still_ends(size: int, step: int) -> None:
    raw = b".\r\n" * size
    content = Content(300)
    wire = stuffed(raw) + b"NOOP\r\n"
    for at in range(0, len(wire), step):
        rest = content.feed(wire[at : at + step])
        assert len(content._buffer) <= 300 * 4 // 3 + 64 + step + 2
        if rest is not None:
            break
    message = content.message()
    assert content.too_large is (len(raw) > 300)
    assert content.too_large or message == raw
