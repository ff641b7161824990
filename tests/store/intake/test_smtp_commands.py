"""Arguments of SMTP commands, byte for byte, and replies that foreign text cannot break."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.intake.smtp.commands import (
    BadArgument,
    Mail,
    parse_mail,
    parse_recipient,
    parse_xforward,
    reply,
    xtext,
)
from store.terms.dsn import RecipientDsn


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        (b"FROM:<a@b.test>", Mail("a@b.test")),
        (b"from: <>", Mail("")),
        (b"FROM:<> SIZE=12 BODY=8BITMIME SMTPUTF8", Mail("", 12, True, True)),
        (b"FROM:<a@b.test> body=7bit size=3", Mail("a@b.test", 3)),
        (b"FROM:<a@b.test> ret=hdrs envid=Qq+3D9", Mail("a@b.test", ret="HDRS", envid="Qq+3D9")),
        (b'FROM:<"a b"@c.test>', Mail('"a b"@c.test')),
        (b'FROM:<"a>\\" b"@c.test>', Mail('"a>\\" b"@c.test')),
        (b"FROM:<@r.test,@q.test:a@b.test>", Mail("a@b.test")),
        (b"FROM:<=?utf-8?q?x?=@c.test>", Mail("=?utf-8?q?x?=@c.test")),
        (b"FROM:<a(c)@b.test>", Mail("a(c)@b.test")),
        (b"FROM:<a@b.test.>", Mail("a@b.test.")),
        ("FROM:<é@b.test>".encode(), Mail("é@b.test")),
        (b"FROM:<\xe9@b.test>", Mail("\udce9@b.test")),
    ],
)
def test_a_sender_stays_as_it_was_sent(argument: bytes, mail: Mail) -> None:
    assert parse_mail(argument, max_size=100) == mail


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        (b"", 501),
        (b"FROM:a@b.test", 501),
        (b"FROM:<a@b.test>SIZE=1", 501),
        (b'FROM:<"a@b.test>', 501),
        (b"FROM:<a@b.test", 501),
        (b"TO:<a@b.test>", 501),
        (b"FROM:<a b@c.test>", 553),
        (b"FROM:<a\x00@c.test>", 553),
        (b"FROM:<a\r@c.test>", 501),
        (b"FROM:<" + b"a" * 1001 + b">", 553),
        (b"FROM:<a@b.test> SIZE=101", 552),
        (b"FROM:<a@b.test> SIZE=x", 555),
        (b"FROM:<a@b.test> BODY=BINARYMIME", 555),
        (b"FROM:<a@b.test> RET=SOME", 501),
        (b"FROM:<a@b.test> RET=FULL RET=HDRS", 501),
        (b"FROM:<a@b.test> ENVID=", 501),
        (b"FROM:<a@b.test> ENVID=a+4", 501),
        (b"FROM:<a@b.test> ENVID=" + b"a" * 101, 501),
        (b"FROM:<a@b.test> NOTIFY=NEVER", 555),
    ],
)
def test_a_sender_that_cannot_be_taken(argument: bytes, code: int) -> None:
    with pytest.raises(BadArgument) as refused:
        parse_mail(argument, max_size=100)
    assert refused.value.reply.startswith(b"%d " % code)


def test_a_recipient() -> None:
    assert parse_recipient(b"TO:<a@b.test>") == RecipientDsn("a@b.test")
    asked = parse_recipient(b"TO:<a@b.test> notify=success,Delay ORCPT=rfc822;a+2Bc@b.test")
    assert asked == RecipientDsn("a@b.test", "SUCCESS,DELAY", "rfc822;a+2Bc@b.test")
    assert parse_recipient(b"to:<postmaster>") == RecipientDsn("postmaster")
    for bad in (b"TO:<>", b"TO:<> NOTIFY=NEVER", b"TO:<a@b> NOTIFY=NOW", b"TO:<a@b> RET=FULL", b"FROM:<a@b>"):
        with pytest.raises(BadArgument):
            parse_recipient(bad)


def test_xforward_tells_the_original_client() -> None:
    line = b"NAME=mx+2Bone.example ADDR=IPv6:2001:db8::1 helo=[UNAVAILABLE] IDENT=4hSb1x2CXyz SOURCE=REMOTE PORT=1234"
    assert parse_xforward(line) == {
        "NAME": "mx+one.example",
        "ADDR": "2001:db8::1",
        "HELO": "",
        "IDENT": "4hSb1x2CXyz",
        "SOURCE": "REMOTE",
        "PORT": "1234",
    }
    for bad in (b"NAME", b"WHAT=1"):
        with pytest.raises(BadArgument):
            parse_xforward(bad)


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40))
def test_xtext_comes_back(value: str) -> None:
    if value.upper() not in ("[UNAVAILABLE]", "[TEMPUNAVAIL]"):
        assert parse_xforward(b"HELO=" + xtext(value)) == {"HELO": value}
    assert xtext("") == b"[UNAVAILABLE]"


@given(st.binary(max_size=80))
def test_any_argument_is_taken_or_refused(argument: bytes) -> None:
    for parse in (lambda data: parse_mail(data, max_size=10), parse_recipient, parse_xforward):
        for prefix in (b"", b"FROM:<", b"TO:<"):
            try:
                parse(prefix + argument)
            except BadArgument as error:
                assert error.reply.endswith(b"\r\n")


@given(st.text())
def test_a_reply_is_one_line(text: str) -> None:
    line = reply(554, "5.7.1", text)
    assert line.startswith(b"554 5.7.1 ")
    assert line.count(b"\n") == line.count(b"\r") == 1
