"""`parse_message`: text, attachments and problems of well-formed, malformed and generated messages."""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.message import parser
from store.message.blank_lines import BLANK_LIMIT, shortened
from store.message.charset import decode
from store.message.message import ParsedMessage, parse_message, summarise
from store.message.transfer import base64_size, decode_base64, decode_transfer


def _multipart(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--x\n" + part + b"\n" for part in parts)
    return b"Subject: s\nContent-Type: multipart/" + kind + b"; boundary=x\n\n" + body + b"--x--\n"


def test_of_alternatives_the_html_is_shown_and_the_plain_text_kept() -> None:
    message = EmailMessage()
    message.set_content("plain words\n")
    message.add_alternative("<p>rich <b>words</b></p>", subtype="html")
    parsed = parse_message(message.as_bytes())
    assert (parsed.text, parsed.text_source, parsed.plain_text) == ("rich words", "html", "plain words\n")
    assert parsed.attachments == []
    assert parsed.problems == []


def test_parts_in_a_row_are_shown_in_a_row() -> None:
    parsed = parse_message(_multipart(b"\nfirst", b"Content-Type: text/html\n\n<p>second", b"\nthird"))
    assert parsed.text == "first\nsecond\nthird"
    assert parsed.text_source == "html"


def test_a_plain_message_is_its_text() -> None:
    parsed = parse_message("Content-Type: text/plain; charset=koi8-r\n\nПривет\r\n".encode("koi8-r"))
    assert (parsed.text, parsed.text_source) == ("Привет\n", "plain")
    assert parse_message(b"").text_source == "none"


def test_headers_keep_their_order_and_names() -> None:
    raw = b"X-One: 1\r\nReceived: a\r\n b\r\nX-ONE: =?utf-8?q?=C3=A9?=\r\n\r\nbody"
    parsed = parse_message(raw)
    assert parsed.headers == [("X-One", "1"), ("Received", "a b"), ("X-ONE", "é")]


def test_an_attachment_is_hashed_and_typed_by_its_content() -> None:
    message = EmailMessage()
    message.set_content("see the invoice")
    data = b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0"
    message.add_attachment(data, maintype="application", subtype="pdf", filename="invoice.pdf")
    [attachment] = parse_message(message.as_bytes()).attachments
    assert attachment.name == "invoice.pdf"
    assert attachment.declared_type == "application/pdf"
    assert attachment.detected_type == "application/vnd.microsoft.portable-executable"
    assert attachment.size == len(data)
    assert attachment.sha256 == hashlib.sha256(data).digest()
    assert attachment.disposition == "attachment"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (b'Content-Type: a/b; name="x.pdf"', "x.pdf"),
        (b"Content-Type: a/b; name=x y.pdf", "x y.pdf"),
        (b"Content-Type: a/b; NAME = x.pdf", "x.pdf"),
        (b'Content-Type: a/b; name="=?utf-8?q?caf=C3=A9?=.pdf"', "café.pdf"),
        (b"Content-Disposition: attachment; filename*=utf-8''caf%C3%A9.pdf", "café.pdf"),
        (b"Content-Disposition: attachment; filename*=iso-8859-1'fr'caf%E9.pdf", "café.pdf"),
        (b"Content-Disposition: attachment; filename*0*=utf-8''caf%C3; filename*1*=%A9; filename*2=.pdf", "café.pdf"),
        (b'Content-Disposition: attachment; filename*1="b.pdf"; filename*0="a"', "ab.pdf"),
        (b"Content-Disposition: attachment; filename=cafe.pdf; filename*=utf-8''caf%C3%A9.pdf", "café.pdf"),
        (b'Content-Disposition: attachment; filename="a\\"b.pdf"', 'a"b.pdf'),
        (b'Content-Disposition: attachment; filename="C:\\dir\\a.pdf"', "C:\\dir\\a.pdf"),
        (b'Content-Disposition: attachment; filename="unfinished.pdf', '"unfinished.pdf'),
        ('Content-Disposition: attachment; filename="café.pdf"'.encode(), "café.pdf"),
        ('Content-Disposition: attachment; filename="café.pdf"'.encode("latin-1"), "café.pdf"),
        (b"Content-Disposition: attachment; filename*=zlib''%1b[31m", "\x1b[31m"),
        (b"Content-Disposition: attachment", ""),
    ],
)
def test_names_in_every_spelling(fields: bytes, name: str) -> None:
    raw = _multipart(fields + b"\n\ndata")
    assert [attachment.name for attachment in parse_message(raw).attachments] == [name]
    assert [attachment.name for attachment in summarise(raw).attachments] == [name]


