"""Messages mutated at random places, and what must hold for reading any bytes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from store.mail.addresses import addresses_in_header
from store.mail.changes import changed
from store.mail.header_fields import header_of
from store.mail.incoming import Accept
from store.message.html import LINK_LIMIT, TEXT_LIMIT
from store.message.in_child import ANSWER_LIMIT
from store.message.message import ParsedMessage, parse_message, summarise
from store.message.parser import ATTACHMENT_LIMIT, parse_headers

#: Texts that parsers look for, inserted anywhere.
TOKENS = [
    b"\n", b"\r\n", b"\r", b"\n\n", b"\0", b" ", b"\t", b":", b";", b'"', b"\\", b"=", b"=\n", b"--", b"\n--", b"--\n",
    b"From ", b"\n\tfolded", b"\nContent-Type: multipart/mixed; boundary=x\n\n--x\n", b"\n--x--\n", b"begin 644 \n",
    b"\nbegin 644 a.exe\n#0V%T\n`\nend\n", b"\nend\n", b"message/rfc822", b"multipart/alternative", b"text/html",
    b"text/plain", b"base64", b"quoted-printable", b"x-uuencode", b"charset=utf-16", b"charset=hz", b"charset=utf-7",
    b"charset=gb18030", b"charset=x-unknown", b"charset=iso-2022-jp", b"; name*0*=utf-8''%e2; name*1=\"b", b"filename=",
    b"=?utf-8?q?=C3?=", b"=?x?b?/////w==?=", b"=?big5?B?", b"?=", b"<a href='http://", b"http://a.example/", b"<!--",
    b"<style>.x{display:none", b"<div style='color:#fff", b"&#xd800;", b"&#0;", b"<base href='//[", b"\x1b$B", b"~{",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80" * 40, b"PK\x03\x04",
    b"PK\x05\x06", b"MZ", b"%PDF-", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"9" * 30, b"\nDate: 99 Foo 0 9:9:9 +9\n",
    b"charset=utf-7\n\n+3t8-", b"\n#0V%T\n`\n",
]  # fmt: skip


def mutated(raw: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Mutate `raw` at one to six places: bits flipped, stretches cut, doubled, moved, or taken from `others`."""
    data = bytearray(raw)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(data) + 1)
        if random.random() < 0.5:
            at = min(at, random.randrange(1 + min(len(data), 1500)))
        until = min(len(data), at + random.choice((1, 1, 4, 30, 400)))
        match random.randrange(8):
            case 0 if at < len(data):
                data[at] ^= 1 << random.randrange(8)
            case 1:
                data[at:until] = random.randbytes(until - at)
            case 2:
                del data[at:until]
            case 3:
                data[at:at] = data[at:until] * random.randint(1, 3)
            case 4:
                other = random.choice(others)
                start = random.randrange(len(other) + 1)
                data[at:until] = other[start : start + random.choice((10, 100, 2000))]
            case 5:
                data[at:until] = b""
                data[(place := random.randrange(len(data) + 1)) : place] = raw[at:until]
            case _:
                data[at : random.choice((at, until))] = random.choice(TOKENS)
    return bytes(data)


def _body(raw: bytes) -> bytes:
    header = header_of(raw)
    return header.text[header.body :]


def read_whole(raw: bytes) -> ParsedMessage:
    """Parse a message; assert that the result is complete and within its limits."""
    parsed = parse_message(raw)
    assert parsed.error is None
    assert not [problem for problem in parsed.problems if "could not be" in problem]
    answer = msgspec.msgpack.encode(parsed)
    assert len(answer) < ANSWER_LIMIT
    assert msgspec.msgpack.decode(answer, type=ParsedMessage) == parsed
    assert len(parsed.text) <= TEXT_LIMIT
    assert len(parsed.plain_text) <= TEXT_LIMIT
    assert len(parsed.links) <= LINK_LIMIT
    assert len(parsed.attachments) <= ATTACHMENT_LIMIT
    position = 0
    for start, end in parsed.hidden_spans:
        assert position <= start < end <= len(parsed.text)
        assert parsed.text[start:end].startswith("[hidden text")
        assert parsed.text_truncated or parsed.text[end - 1] == "]"
        position = end
    assert [name for name, _ in parse_headers(raw).headers] == [name for name, _ in parsed.headers]
    record = summarise(raw)
    assert len(record.attachments) <= len(parsed.attachments)
    for addresses in (record.from_, record.to, record.cc, record.bcc):
        addresses_in_header(addresses)
    assert _body(changed(raw, Accept(add_headers=(("X-Added", "value"),)))) in (_body(raw), b"\r\n" + _body(raw))
    header = header_of(raw, 0, len(raw), mbox=True)
    assert 0 <= header.start <= header.end <= header.body <= len(raw)
    return parsed
