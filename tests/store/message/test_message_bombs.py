"""Messages built to cost time, memory or depth. Each is parsed in the child within a generous deadline, without error.

The test relies on the deadline and the child's limits, not on timing: a quadratic step takes hours on these.
"""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable

import pytest

from store.message.message import ADDRESSES_LIMIT, parse_in_child
from store.message.mime import PROBLEM_LIMIT

_DEADLINE = 60.0
_MEGABYTE = 1 << 20


def _head(**fields: str) -> bytes:
    return b"".join(f"{name.replace('_', '-')}: {value}\n".encode() for name, value in fields.items()) + b"\n"


def _html(markup: str) -> bytes:
    return _head(Subject="s", Content_Type="text/html; charset=utf-8") + markup.encode()


def _nested(levels: int) -> bytes:
    out = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(levels)
    )
    return b"Subject: s\n" + out + b"\ndeepest\n"


def _same_boundary(levels: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" * levels + b"\ndeepest\n"


def _attachment(data: bytes, kind: str = "application/octet-stream") -> bytes:
    return _head(Content_Type=f"{kind}; name=a", Content_Transfer_Encoding="base64") + base64.encodebytes(data)


BOMBS: dict[str, Callable[[], bytes]] = {
    "a subject of a megabyte": lambda: b"Subject: " + b"s" * _MEGABYTE + b"\n\nbody",
    "a megabyte before the other fields": lambda: b"X: " + b"s" * _MEGABYTE + b"\nSubject: s\n\nbody",
    "a subject of encoded-words": lambda: b"Subject: " + b"=?utf-8?q?=C3=A9?= " * 60_000 + b"\n\nbody",
    "a subject of unfinished encoded-words": lambda: b"Subject: " + b"=?utf-8?q?" * 100_000 + b"\n\nbody",
    "a subject of question marks": lambda: b"Subject: " + b"=?" * 500_000 + b"\n\nbody",
    "a subject of charsets": lambda: (
        b"Subject: " + b"".join(b"=?utf-%d?b?w6k=?= " % number for number in range(50_000)) + b"\n\nbody"
    ),
    "a subject in a thousand folds": lambda: b"Subject: x" + b"\n x" * 500_000 + b"\n\nbody",
    "a million fields": lambda: b"a: b\n" * 1_000_000 + b"\nbody",
    "a million empty lines of colons": lambda: b":\n" * 1_000_000 + b"\nbody",
    "a field name of a megabyte": lambda: b"a" * _MEGABYTE + b": b\n\nbody",
    "headers without an end": lambda: b"X: " + b"y" * (8 * _MEGABYTE),
    "addresses by the million": lambda: b"To: " + b'"a, b" <a@b>, ' * 100_000 + b"\n\nbody",
    "quotes in addresses": lambda: b"From: " + b'"\\' * 300_000 + b"=?utf-8?q?x?=" * 1000 + b"\n\nbody",
    "a date of digits": lambda: b"Date: " + b"1 " * 300_000 + b"\nReceived: ;" + b"1-" * 300_000 + b"\n\nbody",
    "parameters by the thousand": lambda: b"Content-Type: a/b" + b"; a=b" * 200_000 + b"\n\nbody",
    "numbered parameters": lambda: (
        b"Content-Type: a/b" + b"".join(b"; name*%d*=a%%41" % number for number in range(50_000)) + b"\n\nbody"
    ),
    "unfinished quotes in parameters": lambda: b'Content-Type: a/b; a="' + b'\\";a="' * 100_000 + b"\n\nbody",
    "multiparts nested ten thousand deep": lambda: _nested(10_000),
    "multiparts nested under one boundary": lambda: _same_boundary(10_000),
    "messages nested ten thousand deep": lambda: b"Content-Type: message/rfc822\n\n" * 10_000 + b"Subject: in\n\nbody",
    "parts by the hundred thousand": lambda: (
        _head(Content_Type="multipart/mixed; boundary=x") + b"--x\nContent-Type: a/b; name=a\n\nx\n" * 200_000
    ),
    "lines that are nearly boundaries": lambda: (
        _head(Content_Type="multipart/mixed; boundary=x") + b"--x\n\na\n" + b"--xy\n" * 2_000_000
    ),
    "a boundary of dashes": lambda: _head(Content_Type='multipart/mixed; boundary="----"') + b"-" * (8 * _MEGABYTE),
    "base64 of padding": lambda: _head(Content_Transfer_Encoding="base64") + b"=" * (4 * _MEGABYTE),
    "base64 in messages in base64": lambda: _attachment(
        _attachment(_attachment(_attachment(b"x" * _MEGABYTE, "message/rfc822"), "message/rfc822"), "message/rfc822"),
        "message/rfc822",
    ),
    "quoted-printable of equals signs": lambda: (
        _head(Content_Transfer_Encoding="quoted-printable") + b"=" * (4 * _MEGABYTE)
    ),
    "uuencode without an end": lambda: _head(Subject="s") + b"begin 644 a\n" * 200_000,
    "uuencode of empty files": lambda: _head(Subject="s") + b"begin 644 a\nend\n" * 200_000,
    "text in utf-7": lambda: _head(Content_Type="text/plain; charset=utf-7") + b"+AAA-&" * 500_000,
    "text in hz": lambda: _head(Content_Type="text/plain; charset=hz") + b"~{~}" * 500_000,
    "text in iso-2022-jp": lambda: _head(Content_Type="text/plain; charset=iso-2022-jp") + b"\x1b$B\x1b(B" * 300_000,
    "text in punycode": lambda: _head(Content_Type="text/plain; charset=punycode") + b"a-" + b"9" * _MEGABYTE,
    "text in idna": lambda: _head(Content_Type="text/plain; charset=idna") + b"xn--" + b"a." * 500_000,
    "text in utf-32": lambda: _head(Content_Type="text/plain; charset=utf-32") + b"\0\0\1\0" * 1_000_000,
    "links by the hundred thousand": lambda: _head(Subject="s") + b"www.a.b http://c.d/ " * 200_000,
    "links without an end": lambda: _head(Subject="s") + b"http://" * 500_000,
    "combining marks": lambda: _head(Content_Type="text/plain; charset=utf-8") + "a\u0315\u0300".encode() * 500_000,
    "tags nested two hundred thousand deep": lambda: _html("<div>" * 200_000),
    "tags that nest and close by themselves": lambda: _html("<p><div>" * 100_000),
    "formatting that is never closed": lambda: _html("<b><i>" * 100_000),
    "tables in tables": lambda: _html("<table><tr><td>" * 50_000),
    "a million opening brackets": lambda: _html("<" * 4_000_000),
    "comments that are never closed": lambda: _html("<!--" * 500_000),
    "an attribute list of a megabyte": lambda: _html("<p " + " ".join(f"a{n}=b" for n in range(100_000)) + ">x"),
    "attributes that hold brackets": lambda: _html("<p " + " ".join(f"a{n}='>'" for n in range(20_000)) + ">x"),
    "a style of a megabyte": lambda: _html("<p style='" + "color:red;" * 200_000 + "'>x"),
    "a sheet of unclosed comments": lambda: _html("<style>" + "/*" * 500_000 + "</style>x"),
    "a sheet of braces": lambda: _html("<style>" + "a{" * 300_000 + "</style>x"),
    "a sheet of selectors": lambda: _html("<style>" + ",".join(".a" for _ in range(300_000)) + "{b:c}</style>x"),
    "classes by the hundred thousand": lambda: _html("<style>.a{b:c}</style><p class='" + "a " * 300_000 + "'>x"),
    "anchors by the hundred thousand": lambda: _html("<a href='http://x.example/'>y</a>" * 100_000),
    "one anchor around everything": lambda: _html("<a href='http://x.example/'>" + "<b>word</b> " * 100_000),
    "a link of a megabyte": lambda: _html(f"<a href='http://{'a.' * 500_000}'>{'b.' * 500_000}</a>"),
    "a host of punycode labels": lambda: _html(f"<a href='http://{'xn--a9999999.' * 1000}example'>x</a>"),
    "entities by the million": lambda: _html("&lt;" * 1_000_000),
    "entities that name entities": lambda: _html(
        '<!DOCTYPE x [<!ENTITY a "lol">' + "".join(f'<!ENTITY a{n} "{"&a;" * 10}">' for n in range(99)) + "]>&a98;"
    ),
    "an svg of entities": lambda: _attachment(
        b'<?xml version="1.0"?><!DOCTYPE x [' + b'<!ENTITY a "&b;&b;">' * 1000 + b"]><svg>&a;</svg>", "image/svg+xml"
    ),
    "an archive that lists itself": lambda: _attachment(
        b"PK\x03\x04" + b"PK\x01\x02" * 200_000 + b"PK\x05\x06" + bytes(12) + b"\4\0\0\0" + bytes(2)
    ),
    "a base of two megabytes": lambda: _html(
        f"<base href='http://a.example/{'x' * 2_000_000}'>" + "".join(f"<a href='{n}'>t</a> " for n in range(600))
    ),
    "plain texts by the dozen": lambda: (
        _head(Content_Type="multipart/mixed; boundary=x")
        + b"--x\nContent-Type: text/html\n\n<p>x\n"
        + (b"--x\n\n" + b"word " * 200_000 + b"\n") * 70
    ),
    "a charset for each of many parts": lambda: (
        _head(Content_Type="multipart/mixed; boundary=x")
        + b"".join(b"--x\nContent-Type: text/plain; charset=x%d\n\n" % n + b"\xe9" * 9 + b"\n" for n in range(900))
    ),
    "characters cut in two": lambda: _head(Content_Type="text/plain; charset=utf-7") + b"+3t8-" * 100_000,
    "comments before a tag": lambda: _attachment(b"<!---->" * 100_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_in_the_child_within_its_limits(name: str) -> None:
    raw = BOMBS[name]()
    parsed = parse_in_child(raw, timeout=_DEADLINE)
    assert parsed.error is None
    assert len(parsed.headers) <= 2000
    assert len(parsed.text) <= 1_000_000
    assert len(parsed.plain_text) <= 1_000_000
    assert len(parsed.problems) <= PROBLEM_LIMIT + 1
    assert not any("could not be" in problem for problem in parsed.problems)
    assert len(parsed.links) <= 500
    assert len(parsed.attachments) <= 500


_SUMMARY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
from store.message.message import summarise
record = summarise(sys.stdin.buffer.read())
print(len(record.subject), len(record.to), len(record.attachments))
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_has_a_summary_in_little_memory(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SUMMARY], input=BOMBS[name](), capture_output=True, timeout=_DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    subject, to, attachments = map(int, done.stdout.split())
    assert subject <= 1000
    assert to <= ADDRESSES_LIMIT
    assert attachments <= 100


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a million fields", "header block is too long"),
        ("multiparts nested ten thousand deep", "nested too deeply"),
        ("messages nested ten thousand deep", "nested too deeply"),
        ("parts by the hundred thousand", "too many parts"),
        ("tags nested two hundred thousand deep", "is nested too deeply"),
        ("an attribute list of a megabyte", "too many attributes"),
        ("plain texts by the dozen", "text is too long"),
        ("a charset for each of many parts", "not all problems"),
    ],
)
def test_what_a_limit_left_out_is_told(name: str, word: str) -> None:
    parsed = parse_in_child(BOMBS[name](), timeout=_DEADLINE)
    assert any(word in problem for problem in parsed.problems), parsed.problems