def test_names_that_differ_are_told() -> None:
    part = b'Content-Type: a/b; name="a.exe"\nContent-Disposition: attachment; filename="a.pdf"\n\nx'
    [attachment] = parse_message(_multipart(part)).attachments
    assert attachment.name == "a.pdf"
    assert "a.exe" in attachment.note
    twice = b'Content-Disposition: attachment; filename="a.txt"; filename="a.scr"\n\nx'
    assert "a.scr" in parse_message(_multipart(twice)).attachments[0].note


def test_messages_in_messages_are_read() -> None:
    inner = _multipart(b"\ninner text", b"Content-Type: image/png; name=i.png\n\nxx").replace(b"=x", b"=y")
    inner = inner.replace(b"--x", b"--y").replace(b"Subject: s", b"Subject: the inner")
    parsed = parse_message(_multipart(b"\nouter text", b"Content-Type: message/rfc822\n\n" + inner))
    assert [(one.name, one.declared_type, one.depth) for one in parsed.attachments] == [
        ("the inner", "message/rfc822", 0),
        ("i.png", "image/png", 1),
    ]
    assert "outer text" in parsed.text
    assert "Subject: the inner" in parsed.text
    assert "inner text" in parsed.text


def test_a_message_in_base64_is_read_too() -> None:
    import base64

    inner = base64.encodebytes(_multipart(b"Content-Type: a/b; name=hidden.exe\n\nMZ"))
    part = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + inner
    attachments = parse_message(_multipart(part)).attachments
    assert [(one.name, one.depth) for one in attachments] == [("s", 0), ("hidden.exe", 1)]


def test_uuencoded_files_in_text_are_found() -> None:
    raw = b"Subject: s\n\nlook:\nbegin 644 a b.exe\n$35H``P``\nend\nbye\n"
    [attachment] = parse_message(raw).attachments
    assert (attachment.name, attachment.size) == ("a b.exe", 4)
    assert attachment.detected_type == "application/x-msdownload"


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"Content-Type: multipart/mixed\n\nbody", "without a boundary"),
        (b"Content-Type: multipart/mixed; boundary=x\n\nbody", "is not found"),
        (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nbody", "is truncated"),
        (b"Content-Type: nonsense\n\nbody", "an invalid Content-Type"),
        (b"Content-Transfer-Encoding: base64\n\nYm9keQ\n", "malformed base64"),
        (b"Content-Transfer-Encoding: rot13\n\nbody", "unknown transfer encoding"),
        (b"Subject: x\nno field\nbody", "is not a field"),
    ],
)
def test_what_is_malformed_is_told_and_shown(raw: bytes, problem: str) -> None:
    parsed = parse_message(raw)
    assert any(problem in one for one in parsed.problems), parsed.problems
    assert "body" in parsed.text
    assert parsed.error is None


def test_text_that_is_called_base64_is_shown_as_it_stands() -> None:
    raw = b"Content-Transfer-Encoding: base64\n\nThese are plain words, not base64 at all.\n"
    assert "plain words" in parse_message(raw).text


def test_winmail_and_archives_stay_closed() -> None:
    tnef = b"Content-Type: application/ms-tnef; name=winmail.dat\n\n\x78\x9f\x3e\x22" + bytes(40)
    archive = b"Content-Type: application/zip; name=a.zip\n\nPK\x05\x06" + bytes(18)
    kinds = [attachment.detected_type for attachment in parse_message(_multipart(tnef, archive)).attachments]
    assert kinds == ["application/vnd.ms-tnef", "application/zip"]


def test_links_of_plain_text_are_listed_defanged() -> None:
    parsed = parse_message(b"Subject: s\n\nGo to https://user@evil.example/x.php, or www.example.org.\n")
    assert [link.defanged for link in parsed.links] == [
        "hxxps://user[@]evil[.]example/x.php",
        "hxxp://www[.]example[.]org",
    ]


