"""The marker's bytes: its vectors, fields allowed above it, messages without one, and that every other byte counts."""

from __future__ import annotations

import hmac
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import assume, given
from hypothesis import strategies as st

from store.delivery.marker import (
    MOST_ADDED,
    MOST_ADDED_BYTES,
    MOST_FIELD_BYTES,
    MOST_FIELDS,
    TOKEN_SIZE,
    digest_of,
    field_of,
    find_marker,
    markable,
    spellings,
    tag_of,
)
from store.delivery.release_rows import ROLE, Release, fields_of
from store.mail.addresses import same
from store.mail.header_fields import header_of
from store.sealing.signatures import verify_signature
from store.sealing.statements import statement
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors

TOKEN = bytes(range(TOKEN_SIZE))
FIELD = field_of(TOKEN)
RECEIVED = b"Received: from a (b [192.0.2.1])\r\n\tby c; Mon, 1 Jan 2026 00:00:00 +0000\r\n"
MESSAGE = (
    b"Resent-From: <mailhold@x.example>\r\nFrom: a@x.example\r\nSubject: two\r\n\tlines\r\nX-Relay: note\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n"
)
IGNORED = frozenset((b"x-relay",))


@pytest.mark.parametrize("case", vectors("markers"))
def test_marker_vectors(case: dict[str, Any]) -> None:
    try:
        _pass(case)
        outcome = "passes"
    except TamperedError:
        outcome = "judged"
    assert outcome == case["outcome"]


def _pass(case: dict[str, Any]) -> None:
    """Treat a message as intake does, with the rows of a case. Raises TamperedError unless it passes."""
    raw, store_id = bytes.fromhex(case["raw"]), bytes.fromhex(case["store_id"])
    rows = [
        Release(**{name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in row.items()})
        for row in case["rows"]
    ]
    marker = find_marker(raw)
    ignored = frozenset(name.encode() for name in case["ignored"])
    digests = [digest_of(marker.token, each, raw, marker.below, ignored) for each in spellings(case["sender"])]

    def require(held: object) -> None:
        if not held:
            raise TamperedError("marker")

    def key_of(signer: int) -> Ed25519PublicKey:
        require(signer == row.gateway_id and str(signer) in case["gateways"])
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(case["gateways"][str(signer)]))

    require(case["recipients"])
    for address in case["recipients"]:
        tags = [tag_of(marker.token, each) for each in spellings(address)]
        row = next((each for each in rows if each.tag in tags), Release(b"", 0, 0, b"", 0, b""))
        require(row.digest in digests and row.expires_at >= case["now"] and str(row.delivery_id) in case["orders"])
        order = bytes.fromhex(case["orders"][str(row.delivery_id)])
        verify_signature(store_id, statement(ROLE, store_id, *fields_of(row, order)), row.signature, key_of, "marker")


def test_the_digest_is_of_the_statement_of_sender_and_bytes() -> None:
    data = statement("release message", "a@x.example", MESSAGE)
    assert digest_of(TOKEN, "a@x.example", FIELD + MESSAGE, len(FIELD)) == hmac.digest(TOKEN, data, "sha256")
    without = MESSAGE.replace(b"X-Relay: note\r\n", b"")
    data = statement("release message", "", without)
    assert digest_of(TOKEN, "", MESSAGE, 0, IGNORED) == hmac.digest(TOKEN, data, "sha256")


edits = st.tuples(st.integers(0, len(MESSAGE)), st.integers(0, 12), st.binary(max_size=12))


@given(st.lists(edits, min_size=1, max_size=3), st.sampled_from((frozenset(), IGNORED)))
def test_any_edit_below_the_field_gives_another_digest(
    changes: list[tuple[int, int, bytes]], ignored: frozenset[bytes]
) -> None:
    edited = MESSAGE
    for at, length, put in changes:
        edited = edited[:at] + put + edited[at + length :]
    left = [_without(each, ignored) for each in (MESSAGE, edited)]
    assume(left[0] != left[1])
    try:
        assert digest_of(TOKEN, "", edited, 0, ignored) != digest_of(TOKEN, "", MESSAGE, 0, ignored)
    except TamperedError:
        assert ignored


