"""spamd's protocol against a scripted server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.judging.engines import states
from store.judging.engines.spamd import Spamd
from store.terms.verdicts import Engine, Status, Verdict
from tests.store.judging.wire_server import Talk, WireServer, incoming, mute, serving


def reply(spam: str, score: str, symbols: str) -> bytes:
    body = symbols.encode()
    return f"SPAMD/1.1 0 EX_OK\r\nContent-length: {len(body)}\r\nSpam: {spam} ; {score} / 5.0\r\n\r\n".encode() + body


def answering(answer: bytes, seen: list[bytes] | None = None) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"PING SPAMC/"):
            writer.write(b"SPAMD/1.5 0 PONG\r\n")
            return
        message = await reader.read()
        length = re.search(rb"(?m)^Content-length: (\d+)\r$", head)
        assert length is not None
        assert int(length[1]) == len(message)
        if seen is not None:
            seen.extend((head, message))
        writer.write(answer)

    return talk


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WireServer]:
    async with serving(tmp_path / "s", answering(reply("False", "1.0", "A"))) as running:
        yield running


@pytest.mark.parametrize(
    ("answer", "spam_score", "verdicts"),
    [
        (
            reply("False", "-0.1", "HTML_MESSAGE,NO_RECEIVED"),
            None,
            (Verdict(Engine.ANTI_SPAM, Status.CLEAN, "-0.1 / 5.0 HTML_MESSAGE, NO_RECEIVED"),),
        ),
        (reply("True", "1000.0", "GTUBE"), None, (Verdict(Engine.ANTI_SPAM, Status.SPAM, "1000.0 / 5.0 GTUBE"),)),
        (reply("True", "8.0", "A1"), 10.0, (Verdict(Engine.ANTI_SPAM, Status.PROBABLE_SPAM, "8.0 / 5.0 A1"),)),
        (reply("True", "10.0", "A1"), 10.0, (Verdict(Engine.ANTI_SPAM, Status.SPAM, "10.0 / 5.0 A1"),)),
        (
            reply("True", "99.0", "USER_IN_BLOCKLIST"),
            None,
            (Verdict(Engine.ANTI_SPAM, Status.BLACKLISTED, "99.0 / 5.0 USER_IN_BLOCKLIST"),),
        ),
        (reply("False", "0.0", ""), None, (Verdict(Engine.ANTI_SPAM, Status.CLEAN, "0.0 / 5.0"),)),
    ],
)
async def test_verdicts(
    server: WireServer, answer: bytes, spam_score: float | None, verdicts: tuple[Verdict, ...]
) -> None:
    server.talk = answering(answer)
    result = await Spamd(server.address, spam_score=spam_score).scan(incoming())
    assert result.scanned
    assert result.verdicts == verdicts
    score, _, rest = verdicts[-1].detail.partition(" / ")
    required, _, names = rest.partition(" ")
    assert (result.score, result.required) == (float(score), float(required))
    assert {name for name, _ in result.symbols} >= set(names.split(", ")) - {""}


async def test_it_gets_the_message_and_the_line_that_the_mta_has_not_written_yet(server: WireServer) -> None:
    seen: list[bytes] = []
    server.talk = answering(reply("False", "0", "A"), seen)
    raw = b"Subject: x\r\n\r\nbody\r\n"
    message = incoming(
        raw,
        sender="ann@example.org",
        client_address="192.0.2.1",
        client_name="mx.example.org",
        helo="mx) forged\r\nX: y",
        queue_id="4ABC",
        received_at=1_795_426_870_000,
    )
    assert (await Spamd(server.address, user="mail").scan(message)).scanned
    head, body = seen
    assert b"\r\nUser: mail\r\n" in head
    assert body == (
        b"Received: from mx??forged?X:?y (mx.example.org [192.0.2.1])\r\n"
        b"\tby localhost (Postfix) with ESMTP id 4ABC\r\n"
        b"\t(envelope-from <ann@example.org>);\r\n\tMon, 23 Nov 2026 09:41:10 +0000\r\n" + raw
    )
    seen.clear()
    await Spamd(server.address).scan(incoming(raw))
    assert seen[1] == raw, "no line where the client is not known"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SPAM",
        b"SPAMD/1.1 0 EX_OK",
        b"SPAMD/1.1 0 EX_OK\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n\r\n",
        b"SPAMD/1.1 76 Bad header line\r\n\r\n",
        b"220 mx.example.org ESMTP\r\n",
        reply("Maybe", "1", "A"),
        reply("True", "x", "A"),
        reply("True", "1000.0", "GTUBE")[:-2],
        b"SPAMD/1.1 0 EX_OK\r\n" + b"x" * 400_000,
    ],
    ids=lambda answer: ascii(answer)[:30],
)
async def test_garbage_and_half_an_answer_are_no_verdict(server: WireServer, answer: bytes) -> None:
    server.talk = answering(answer)
    scanner = Spamd(server.address, time_limit=10)
    result = await scanner.scan(incoming())
    assert not result.scanned
    assert result.verdicts[0].status is Status.NOT_SCANNED
    assert scanner.state.up, "it answers a ping"
    server.talk = answering(reply("False", "0", "A"))
    assert (await scanner.scan(incoming())).scanned


async def test_one_that_takes_everything_and_says_nothing_is_down(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "PING_LIMIT", 0.05)
    server.talk = mute
    result = await Spamd(server.address, time_limit=0.1).scan(incoming())
    assert "spamd is down: no answer within 0.05 s" in result.why


async def test_something_else_that_listens_there_is_no_spamd(server: WireServer) -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server.talk = http
    assert "not spamd" in await Spamd(server.address).ping()
