"""Body hashes of DKIM signatures: the examples of RFC 6376, and hostile fields."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.mail.dkim import LONGEST, MOST, Holds, body_hashes

#: RFC 6376, 3.4.5: a body, and its two canonical forms.
BODY = b" C \r\nD \t E\r\n\r\n\r\n"
RELAXED, SIMPLE = b" C\r\nD E\r\n", b" C \r\nD \t E\r\n"
EMPTY_SIMPLE = "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="  # RFC 6376, 3.4.3
EMPTY_RELAXED = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="  # RFC 6376, 3.4.4


def hash_of(canonical: bytes) -> str:
    return b64encode(hashlib.sha256(canonical).digest()).decode()


def signed(bh: str, body: bytes, *, c: str = "relaxed/relaxed", a: str = "rsa-sha256", more: str = "") -> bytes:
    tags = f"v=1; a={a}; c={c}; d=x.example; s=s;\r\n\th=From : To:\r\n\t Bcc; {more}bh={bh};\r\n\tb=aa\r\n"
    return b"DKIM-Signature: " + tags.encode() + b"From: a@x.example\r\n\r\n" + body


def holds(message: bytes) -> Holds:
    [found] = body_hashes(message)
    return found.holds


@pytest.mark.parametrize(
    ("c", "canonical"),
    [("relaxed/relaxed", RELAXED), ("relaxed/simple", SIMPLE), ("relaxed", SIMPLE), ("simple/relaxed", RELAXED)],
)
def test_the_forms_of_a_body(c: str, canonical: bytes) -> None:
    assert holds(signed(hash_of(canonical), BODY, c=c)) is Holds.YES
    assert holds(signed(hash_of(canonical), BODY.replace(b"D", b"d"), c=c)) is Holds.NO
    assert holds(signed(hash_of(canonical), BODY.replace(b"\r\n", b"\n"), c=c)) is Holds.YES  # As SMTP carries it.


def test_an_empty_body() -> None:
    for body in (b"", b"\r\n", b"\r\n\r\n"):
        assert holds(signed(EMPTY_SIMPLE, body, c="simple/simple")) is Holds.YES
        assert holds(signed(EMPTY_RELAXED, body)) is Holds.YES
    assert holds(signed(EMPTY_SIMPLE, b"x", c="simple")) is Holds.NO


def test_what_is_told_of_a_signature() -> None:
    [found] = body_hashes(signed(hash_of(RELAXED), BODY, a="ed25519-sha256"))
    assert found == ("x.example", Holds.YES, frozenset((b"from", b"to", b"bcc")), False)
    assert body_hashes(b"Subject: x\r\n\r\nbody") == [] == body_hashes(b"")


def test_a_hash_of_a_part_of_the_body() -> None:
    message = signed(hash_of(RELAXED[:4]), BODY, more="l=4; ")
    assert body_hashes(message)[0].partial and holds(message) is Holds.YES
    assert holds(message + b"appended\r\n") is Holds.YES
    assert holds(signed(hash_of(RELAXED), BODY, more="l=999; ")) is Holds.NO


@pytest.mark.parametrize(
    "more",
    [
        {"a": "rsa-sha1"},
        {"a": "rsa-sha512"},
        {"c": "relaxed/other"},
        {"more": "l=x; "},
        {"more": "l=-1; "},
        {"more": f"l={'9' * 80}; "},
        {"more": "bh=AAAA; "},
        {"more": "1=2; "},
        {"more": "nothing; "},
        {"more": f"x={'x' * LONGEST}; "},
    ],
)
def test_what_is_not_verified_is_unknown(more: dict[str, str]) -> None:
    assert holds(signed(hash_of(RELAXED), BODY, **more)) is Holds.UNKNOWN


def test_a_hash_that_is_none_is_unknown() -> None:
    assert holds(signed("", BODY)) is Holds.UNKNOWN
    assert holds(signed("!", BODY)) is Holds.UNKNOWN
    assert holds(signed(" ".join(hash_of(RELAXED)), BODY)) is Holds.YES  # Blanks within it are ignored.


def test_no_more_signatures_than_somebody_signs_with_are_looked_at() -> None:
    field = signed(hash_of(RELAXED), BODY).partition(b"From: ")[0]
    assert len(body_hashes(field * 40 + b"\r\n" + BODY)) == MOST


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\n", b"\r", b"x", b"."]), max_size=30).map(b"".join))
def test_blanks_and_last_lines_count_as_the_form_says(body: bytes) -> None:
    """The canonical forms, written independently."""
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    while lines and not lines[-1]:
        lines.pop()
    relaxed = [b" ".join(_words(line)).rstrip(b" ") for line in lines]
    while relaxed and not relaxed[-1]:
        relaxed.pop()
    simple = b"".join(line + b"\r\n" for line in lines) or b"\r\n"
    assert holds(signed(hash_of(simple), body, c="simple/simple")) is Holds.YES
    assert holds(signed(hash_of(b"".join(line + b"\r\n" for line in relaxed)), body)) is Holds.YES


def _words(line: bytes) -> list[bytes]:
    """Split a line at its runs of blanks; a leading run gives an empty first word."""
    words = line.replace(b"\t", b" ").split(b" ")
    return [word for at, word in enumerate(words) if word or at == 0 or at == len(words) - 1]


@given(st.binary(max_size=300))
def test_whatever_stands_in_a_field_raises_nothing(value: bytes) -> None:
    body_hashes(b"DKIM-Signature: " + value + b"\r\n\r\nbody\r\n")