def _without(message: bytes, ignored: frozenset[bytes]) -> bytes:
    header = header_of(message, mbox=False)
    gone = [field for field in header.fields() if field.name in ignored]
    for field in reversed(gone):
        message = message[: field.start] + message[field.end :]
    return message


lines = st.lists(
    st.sampled_from(
        (
            RECEIVED,
            b"RECEIVED: by x\r\n",
            b"Received: \r\n",
            b"Received : by x\r\n",
            b"Received: a\r\n \t\r\n b\r\n",
            b"Received: a\nb: c\r\n",
            b"Received: a\rb\r\n",
            b"Received: a\0\r\n",
            b"X-Received: by x\r\n",
            b"Subject: x\r\n",
            b"Received\r\n",
            b"\r\n",
            b" Received: folded\r\n",
            b"From x@y\r\n",
            b">From x@y\r\n",
            b": x\r\n",
        )
    ),
    max_size=4,
)
#: The fields allowed above the marker, written down independently.
ABOVE = re.compile(
    rb"(?:received:[^\0\r\n]*\r\n(?:[ \t]+[^\0\r\n \t][^\0\r\n]*\r\n)*){0,%d}" % MOST_ADDED, re.IGNORECASE
)


@given(lines)
def test_above_the_field_only_received_may_stand(above: list[bytes]) -> None:
    raw = b"".join(above) + FIELD + MESSAGE
    if ABOVE.fullmatch(b"".join(above)):
        assert find_marker(raw) == (TOKEN, len(raw) - len(MESSAGE))
    else:
        with pytest.raises(TamperedError):
            find_marker(raw)


