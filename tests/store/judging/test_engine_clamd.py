"""clamd's protocol against a scripted server: verdicts, and all failures to give one."""

from __future__ import annotations

import asyncio
import struct
from datetime import datetime
from pathlib import Path

import pytest

from store.judging.engines import clamd as module
from store.judging.engines import states
from store.judging.engines.clamd import Clamd, database_date
from store.judging.engines.engine import EngineResult
from store.terms.verdicts import Engine, Status, Verdict
from tests.store.judging.wire_server import Talk, WireServer, incoming, mute, serving

VERSION = b"ClamAV 1.4.6/27819/Mon Nov 23 09:41:10 2026\0"
RELEASE = int(datetime(2026, 11, 23, 9, 41, 10).timestamp() * 1000)


async def read_stream(reader: asyncio.StreamReader) -> bytes:
    """Read the message of an INSTREAM whose command has been read."""
    message = b""
    while length := struct.unpack(">I", await reader.readexactly(4))[0]:
        message += await reader.readexactly(length)
    return message


def answering(
    answer: bytes, seen: list[bytes] | None = None, version: bytes = VERSION, pong: bytes = b"PONG\0"
) -> Talk:
    """Run a clamd that gives `answer` to each message, with its number in the session."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match await reader.readuntil(b"\0"):
            case b"zPING\0":
                writer.write(pong)
            case b"zVERSION\0":
                writer.write(version)
            case b"zIDSESSION\0":
                number = 0
                while await reader.readuntil(b"\0") == b"zINSTREAM\0":
                    message = await read_stream(reader)
                    number += 1
                    if seen is not None:
                        seen.append(message)
                    writer.write(b"%d: " % number + answer if answer.startswith(b"stream") else answer)
                    if not answer.endswith((b" OK\0", b" FOUND\0")):
                        return

    return talk


async def asked(server: WireServer, raw: bytes = b"Subject: x\r\n\r\nbody\r\n") -> EngineResult:
    """Have one message scanned."""
    scanner = Clamd(server.address)
    try:
        return await scanner.scan(incoming(raw))
    finally:
        await scanner.close()


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("OK", Verdict(Engine.ANTI_VIRUS, Status.CLEAN)),
        (
            "Eicar-Test-Signature.UNOFFICIAL FOUND",
            Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar-Test-Signature.UNOFFICIAL"),
        ),
        ("Heuristics.Encrypted.Zip FOUND", Verdict(Engine.ANTI_VIRUS, Status.ENCRYPTED, "Heuristics.Encrypted.Zip")),
        (
            "Heuristics.Broken.Executable FOUND",
            Verdict(Engine.ANTI_VIRUS, Status.CORRUPTED, "Heuristics.Broken.Executable"),
        ),
        (
            "Heuristics.Phishing.Email.SpoofedDomain FOUND",
            Verdict(Engine.ANTI_PHISHING, Status.PHISHING, "Heuristics.Phishing.Email.SpoofedDomain"),
        ),
        (
            "Heuristics.OLE2.ContainsMacros FOUND",
            Verdict(Engine.ANTI_VIRUS, Status.PROBABLY_INFECTED, "Heuristics.OLE2.ContainsMacros"),
        ),
        (
            "PUA.Win.Packer.Upx-53 FOUND",
            Verdict(Engine.ANTI_VIRUS, Status.PROBABLY_INFECTED, "PUA.Win.Packer.Upx-53"),
        ),
    ],
)
async def test_verdicts(tmp_path: Path, words: str, verdict: Verdict) -> None:
    async with serving(tmp_path / "s", answering(b"stream: " + words.encode() + b"\0")) as server:
        result = await asked(server)
    assert result.scanned
    assert result.verdicts == (verdict,)
    assert result.symbols == (((verdict.detail, None),) if verdict.detail else ()) and result.score is None
    assert result.database_date == RELEASE
    assert result.engines == {Engine.ANTI_VIRUS, Engine.ANTI_PHISHING}


@pytest.mark.parametrize("size", [0, 1, 1_048_576, 3_000_001])
async def test_the_message_arrives_whole_as_a_message(tmp_path: Path, size: int) -> None:
    raw = (b"X-Odd: 1\r\n" + b"\0\x01data" * (size // 6 + 1))[:size]
    seen: list[bytes] = []
    async with serving(tmp_path / "s", answering(b"stream: OK\0", seen)) as server:
        assert (await asked(server, raw)).scanned
    assert seen == [b"From mailhold\n" + raw]


async def test_a_message_that_is_too_large_for_it(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        await reader.readuntil(b"\0")
        await reader.readexactly(4)
        writer.write(b"INSTREAM size limit exceeded. ERROR\0")

    async with serving(tmp_path / "s", talk) as server:
        scanner = Clamd(server.address)
        result = await scanner.scan(incoming(b"x" * 10_000_000))
    assert not result.scanned
    assert result.why == "clamd: INSTREAM size limit exceeded."
    assert scanner.state.up


@pytest.mark.parametrize(
    "answer",
    [b"", b"stre", b"stream: OK", b"\xff\xfe\0", b"stream: \0", b"UNKNOWN COMMAND\0", b"x" * 200_000],
    ids=lambda answer: ascii(answer)[:30],
)
async def test_garbage_and_half_an_answer_are_no_verdict(tmp_path: Path, answer: bytes) -> None:
    async with serving(tmp_path / "s", answering(answer)) as server:
        scanner = Clamd(server.address, time_limit=10)
        result = await scanner.scan(incoming())
        assert not result.scanned
        assert result.verdicts[0].status is Status.NOT_SCANNED
        assert scanner.state.up, "it answers a ping"
        server.talk = answering(b"stream: OK\0")
        assert (await scanner.scan(incoming())).scanned
        await scanner.close()


async def test_one_that_is_not_there_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "PAUSE", 0.0)
    scanner = Clamd(f"unix:{tmp_path / 's'}")
    result = await scanner.scan(incoming())
    assert result.why == f"clamd is down: No such file or directory (unix:{tmp_path / 's'})"
    assert await scanner.ping()
    async with serving(tmp_path / "s", answering(b"stream: OK\0")):
        assert await scanner.ping() == ""
        assert (await scanner.scan(incoming())).scanned
        await scanner.close()


async def test_one_that_takes_everything_and_says_nothing_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "PING_LIMIT", 0.05)
    monkeypatch.setattr(module, "PING_LIMIT", 0.05)
    async with serving(tmp_path / "s", mute) as server:
        scanner = Clamd(server.address, time_limit=0.05)
        assert "clamd is down: no answer within 0.05 s" in (await scanner.scan(incoming())).why


async def test_something_else_that_listens_there_is_no_clamd(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", answering(b"", pong=b"220 mx.example.org ESMTP\0")) as server:
        assert "not clamd" in await Clamd(server.address).ping()


@pytest.mark.parametrize("version", [b"", b"garbage", b"ClamAV 1.4.6\0", b"x" * 100_000])
async def test_a_version_without_a_date_does_not_matter(tmp_path: Path, version: bytes) -> None:
    async with serving(tmp_path / "s", answering(b"stream: OK\0", version=version)) as server:
        result = await asked(server)
    assert (result.scanned, result.database_date) == (True, 0)


async def test_the_version_is_asked_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "s", answering(b"stream: OK\0")) as server:
        scanner = Clamd(server.address)
        for _ in range(3):
            await scanner.scan(incoming())
        await scanner.close()
        assert server.connections == 2, "a session and one question for the version"
        monkeypatch.setattr(module, "VERSION_VALID", 0.0)
        scanner = Clamd(server.address)
        for _ in range(3):
            await scanner.scan(incoming())
        await scanner.close()
        assert server.connections == 6


@pytest.mark.parametrize(
    "version",
    ["", "ClamAV 1.4.6", "ClamAV 1.4.6/27819/", "ClamAV 1.4.6/1/Mon Nov 99 09:41:10 2026", "x/1/Mon Nov 23 2026"],
)
def test_no_date(version: str) -> None:
    assert database_date(version) == 0


def test_a_date_of_one_digit() -> None:
    assert database_date("ClamAV 1.4.6/1/Tue Nov  3 09:41:10 2026") == int(
        datetime(2026, 11, 3, 9, 41, 10).timestamp() * 1000
    )
