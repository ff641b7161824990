"""Connections to a scanner: kept for the next message, replaced unnoticed, and no answer taken for another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from store.judging.engines import connections as module
from store.judging.engines.clamd import Clamd
from store.judging.engines.rspamd import Rspamd
from store.judging.engines.states import RemoteScanner
from store.terms.verdicts import Status
from tests.store.judging.test_engine_clamd import read_stream
from tests.store.judging.wire_server import Talk, WireServer, incoming, serving

HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n"
NO_ACTION = b'{"action": "no action"}'


def clamd_that(after: Callable[[int, asyncio.StreamWriter], bool], answer: bytes = b"%d: stream: OK\0") -> Talk:
    """Run a clamd that calls `after` with the number of a request once it has answered; False ends the session."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readuntil(b"\0") != b"zIDSESSION\0":
            writer.write(b"PONG\0")
            return
        number = 0
        while await reader.readuntil(b"\0") == b"zINSTREAM\0":
            await read_stream(reader)
            number += 1
            writer.write(answer % number if b"%d" in answer else answer)
            if not after(number, writer):
                return

    return talk


def rspamd_that_keeps(requests: int) -> Talk:
    """Run an HTTP server that closes a connection after so many requests, without saying so."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(requests):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"POST"):
                length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:"))
                await reader.readexactly(length)
            writer.write(HTTP + NO_ACTION)

    return talk


async def scans(scanner: RemoteScanner, count: int) -> None:
    for _ in range(count):
        assert (await scanner.scan(incoming())).scanned
    assert scanner.state.up and scanner.state.not_scanned == 0


@pytest.fixture
def without_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not let clamd be asked for its version, so that each connection is a session."""

    async def nothing(_scanner: Clamd) -> None: ...

    monkeypatch.setattr(Clamd, "_read_version", nothing)


@pytest.mark.usefixtures("without_version")
async def test_one_session_serves_all_messages(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", clamd_that(lambda _number, _writer: True)) as server:
        scanner = Clamd(server.address)
        await scans(scanner, 20)
        assert server.connections == 1
        await asyncio.gather(*(scanner.scan(incoming()) for _ in range(40)))
        assert server.connections <= 8, "as many as messages are scanned at once"
        await scanner.close()


async def test_a_server_that_keeps_connections_is_asked_on_one(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", rspamd_that_keeps(1000)) as server:
        scanner = Rspamd(server.address)
        await scans(scanner, 20)
        await scanner.close()
        assert server.connections == 1


async def test_a_server_that_closes_without_a_word_costs_no_message(tmp_path: Path) -> None:
    async with serving(tmp_path / "s", rspamd_that_keeps(2)) as server:
        scanner = Rspamd(server.address)
        await scans(scanner, 20)
        await scanner.close()
        assert server.connections == 10


@pytest.mark.usefixtures("without_version")
@pytest.mark.parametrize("words", [b"", b"COMMAND READ TIMED OUT\n"])
async def test_a_session_that_was_closed_while_idle_is_replaced(tmp_path: Path, words: bytes) -> None:
    def after(number: int, writer: asyncio.StreamWriter) -> bool:
        if number == 3:
            writer.write(words)
        return number < 3

    async with serving(tmp_path / "s", clamd_that(after)) as server:
        scanner = Clamd(server.address)
        for _ in range(9):
            await scans(scanner, 1)
            await asyncio.sleep(0.005)
        assert server.connections == 3
        await scanner.close()


@pytest.mark.usefixtures("without_version")
async def test_a_session_that_is_closed_as_the_message_is_sent_is_replaced(tmp_path: Path) -> None:
    """The worst case: clamd reads the message, and hangs up without an answer."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\0") == b"zIDSESSION\0"
        for number in (1, 2):
            await reader.readuntil(b"\0")
            await read_stream(reader)
            if number == 1:
                writer.write(b"1: stream: OK\0")

    async with serving(tmp_path / "s", talk) as server:
        scanner = Clamd(server.address)
        await scans(scanner, 5)
        assert server.connections == 5
        await scanner.close()


@pytest.mark.usefixtures("without_version")
async def test_an_idle_session_is_not_kept_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.0)
    async with serving(tmp_path / "s", clamd_that(lambda _number, _writer: True)) as server:
        scanner = Clamd(server.address)
        await scans(scanner, 3)
        assert server.connections == 3
        await scanner.close()


@pytest.mark.usefixtures("without_version")
async def test_a_session_that_serves_another_daemon_after_a_restart_is_replaced(tmp_path: Path) -> None:
    server = WireServer(tmp_path / "s", clamd_that(lambda _number, _writer: True))
    await server.start()
    scanner = Clamd(server.address)
    await asyncio.gather(*(scanner.scan(incoming()) for _ in range(8)))
    for _ in range(3):
        await server.stop()
        await server.start()
        await scans(scanner, 4)
    await scanner.close()
    await server.stop()


@pytest.mark.usefixtures("without_version")
@pytest.mark.parametrize("answer", [b"7: stream: OK\0", b"stream: OK\0", b": stream: OK\0"])
async def test_an_answer_to_another_request_is_no_verdict(tmp_path: Path, answer: bytes) -> None:
    async with serving(tmp_path / "s", clamd_that(lambda _number, _writer: True, answer)) as server:
        scanner = Clamd(server.address)
        result = await scanner.scan(incoming())
        await scanner.close()
    assert {verdict.status for verdict in result.verdicts} == {Status.NOT_SCANNED}


@pytest.mark.usefixtures("without_version")
async def test_a_second_answer_that_nobody_asked_for_ends_the_session(tmp_path: Path) -> None:
    def after(number: int, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"%d: stream: Forged FOUND\0" % (number + 1))
        return True

    async with serving(tmp_path / "s", clamd_that(after)) as server:
        scanner = Clamd(server.address)
        for _ in range(3):
            result = await scanner.scan(incoming())
            await asyncio.sleep(0.005)
            assert not result.condemned
        await scanner.close()


@pytest.mark.usefixtures("without_version")
async def test_a_message_that_takes_too_long_ends_its_session(tmp_path: Path) -> None:
    """Its late answer must not be taken for the next message's."""
    late = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readuntil(b"\0") != b"zIDSESSION\0":
            writer.write(b"PONG\0")
            return
        for number in range(1, 100):
            await reader.readuntil(b"\0")
            body = await read_stream(reader)
            if b"slow" in body:
                await late.wait()
            writer.write(b"%d: stream: %s\0" % (number, b"Slow FOUND" if b"slow" in body else b"OK"))

    async with serving(tmp_path / "s", talk) as server:
        scanner = Clamd(server.address, time_limit=0.2)
        await scans(scanner, 1)
        assert not (await scanner.scan(incoming(b"slow"))).scanned
        late.set()
        scanner.time_limit = 10
        result = await scanner.scan(incoming())
        assert result.scanned and not result.condemned
        await scanner.close()