PIECES = st.sampled_from(
    (b"", b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\0", b"\r\n ", b"\r\nX: y", b"From ", b"\xff")
)


@given(st.lists(st.tuples(st.integers(0, 2 * len(RECEIVED)), st.integers(0, 4), PIECES), min_size=1, max_size=3))
def test_any_edit_above_the_field_leaves_received_alone_or_no_marker(changes: list[tuple[int, int, bytes]]) -> None:
    above = RECEIVED * 2
    for at, length, put in changes:
        above = above[:at] + put + above[at + length :]
    try:
        found = find_marker(above + FIELD + MESSAGE) == (TOKEN, len(above) + len(FIELD))
    except TamperedError:
        found = False
    assert found is bool(ABOVE.fullmatch(above))


@given(st.binary(max_size=60))
def test_no_other_bytes_above_it_pass(above: bytes) -> None:
    raw = above + FIELD + MESSAGE
    fields = [field.name for field in header_of(raw, mbox=False).fields()]
    assume(above and b"received" not in fields)
    with pytest.raises(TamperedError):
        find_marker(raw)


def test_what_stands_above_is_limited() -> None:
    assert find_marker(RECEIVED * MOST_ADDED + FIELD).token == TOKEN
    long = b"Received: " + b"x" * (MOST_ADDED_BYTES - 12) + b"\r\n"
    assert find_marker(long + FIELD).token == TOKEN
    for above in (RECEIVED * (MOST_ADDED + 1), long + b"Received: y\r\n", RECEIVED * 5_000):
        with pytest.raises(TamperedError, match="too many fields"):
            find_marker(above + FIELD)


def test_every_altered_byte_of_the_field_is_another_marker_or_none() -> None:
    for at in range(len(FIELD)):
        for bit in (1, 0x20, 0x80):
            altered = FIELD[:at] + bytes([FIELD[at] ^ bit]) + FIELD[at + 1 :]
            try:
                assert find_marker(altered + MESSAGE).token != TOKEN
            except TamperedError:
                pass


def test_what_a_relay_may_add_is_limited_below_too() -> None:
    plain = digest_of(TOKEN, "", MESSAGE, 0, IGNORED)
    for added in (b"X-Relay: a\r\n", b"x-relay: b\r\n c\r\n" * 5):
        for at in (0, MESSAGE.index(b"From: a@"), MESSAGE.index(b"\r\n\r\n") + 2):
            assert digest_of(TOKEN, "", MESSAGE[:at] + added + MESSAGE[at:], 0, IGNORED) == plain
    for added in (
        b"X-Relay : a\r\n",
        b"X-Relay: a\r\n \r\n",
        b"X-Relay: a\r\n\t \r\n b\r\n",
        b"X-Relay: a\rb\r\n",
        b"X-Relay: a\0\r\n",
        b"X-Relay: a\n",
        b"X-Relay: a\r\n" * (MOST_ADDED + 1),
        b"X-Relay: " + b"a" * MOST_ADDED_BYTES + b"\r\n",
    ):
        with pytest.raises(TamperedError):
            digest_of(TOKEN, "", added + MESSAGE, 0, IGNORED)
    # Between the lines of a field it takes over the continuation; in the body it is text.
    for place in (b"\tlines", b"--b\r\n"):
        changed = MESSAGE.replace(place, b"X-Relay: a\r\n" + place, 1)
        assert digest_of(TOKEN, "", changed, 0, IGNORED) != plain


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"A: b\r\n\r\nx\ry\r\n", "CR"),
        (b"A: b\rc\r\n\r\nx\r\n", "CR"),
        (b"A : b\r\n\r\nx\r\n", "colon"),
        (b": b\r\n\r\nx\r\n", "colon"),
        (b"A: b\r\nno field\r\n\r\nx\r\n", "not a field"),
        (b"no field\r\n\r\nx\r\n", "not a field"),
        (b"\r\nx\r\n", "not a field"),
        (b"A: b\r\n \t\r\nB: c\r\n\r\nx\r\n", "blank"),
        (b"A: b\r\n \r\n", "blank"),
        (b"A: b\0\r\n\r\nx\r\n", "NUL"),
        (b"A: " + b"b" * MOST_FIELD_BYTES + b"\r\n\r\n", "too long"),
        (b"A: b\r\n" * (MOST_FIELDS + 1) + b"\r\n", "too many"),
    ],
)
def test_what_mail_servers_mend_gets_no_marker(message: bytes, why: str) -> None:
    assert why in markable(message)[1]


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (b"A: b\n\nx\ny", b"A: b\r\n\r\nx\r\ny\r\n"),
        (b"A: b\r\n\r\nx\ny\r\n", b"A: b\r\n\r\nx\r\ny\r\n"),
        (b"A: b\r\n", b"A: b\r\n\r\n"),
        (b"A: b", b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\n\r\n \r\n.\0\xff\r\n", b"A: b\r\n\r\n\r\n \r\n.\0\xff\r\n"),
        (b"A: b\r\n" * MOST_FIELDS + b"\r\n", b"A: b\r\n" * MOST_FIELDS + b"\r\n"),
    ],
)
def test_what_gets_one_has_the_form_that_smtp_carries(message: bytes, wire: bytes) -> None:
    assert markable(message) == (wire, "")


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("root", "root@mx1.example"),
        ("Root", "Root"),
        ('"ab"@x.example', "ab@x.example"),
        ('"a.b"@x.example', "a.b@X.example"),
        ("a..b@x.example", '"a..b"@x.example'),
        ('"a b"@x.example', '"a b"@x.example'),
        ('"a\\b"@x.example', "ab@x.example"),
        ('"a\\"b"@x.example', '"a\\"b"@x.example'),
        ("a@x.example.", "a@x.example"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("", ""),
    ],
)
def test_an_address_that_postfix_wrote_otherwise_has_the_same_tag(sent: str, back: str) -> None:
    assert tag_of(TOKEN, same(sent)) in [tag_of(TOKEN, each) for each in spellings(back)]


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        ("a@x.example", "A@x.example"),
        ("Root", "root"),
        ("a@x.example", "a@y.example"),
        ("a@x.example", "a"),
        ("root@x.example", "root@y.example"),
        ('"a@x.example"@y.example', "a@x.example"),
        ("", "a@x.example"),
        ("a@x.example", ""),
    ],
)
def test_another_address_has_another_tag(sent: str, back: str) -> None:
    assert tag_of(TOKEN, same(sent)) not in [tag_of(TOKEN, each) for each in spellings(back)]


