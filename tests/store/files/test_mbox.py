"""Messages from files: when a file is one message and when an mbox, and that no byte changes."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.files.mbox import read_messages
from store.terms.errors import IntakeError

FROM = b"From alice@example.com Mon Nov 23 10:00:00 2026\n"


def read(data: bytes, *, single: bool = False, limit: int = 1 << 20) -> list[bytes | IntakeError]:
    return list(read_messages(io.BytesIO(data), single=single, limit=limit))


class Trickle:
    """A stream that returns a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        self._stream = io.BytesIO(data)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._step))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"no header at all",
        b"Subject: x\r\n\r\nbody\r\n",
        FROM,
        FROM + b"Subject: one\n\nbody\n\n",
        FROM.replace(b"\n", b"\r\n") + b"Subject: one\r\n\r\n>From here\r\n",
        # A `From ` line starts a message only with a time and a year, and after an empty line.
        FROM + b"Subject: one\n\nFrom here on it is text\nFrom: x\n",
        FROM + b"Subject: one\n\nbody\n" + FROM + b"Subject: two\n\n",
        FROM + b"Subject: one\n\nbody\n\nFrom the meeting at 10:00 we report\n",
        # Without a first `From ` line it is no mbox, whatever follows.
        b"Subject: one\n\nbody\n\n" + FROM + b"Subject: two\n\nbody\n",
    ],
)
def test_one_message_is_kept_whole(data: bytes) -> None:
    assert read(data) == [data]


def test_a_file_that_is_said_to_be_one_message_is_one() -> None:
    data = FROM + b"Subject: one\n\n\n" + FROM + b"Subject: two\n\n"
    assert len(read(data)) == 2
    assert read(data, single=True) == [data]


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_an_mbox_gives_what_is_between_its_separators(newline: bytes) -> None:
    first, second, third = b"Subject: one\n\nbody\n", b"Subject: two\n\n\n", b"no header"
    data = FROM + first + b"\n" + FROM + second + b"\n" + FROM + b"\n" + third
    got = read(data.replace(b"\n", newline))
    assert got == [message.replace(b"\n", newline) for message in (first, second, b"\n" + third)]


def test_the_empty_line_that_ends_an_mbox_is_not_the_last_messages() -> None:
    assert read(FROM + b"A: 1\n\nx\n\n" + FROM + b"B: 2\n\ny\n\n") == [b"A: 1\n\nx\n", b"B: 2\n\ny\n"]


def test_a_separator_at_the_very_end_begins_an_empty_message() -> None:
    assert read(FROM + b"A: 1\n\nx\n\n" + FROM[:-1]) == [b"A: 1\n\nx\n", b""]


def test_quoted_from_lines_are_unquoted_once() -> None:
    data = FROM + b"A: 1\n\n>From here\n>>From there\n> From\n\n" + FROM + b"B: 2\n\n"
    assert read(data)[0] == b"A: 1\n\nFrom here\n>From there\n> From\n"


def test_a_message_of_a_writer_that_does_not_quote_is_left_alone() -> None:
    data = FROM + b"A: 1\n\n>From here\nFrom there\n\n" + FROM + b"B: 2\n\n"
    assert read(data)[0] == b"A: 1\n\n>From here\nFrom there\n"


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_a_large_message_is_left_out_and_the_others_are_not(step: int) -> None:
    large = b"A: 1\n\n" + b"x" * 50_000 + b"\n"
    data = FROM + b"B: 2\n\nsmall\n\n" + FROM + large + b"\n" + FROM + b"C: 3\n\nalso small\n"
    got = list(read_messages(Trickle(data, step), limit=8_000))
    assert [isinstance(message, IntakeError) for message in got] == [False, True, False]
    assert got[0] == b"B: 2\n\nsmall\n" and got[2] == b"C: 3\n\nalso small\n"
    assert [type(message) for message in read(large, limit=8_000)] == [IntakeError]
    assert [type(message) for message in read(FROM + large, limit=8_000)] == [IntakeError]
    assert [type(message) for message in read(large, single=True, limit=8_000)] == [IntakeError]


def _quote(message: bytes) -> bytes:
    return re.sub(rb"^(>*From )", rb">\1", message, flags=re.MULTILINE)


_lines = st.lists(
    st.sampled_from(
        [b"", b"text", b"From here", b">From there", b">>From x", b"From a Mon Nov 23 10:00:00 2026", b"K: v"]
    ),
    max_size=8,
)
_messages = _lines.map(lambda lines: b"Subject: s\n\n" + b"".join(line + b"\n" for line in lines))


@given(st.lists(_messages, min_size=2, max_size=5), st.integers(1, 200))
@example([b"Subject: s\n\nFrom here\n", b"Subject: s\n\n"], 1)
def test_an_mboxrd_gives_back_what_was_put_in(messages: list[bytes], step: int) -> None:
    data = b"".join(FROM + _quote(message) + b"\n" for message in messages)
    assert read(data) == messages
    assert list(read_messages(Trickle(data, step))) == messages


@given(st.binary(max_size=300), st.integers(1, 50))
def test_whatever_comes_in_small_pieces_is_the_same(data: bytes, step: int) -> None:
    for whole in (data, FROM + data, FROM + b"A: 1\n\n" + data + b"\n\n" + FROM + data):
        assert read(whole) == list(read_messages(Trickle(whole, step)))
