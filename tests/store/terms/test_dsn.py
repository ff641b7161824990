"""DSN parameters: parsed by RFC 3461, kept with a copy, and nothing else is passed on."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.terms.dsn import Asked, BadDsn, Dsn, RecipientDsn, asked_of, dsn_of, read_parameter
from store.terms.records import CopyRecord

GOOD = [
    (b"RET", b"full", {"ret": "FULL"}),
    (b"ENVID", b"QQ314159+2B", {"envid": "QQ314159+2B"}),
    (b"NOTIFY", b"never", {"notify": "NEVER"}),
    (b"NOTIFY", b"DELAY,success,FAILURE", {"notify": "DELAY,SUCCESS,FAILURE"}),
    (b"ORCPT", b"rfc822;a+2Bb@x.example", {"orcpt": "rfc822;a+2Bb@x.example"}),
    (b"ORCPT", "utf-8;\u03b4@x.example".encode(), {"orcpt": "utf-8;\u03b4@x.example"}),
    (b"SIZE", b"12", {}),
]
BAD = [
    *((b"RET", value) for value in (b"", b"SOME", b"FULL,HDRS")),
    *(
        (b"ENVID", value)
        for value in (b"", b"a b", b"a=b", b"a+b", b"a+2", b"a\n", b"a\r\nRSET", b"\xc3\xa9", b"a" * 101)
    ),
    *((b"NOTIFY", value) for value in (b"", b"NEVER,DELAY", b"DELAY,DELAY", b"NOW", b"SUCCESS,", b"NEVER\n")),
    *(
        (b"ORCPT", value)
        for value in (b"", b"a@b", b";a", b"rfc822;", b"rfc822;a b", b"utf-8;\xff", b"x;a\n", b"x;" + b"a" * 499)
    ),
]


@pytest.mark.parametrize(("name", "value", "found"), GOOD)
def test_a_parameter_is_kept_as_it_came(name: bytes, value: bytes, found: dict[str, str]) -> None:
    assert read_parameter(name, value) == found


@pytest.mark.parametrize(("name", "value"), BAD)
def test_what_is_not_valid_is_refused_and_passed_over_where_another_took_it(name: bytes, value: bytes) -> None:
    with pytest.raises(BadDsn, match=name.decode()):
        read_parameter(name, value)
    assert asked_of([name + b"=" + value, b"RET=HDRS", b"BODY=8BITMIME", b"SMTPUTF8", b""]) == Asked(ret="HDRS")


@given(name=st.sampled_from([b"RET", b"ENVID", b"NOTIFY", b"ORCPT"]), value=st.binary(max_size=30))
def test_nothing_that_ends_a_command_is_taken(name: bytes, value: bytes) -> None:
    try:
        [found] = read_parameter(name, value).values()
    except BadDsn:
        return
    assert found.encode().upper() == value.upper() and not set(value) & {0, 9, 10, 13, 32, 127}


def test_a_record_keeps_it_and_former_ones_have_none() -> None:
    asked = Dsn("FULL", "id", (RecipientDsn("a@x.example", "NEVER", "rfc822;A@y.example"),))
    record = CopyRecord(subject="x", dsn=asked)
    encoded = msgspec.msgpack.encode(record)
    assert msgspec.msgpack.decode(encoded, type=CopyRecord) == record
    assert msgspec.msgpack.decode(encoded)["dsn"] == ["FULL", "id", [["a@x.example", "NEVER", "rfc822;A@y.example"]]]
    assert "dsn" not in msgspec.msgpack.decode(msgspec.msgpack.encode(CopyRecord(subject="x")))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode({"subject": "x"}), type=CopyRecord).dsn is None


def test_a_release_takes_what_was_asked_for_its_recipients() -> None:
    one, two = RecipientDsn("a@x.example", "NEVER"), RecipientDsn("b@x.example", "", "rfc822;c@x.example")
    assert dsn_of("", "", [RecipientDsn("a@x.example")]) is None
    whole = dsn_of("", "", [one, two])
    assert whole is not None and whole.by_address == {"a@x.example": one, "b@x.example": two}
    assert whole.only(["b@x.example", "z@x.example"]) == Dsn("", "", (two,))
    assert whole.only(["z@x.example"]) is None
    assert Dsn("HDRS", "", (one,)).only([]) == Dsn("HDRS")