@pytest.mark.parametrize("char", ["\ud800", "\udcff", "\udfff"])
def test_an_address_that_is_not_utf8_was_never_sent_to(char: str) -> None:
    with pytest.raises(TamperedError, match="UTF-8"):
        spellings(f"a{char}@x.example")
    for other in "\ud7ff\ue000":
        assert spellings(f"a{other}@x.example")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (MESSAGE, "there are other fields than Received above it"),
        (RECEIVED * 2, "the message has none"),
        (RECEIVED + b"\r\n" + FIELD, "the message has none"),
        (b"\r\n" + FIELD, "the message has none"),
        (b"Subject: a\r\n" + FIELD + MESSAGE, "there are other fields than Received above it"),
        (b"Received: a\n" + FIELD + MESSAGE, "a field that was added to the message is malformed"),
        (b"Received: a\0\r\n" + FIELD + MESSAGE, "a field that was added to the message is malformed"),
        (b"Received : a\r\n" + FIELD + MESSAGE, "a field that was added to the message is malformed"),
        (b"Received: a\r\n \r\n" + FIELD + MESSAGE, "a field that was added to the message is malformed"),
        (b"Received: a", "a field that was added to the message is malformed"),
        (b"Received: a\n" + RECEIVED, "a field that was added to the message is malformed"),
        (RECEIVED * (MOST_ADDED + 1) + MESSAGE, "too many fields were added to the message"),
        (RECEIVED * (MOST_ADDED + 1) + FIELD, "too many fields were added to the message"),
        (RECEIVED * MOST_ADDED + MESSAGE, "there are other fields than Received above it"),
        (FIELD[:-2] + b" \r\n", "it is not in the format of this version of Mailhold"),
        (FIELD[:-3] + b"B\r\n", "it is not in the format of this version of Mailhold"),
        (FIELD.replace(b"2;", b"1;"), "it is not in the format of this version of Mailhold"),
        (b"From x\r\n" + FIELD, "the message has none"),
    ],
)
def test_it_says_what_stands_in_a_marker_s_way(raw: bytes, why: str) -> None:
    with pytest.raises(TamperedError) as error:
        find_marker(raw)
    assert error.value.why == why


def test_of_two_markers_the_first_is_it() -> None:
    other = field_of(bytes(TOKEN_SIZE))
    raw = RECEIVED + FIELD + other + MESSAGE
    assert find_marker(raw) == (TOKEN, len(RECEIVED + FIELD))


def test_the_limits_are_those_of_mail_servers() -> None:
    """Above the marker 60 fields and 64 KiB; below it 1,000 fields, and 100,000 bytes in one."""
    assert find_marker(b"Received: a\r\n" * 60 + FIELD).token == TOKEN
    assert find_marker(b"Received: " + b"x" * (65_536 - 12) + b"\r\n" + FIELD).token == TOKEN
    for above in (b"Received: a\r\n" * 61, b"Received: " + b"x" * (65_537 - 12) + b"\r\n"):
        with pytest.raises(TamperedError, match="too many fields were added"):
            find_marker(above + FIELD)
    assert markable(b"A: b\r\n" * 1000 + b"\r\n")[1] == ""
    assert markable(b"A: b\r\n" * 1001 + b"\r\n")[1] == "its header has too many fields"
    assert markable(b"A: " + b"x" * (100_000 - 5) + b"\r\n\r\n")[1] == ""
    assert markable(b"A: " + b"x" * (100_001 - 5) + b"\r\n\r\n")[1] == "a field of its header is too long"