@given(st.binary(max_size=80), st.text(st.characters(codec="ascii"), max_size=20))
def test_every_charset_name_decodes_any_bytes(data: bytes, charset: str) -> None:
    assert isinstance(decode(data, charset), str)


def test_every_codec_of_python_decodes_any_bytes_or_is_refused() -> None:
    from encodings.aliases import aliases

    samples = [bytes(range(256)), b"\x1b$B\x1b(J~{}~", b"+AAA-&", b"\xff\xfe\xd8", b"xn--" + b"a" * 100]
    for name in {*aliases, *aliases.values()}:
        for data in samples:
            assert isinstance(decode(data, name), str)
    assert decode(b"x\x9cK\x04\x00\x00b\x00b", "zlib") != "a"


@given(st.binary(max_size=300))
def test_sound_base64_is_decoded_and_its_size_is_known(data: bytes) -> None:
    import base64

    coded = base64.encodebytes(data)
    assert decode_base64(coded) == (data, False)
    assert base64_size(b"head" + coded, 4, 4 + len(coded)) == len(data)


@given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "8bit", "odd"]))
def test_any_bytes_have_a_transfer_decoding(data: bytes, encoding: str) -> None:
    assert isinstance(decode_transfer(data, encoding)[0], bytes)


def test_the_corpus_has_the_parts_that_the_standard_library_finds(corpus_files: list[Path]) -> None:
    compared = 0
    for path in corpus_files:
        raw = path.read_bytes()
        parsed = parse_message(raw)
        assert parsed.error is None, path
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        parts = list(message.walk())
        if any(part.defects for part in parts) or any(part.get_content_maintype() == "message" for part in parts):
            continue
        payloads = [
            (part.get_content_type(), part.get_payload(decode=True)) for part in parts if not part.is_multipart()
        ]
        if any(part.defects for part in parts) or parsed.problems:
            continue
        compared += 1
        mine = {attachment.sha256 for attachment in parsed.attachments}
        theirs = {
            hashlib.sha256(payload).digest()
            for kind, payload in payloads
            if isinstance(payload, bytes) and not kind.startswith("text/")
        }
        assert theirs <= mine, path
        kind, payload = payloads[0]
        plain = kind == "text/plain" and message.get_content_charset("ascii") in ("ascii", "us-ascii", "utf-8")
        if plain and parsed.text_source == "plain" and not message.is_multipart() and payload.isascii():
            assert parsed.text.split() == payload.decode().split(), path
    assert compared > 400


def test_the_corpus_says_the_same_in_summary_and_in_full(corpus_files: list[Path]) -> None:
    for path in corpus_files:
        raw = path.read_bytes()
        listed = [one.name[:255] for one in parse_message(raw).attachments if not one.note.startswith("uuencoded")]
        assert [one.name for one in summarise(raw).attachments] == listed, path


def test_a_link_that_several_parts_hold_is_listed_once() -> None:
    parsed = parse_message(_multipart(b"\nhttp://a.example/", b"\nhttp://a.example/ http://b.example/"))
    assert [link.target for link in parsed.links] == ["http://a.example/", "http://b.example/"]


@pytest.mark.parametrize("begin", [b"begin 644 ", b"begin 644", b"begin 644 \r", b"begin 0644  "])
def test_a_uuencoded_file_without_a_name_hides_nothing(begin: bytes) -> None:
    raw = _multipart(
        b"\nlook: http://a.example/\n" + begin + b"\n#0V%T\n`\nend \nbye", b"Content-Type: a/b; name=c\n\nd"
    )
    parsed = parse_message(raw)
    assert [(one.name, one.size) for one in parsed.attachments] == [("", 3), ("c", 1)]
    assert [link.target for link in parsed.links] == ["http://a.example/"]
    assert parsed.text.startswith("look: ")


