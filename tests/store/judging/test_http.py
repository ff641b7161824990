"""HTTP responses: read whole however they arrive, with any way of telling the end; garbage is an error, not a hang."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging.engines.http import HEADER_LIMIT, Response, request, response
from store.judging.engines.states import ScannerFailure

LIMIT = 1000
BODIES = st.binary(max_size=200)


def chunked(body: bytes, sizes: list[int]) -> bytes:
    """Write a body in chunks of these sizes, the rest as one."""
    out, at = b"", 0
    for size in (*sizes, len(body)):
        if part := body[at : at + size]:
            out += b"%x; x=y\r\n%b\r\n" % (len(part), part)
        at += size
    return out + b"0\r\n\r\n"


def read(data: bytes, cuts: list[int]) -> Response | None:
    """Read a response that arrives in pieces and then ends; None if it was not complete."""
    received, at = bytearray(), 0
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        received += data[at:cut]
        at = cut
        found = response(received, False, LIMIT)
        if found is not None:
            assert at == len(data) or not found.lasting or found.body == b""
            return found
    return response(received, True, LIMIT)


@given(
    BODIES, st.lists(st.integers(1, 50)), st.lists(st.integers(0, 400)), st.sampled_from(("length", "chunks", "end"))
)
def test_a_response_is_the_same_however_it_arrives(body: bytes, sizes: list[int], cuts: list[int], way: str) -> None:
    head, sent = {
        "length": (f"Content-Length: {len(body)}\r\n".encode(), body),
        "chunks": (b"Transfer-Encoding:chunked\r\n", chunked(body, sizes)),
        "end": (b"", body),
    }[way]
    data = b"HTTP/1.1 200 OK\r\nServer: x\r\n" + head + b"\r\n" + sent
    found = read(data, cuts)
    assert found is not None and (found.status, found.body) == (200, body)
    assert found.lasting == (way != "end")


@given(BODIES, st.lists(st.integers(1, 50)), st.integers(1, 300))
def test_half_a_response_is_none(body: bytes, sizes: list[int], missing: int) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body, sizes)
    assert response(bytearray(data[: max(0, len(data) - missing)]), True, LIMIT) is None


@given(st.binary(max_size=300), st.booleans())
def test_garbage_is_an_error_or_not_complete(data: bytes, ended: bool) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        try:
            found = response(bytearray(start + data), ended, LIMIT)
        except ScannerFailure:
            continue
        assert found is None or len(found.body) <= 300


@pytest.mark.parametrize(
    "data",
    [
        b"220 mx.example.org ESMTP\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEADER_LIMIT,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;%b\r\nx\r\n" % (b"x" * 900) * 100,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 20_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    ],
    ids=lambda data: ascii(data)[:60],
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(ScannerFailure, match=r"its answer is (invalid|too long)"):
        response(bytearray(data), False, LIMIT)


@pytest.mark.parametrize(
    ("head", "lasting"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
    ],
)
def test_whether_the_connection_can_be_kept(head: bytes, lasting: bool) -> None:
    data = head + b"content-length: 2\r\n\r\nok"
    assert response(bytearray(data), False, LIMIT) == Response(200, b"ok", lasting)
    assert response(bytearray(data), True, LIMIT) == Response(200, b"ok", False), "the server has closed it"
    assert response(bytearray(data + b"more"), False, LIMIT) == Response(200, b"ok", False), "it sent too much"


@pytest.mark.parametrize("trailer", [b"", b"X: x\r\n"])
def test_more_than_a_response_in_chunks_ends_the_connection(trailer: bytes) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" + trailer + b"\r\n"
    assert response(bytearray(data), False, LIMIT) == Response(200, b"ok", True)
    assert response(bytearray(data + b"HTTP/1.1 200"), False, LIMIT) == Response(200, b"ok", False)


def test_a_request() -> None:
    assert request("GET", "h:1", "/ping") == b"GET /ping HTTP/1.1\r\nHost: h:1\r\n\r\n"
    assert request("POST", "h", "/x", [("Rcpt", "é")]) == (
        "POST /x HTTP/1.1\r\nHost: h\r\nRcpt: é\r\nContent-Length: 0\r\n\r\n".encode()
    )