def test_whatever_stands_in_a_uuencoded_file_all_that_it_may_be_called_is_told() -> None:
    raw = b"Subject: s\n\nbegin 644 a.txt\nendless\nbegin 644 \nbegin 644 b.exe\n$35H``P``\nend"
    [attachment] = parse_message(raw).attachments
    assert (attachment.name, attachment.detected_type) == ("a.txt", "application/x-msdownload")
    assert attachment.note == "uuencoded in the text, with lines that cannot be decoded; also named , b.exe"


def test_many_uuencoded_files_are_listed_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "ATTACHMENT_LIMIT", 30)
    parsed = parse_message(b"Subject: s\n\n" + b"begin 644 a\n`\nend\n" * 100 + b"begin 644 b\n#0V%T\n`\nend\n" * 31)
    assert [one.name for one in parsed.attachments] == ["b"] * 30
    assert parsed.attachments_truncated


_THREE = _multipart(
    b"\nfirst http://a.example/",
    b"Content-Type: text/html\n\n<p>second",
    b"Content-Type: a/b; name=third.bin\n\ndata",
    b"\nfourth",
)


@pytest.mark.parametrize("error", [IndexError("no"), RecursionError(), MemoryError(), UnicodeError()])
@pytest.mark.parametrize(
    ("broken", "mark"),
    [
        ("read_html", "[This part (text/html) could not be read: "),
        ("attachment_type", "it could not be decoded ("),
        ("links_in_text", "[This part (text/plain) could not be read: "),
    ],
)
def test_a_part_that_cannot_be_read_is_marked_and_hides_no_other(
    broken: str, mark: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(parser, broken, fail)
    parsed = parse_message(_THREE)
    why = "memory limit" if isinstance(error, MemoryError) else type(error).__name__
    [attachment] = parsed.attachments
    assert (attachment.name, attachment.size) == ("third.bin", 4)
    assert attachment.sha256 == hashlib.sha256(b"data").digest()
    assert mark in parsed.text + attachment.note
    assert why in parsed.text + attachment.note
    assert any("could not be read" in problem and why in problem for problem in parsed.problems)
    for word, of in (("first", ""), ("second", "read_html"), ("fourth", "")):
        assert (word in parsed.text) is (broken != of), word
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(parsed), type=ParsedMessage) == parsed


def test_parts_that_cannot_be_told_apart_are_shown_as_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr(parser, "scan_structure", fail)
    parsed = parse_message(_THREE)
    assert "first" in parsed.text
    assert "fourth" in parsed.text
    assert any("could not be split into parts (IndexError)" in problem for problem in parsed.problems)


def test_a_field_that_cannot_be_decoded_is_shown_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr(parser, "decode_field", fail)
    parsed = parse_message(b"Subject: caf\xe9\nX: y\n\nbody")
    assert (parsed.headers, parsed.text) == ([("Subject", "café"), ("X", "y")], "body")


@pytest.mark.parametrize("line", [b"\n", b" \r\n", b"\t\xc2\xa0\n"])
@pytest.mark.parametrize("kind", [b"text/plain; charset=utf-8", b"text/html; charset=utf-8"])
def test_blank_lines_hide_nothing_that_follows(line: bytes, kind: bytes) -> None:
    pre = b"<pre>" if b"html" in kind else b""
    raw = b"Content-Type: " + kind + b"\n\n" + pre + b"first\n" + line * 1_200_000 + b"http://last.example/\n"
    parsed = parse_message(raw)
    assert parsed.text.strip() == "first\n\n[1,200,000 blank lines]\n\nhttp://last.example/"
    assert [link.target for link in parsed.links] == ["http://last.example/"]
    assert not parsed.text_truncated


@given(
    st.lists(st.sampled_from(["a", "\n", "\n \n", " ", "\n" * 50, "\n" * 100, "\n\t" * 150, "\r"]), max_size=20).map(
        "".join
    )
)
def test_only_long_stretches_of_blank_lines_are_shortened(text: str) -> None:
    short = shortened(text)
    for stretch in re.findall(r"\n\s*\n", text):
        lines = stretch.count("\n") - 1
        assert (stretch in short) or lines > BLANK_LIMIT
        assert lines <= BLANK_LIMIT or f"[{lines:,} blank lines]" in short
    assert re.sub(r"\[[\d,]+ blank lines\]", "", short).split() == text.split()
