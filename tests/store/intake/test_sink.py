"""SMTP and LMTP listeners at byte level: what the handler gets, and what the client is told."""

from __future__ import annotations

import asyncio
import logging
import re
import stat
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.intake.sink import SinkServer
from store.intake.smtp.content import Content
from store.intake.smtp.input import Input, LineTooLong
from store.intake.smtp.session import Session
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse
from store.terms.errors import StoreError, UsageError
from tests.amounts import amount
from tests.store.intake.smtp_wire import Reply, WireClient, stuffed

RAW = b"Subject: s\r\n\r\nbody\r\n"
Judge = Callable[[Incoming], Outcome | Sequence[Outcome]]


class Handled:
    """A handler that keeps what it gets and waits if told to."""

    def __init__(self, judge: Judge | None = None) -> None:
        self.judge = judge or (lambda _incoming: Accept())
        self.seen: list[Incoming] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.done = 0

    async def __call__(self, incoming: Incoming) -> Outcome | Sequence[Outcome]:
        self.seen.append(incoming)
        await self.go_on.wait()
        self.done += 1
        return self.judge(incoming)


@asynccontextmanager
async def serving(protocol: Any, handled: Handled, **options: Any) -> AsyncIterator[tuple[SinkServer, int]]:
    server = SinkServer(handled, protocol=protocol, max_size=options.pop("max_size", 10_000_000), **options)
    port = await server.listen_tcp("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        await server.stop(0.1)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_message_with_its_envelope_and_its_original_client() -> None:
    handled = Handled()
    async with serving("smtp", handled) as (_server, port):
        client = await WireClient.tcp(port, "EHLO")
        line = "XFORWARD NAME=mx.example ADDR=192.0.2.7 HELO=helo.example IDENT=4hSb1x2CXyz"
        assert (await client.ask(line)).code == 250
        assert (await client.message(RAW, "s@gw.test", ["a@gw.test", "hidden@gw.test"])).code == 250
        [incoming] = handled.seen
        assert incoming.raw == RAW
        assert (incoming.sender, incoming.recipients) == ("s@gw.test", ["a@gw.test", "hidden@gw.test"])
        assert (incoming.queue_id, incoming.client_address) == ("4hSb1x2CXyz", "192.0.2.7")
        assert (incoming.client_name, incoming.helo) == ("mx.example", "helo.example")
        assert incoming.received_at > 0
        assert not incoming.truncated
        assert not incoming.trusted_headers
        # The next message of the session has its own client.
        assert (await client.message(RAW, "")).code == 250
        assert (handled.seen[1].sender, handled.seen[1].queue_id) == ("", "")
        # The MTA on this host is not the origin of the message.
        assert handled.seen[1].client_address == ""
        assert handled.seen[1].helo == "client.test"


async def test_only_a_trusted_listener_says_that_its_headers_count() -> None:
    handled = Handled()
    async with serving("lmtp", handled, trusted=True) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        assert (await client.message(RAW)).code == 250
    assert handled.seen[0].trusted_headers


async def test_what_is_offered() -> None:
    for protocol, greet in (("smtp", "EHLO"), ("lmtp", "LHLO")):
        async with serving(protocol, Handled(), max_size=777, host_name="gw.example") as (_server, port):
            client = await WireClient.tcp(port)
            told = await client.ask(f"{greet} x")
            offers = told.text.split("\n")
            assert offers[0] == "gw.example"
            assert {"PIPELINING", "SIZE 777", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"} <= set(offers)
            assert "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in offers
            assert (await client.ask("LHLO x" if protocol == "smtp" else "EHLO x")).code == 500


async def test_each_recipient_of_lmtp_has_a_reply() -> None:
    refusal = Refuse(550, "5.7.1", "not for you: 100 %\r\n250 ok")
    handled = Handled(lambda _incoming: [Accept(), refusal, Discard()])
    async with serving("lmtp", handled) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        assert await client.message(RAW, to=["a@gw.test", "b@gw.test", "c@gw.test"]) == Reply(250, "2.0.0 Ok")
        assert await client.reply() == Reply(550, "5.7.1 not for you: 100 %??250 ok")
        assert await client.reply() == Reply(250, "2.7.0 Ok: discarded")
        handled.judge = lambda _incoming: Refuse(451, "4.7.1", "later")
        assert (await client.message(RAW, to=["a@gw.test", "b@gw.test"])).code == 451
        assert (await client.reply()).code == 451
        assert (await client.ask("NOOP")).code == 250


async def test_smtp_has_one_reply_and_a_refusal_prevails() -> None:
    handled = Handled(lambda _incoming: [Accept(), Refuse(550, "5.7.1", "no"), Refuse(451, "4.7.1", "later")])
    async with serving("smtp", handled) as (_server, port):
        client = await WireClient.tcp(port, "EHLO")
        assert (await client.message(RAW, to=["a@gw.test", "b@gw.test", "c@gw.test"])).code == 451
        handled.judge = lambda _incoming: [Accept(), Refuse(550, "5.7.1", "no"), Discard()]
        assert (await client.message(RAW, to=["a@gw.test", "b@gw.test", "c@gw.test"])).code == 550
        assert (await client.ask("NOOP")).code == 250


async def test_a_defect_in_the_handler_makes_the_client_try_again(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_incoming: Incoming) -> Outcome:
        raise RuntimeError("a defect")

    handled = Handled(broken)
    async with serving("lmtp", handled) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        with caplog.at_level(logging.DEBUG):
            assert (await client.message(RAW, to=["a@gw.test", "b@gw.test"])).code == 451
            assert (await client.reply()).code == 451
        handled.judge = lambda _incoming: [Accept()]
        assert (await client.message(RAW, to=["a@gw.test", "b@gw.test"])).code == 451
    assert "gw.test" not in caplog.text


async def test_everything_at_once() -> None:
    """All commands of two messages and their contents in one write; every reply comes in order."""
    handled = Handled()
    async with serving("smtp", handled) as (_server, port):
        client = await WireClient.tcp(port)
        one = b"MAIL FROM:<s@gw.test>\r\nRCPT TO:<a@gw.test>\r\nRCPT TO:bad\r\nDATA\r\n" + stuffed(RAW)
        await client.put(b"EHLO x\r\n" + one * 2 + b"NOOP\r\nQUIT\r\n")
        codes = [(await client.reply()).code for _ in range(14)]
        assert codes == [250, *[250, 250, 501, 354, 250] * 2, 250, 221, 0]
    assert [incoming.raw for incoming in handled.seen] == [RAW, RAW]


async def test_pipelining_into_a_refusal() -> None:
    async with serving("lmtp", Handled()) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        await client.put(b"MAIL FROM:<s@gw.test>\r\nRCPT TO:<>\r\nDATA\r\nRSET\r\n")
        assert [(await client.reply()).code for _ in range(4)] == [250, 501, 503, 250]


async def test_long_lines_dots_and_all_bytes_arrive_as_they_were_sent() -> None:
    handled = Handled()
    raws = [
        b"Subject: " + b"x" * 300_000 + b"\r\n\r\n" + b"y" * 2_000_000 + b"\r\n",
        b".\r\n..\r\n.a\r\n\r\n.\r\n",
        b"Subject: x\r\n\r\n" + bytes(range(256)) * 10 + b"\r\n",
        b"",
        b"\r\n",
        b"From x\r\nno field\r\n\r\n\n.\n\r.\r\r\n",
    ]
    async with serving("lmtp", handled) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        for raw in raws:
            assert (await client.message(raw)).code == 250
    assert [incoming.raw for incoming in handled.seen] == raws


async def test_what_is_too_large_is_refused_and_the_session_goes_on() -> None:
    handled = Handled()
    async with serving("lmtp", handled, max_size=1000) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        assert (await client.ask("MAIL FROM:<> SIZE=1001")).code == 552
        too_large = b"x" * 999 + b"\r\n"
        assert (await client.message(too_large, to=["a@gw.test", "b@gw.test"])).code == 552
        assert (await client.reply()).code == 552
        assert (await client.message(b"y" * 3_000_000 + b"\r\n")).code == 552
        assert (await client.message(b"x" * 998 + b"\r\n")).code == 250
    assert len(handled.seen) == 1


async def test_commands_out_of_order_and_nonsense() -> None:
    async with serving("smtp", Handled()) as (_server, port):
        client = await WireClient.tcp(port)
        for line, code in (
            ("MAIL FROM:<a@b>", 503),
            ("EHLO", 501),
            ("HELO x", 250),
            ("RCPT TO:<a@b>", 503),
            ("DATA", 503),
            ("MAIL FROM:<a@b>", 250),
            ("MAIL FROM:<a@b>", 503),
            ("XFORWARD ADDR=192.0.2.1", 503),
            ("DATA", 503),
            ("RSET", 250),
            ("RCPT TO:<a@b>", 503),
            ("VRFY a", 252),
            ("WHAT", 500),
            ("", 500),
            ("x" * 5000, 500),
            ("noop", 250),
            ("QUIT", 221),
        ):
            assert (await client.ask(line)).code == code, line
        assert (await client.reply()).code == 0


async def test_a_client_that_makes_nothing_but_errors_is_sent_away() -> None:
    async with serving("smtp", Handled()) as (server, port):
        client = await WireClient.tcp(port)
        await client.put(b"WHAT\r\n" * 30)
        codes = []
        while code := (await client.reply()).code:
            codes.append(code)
        assert codes == [*[500] * 20, 421]
        await until(lambda: server.sessions == 0)


async def test_many_recipients_are_too_many() -> None:
    async with serving("lmtp", Handled()) as (_server, port):
        client = await WireClient.tcp(port, "LHLO")
        assert (await client.ask("MAIL FROM:<>")).code == 250
        await client.put(b"RCPT TO:<a@gw.test>\r\n" * 1001)
        codes = [(await client.reply()).code for _ in range(1001)]
        assert codes == [*[250] * 1000, 452]


async def test_a_client_that_goes_away_leaves_nothing_and_what_is_judged_is_judged_to_its_end() -> None:
    handled = Handled()
    async with serving("smtp", handled) as (server, port):
        client = await WireClient.tcp(port, "EHLO")
        await client.envelope()
        await client.put(b"Subject: half")
        client.close()
        await until(lambda: server.sessions == 0)
        assert not handled.seen
        handled.go_on.clear()
        client = await WireClient.tcp(port, "EHLO")
        await client.envelope()
        await client.put(stuffed(RAW))
        await until(lambda: len(handled.seen) == 1)
        client.writer.transport.abort()
        await asyncio.sleep(0.02)
        handled.go_on.set()
        await until(lambda: handled.done == 1 and server.sessions == 0)


async def test_a_silent_client_is_told_why_it_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.intake.smtp.session.COMMAND_SECONDS", 0.05)
    async with serving("smtp", Handled()) as (server, port):
        client = await WireClient.tcp(port)
        assert (await client.reply()).code == 421
        await until(lambda: server.sessions == 0)


async def test_many_sessions_at_once() -> None:
    handled = Handled()
    async with serving("lmtp", handled) as (server, port):

        async def deliver(number: int) -> int:
            client = await WireClient.tcp(port, "LHLO")
            code = (await client.message(RAW + b"%d\r\n" % number)).code
            await client.ask("QUIT")
            return code

        assert set(await asyncio.gather(*(deliver(number) for number in range(100)))) == {250}
        await until(lambda: server.sessions == 0)
    assert len({incoming.raw for incoming in handled.seen}) == 100


async def test_a_stop_finishes_what_is_under_way_and_sends_others_away() -> None:
    handled = Handled()
    async with serving("lmtp", handled) as (server, port):
        judged, waiting, sending = [await WireClient.tcp(port, "LHLO") for _ in range(3)]
        handled.go_on.clear()
        await judged.envelope()
        await judged.put(stuffed(RAW))
        await sending.envelope()
        await sending.put(b"Subject: the first half\r\n")
        await until(lambda: len(handled.seen) == 1)
        stopping = asyncio.create_task(server.stop(20))
        assert (await waiting.reply()).code == 421
        handled.go_on.set()
        await sending.put(stuffed(RAW))
        for client in (judged, sending):
            assert (await client.reply()).code == 250
            assert (await client.reply()).code == 421
            assert (await client.reply()).code == 0
        await stopping
        with pytest.raises(OSError):
            await WireClient.tcp(port)


async def test_a_stop_does_not_wait_for_ever() -> None:
    handled = Handled()
    async with serving("smtp", handled) as (server, port):
        judged, sending = [await WireClient.tcp(port, "EHLO") for _ in range(2)]
        handled.go_on.clear()
        await judged.envelope()
        await judged.put(stuffed(RAW))
        await sending.envelope()
        await until(lambda: len(handled.seen) == 1)
        await server.stop(0.05)
        for client in (judged, sending):
            assert (await client.reply()).code == 421
            assert (await client.reply()).code == 0
        handled.go_on.set()
        await until(lambda: handled.done == 1 and server.sessions == 0)


async def test_a_unix_socket_for_one_group(tmp_path: Path) -> None:
    handled = Handled()
    server = SinkServer(handled, protocol="lmtp", max_size=1000)
    path = tmp_path / "s"
    await server.listen_unix(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    client = WireClient(*await asyncio.open_unix_connection(str(path)))
    assert (await client.reply()).code == 220
    assert (await client.ask("LHLO x")).code == 250
    assert (await client.message(RAW)).code == 250
    other = SinkServer(handled, protocol="lmtp", max_size=1000)
    with pytest.raises(StoreError, match="Another process is listening on"):
        await other.listen_unix(path)
    with pytest.raises(UsageError, match="no group `nosuchgroup`"):
        await other.listen_unix(tmp_path / "t", group="nosuchgroup")
    with pytest.raises(StoreError, match=r"there is no folder .*/no\. "):
        await other.listen_unix(tmp_path / "no" / "folder")
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(StoreError, match=r"there is no folder .*/file\. "):
        await other.listen_unix(file / "socket")
    with pytest.raises(StoreError, match="there is a file with that name"):
        await other.listen_unix(file)
    assert file.read_text() == "precious"
    file.unlink()
    assert [each.name for each in tmp_path.iterdir()] == ["s"]
    await server.stop(0.1)
    assert not path.exists()


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with serving("smtp", Handled()) as (_server, port):
        with pytest.raises(StoreError, match="cannot listen on"):
            await SinkServer(Handled(), protocol="smtp", max_size=1).listen_tcp("127.0.0.1", port)


FRAGMENTS = [
    b"EHLO x\r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<s@gw.test>\r\n",
    b"MAIL FROM:<> SIZE=5\r\n",
    b"RCPT TO:<a@gw.test>\r\n",
    b"DATA\r\n",
    b".\r\n",
    b"..\r\n",
    b"\r\n",
    b"\n",
    b"RSET\r\n",
    b"XFORWARD ADDR=192.0.2.1\r\n",
    b"QUIT\r\n",
    b"\x00\xff\x1b",
    b"y" * 5000,
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=30), max_size=30))
@settings(max_examples=amount(25, 60))
def test_whatever_is_sent_is_answered_in_order_and_the_session_ends(parts: list[bytes]) -> None:
    defects: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            defects.append(record)

    async def talk() -> None:
        handled = Handled()
        async with serving("lmtp", handled, max_size=2000) as (server, port):
            client = await WireClient.tcp(port)
            client.writer.write(b"".join(parts))
            client.writer.write_eof()
            async with asyncio.timeout(20):
                told = await client.reader.read()
            for line in told.splitlines(keepends=True):
                assert re.fullmatch(rb"[2-5]\d\d[- ][^\r\n]*\r\n", line)
            client.close()
            await until(lambda: server.sessions == 0)
            assert told.count(b"250 2.0.0 Ok\r\n") >= sum(len(each.recipients) for each in handled.seen)

    handler = Kept(logging.ERROR)
    logging.getLogger("mailhold.sink").addHandler(handler)
    try:
        asyncio.run(talk())
    finally:
        logging.getLogger("mailhold.sink").removeHandler(handler)
    assert not defects


async def test_commands_in_a_row_are_worked_off_beside_those_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    handled, flood = 0, 10_000

    async def noop(session: Session, _argument: bytes) -> None:
        nonlocal handled
        handled += 1
        if handled == 1:
            other.writer.write(b"RSET\r\n")
        session._say(b"250 Ok\r\n")

    async with serving("smtp", Handled()) as (_, port):
        other = await WireClient.tcp(port, "EHLO")
        client = await WireClient.tcp(port, "EHLO")
        monkeypatch.setitem(Session._COMMANDS, b"NOOP", noop)
        await client.put(b"NOOP\r\n" * flood)
        assert (await other.reply()).code == 250
        assert handled < flood / 2
        for _ in range(flood):
            assert (await client.reply()).code == 250


@given(chunks=st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"\n")), max_size=12))
async def test_lines_are_the_same_however_they_come(chunks: list[bytes]) -> None:
    """The lines are the same for any division of the bytes into pieces; bytes after the last line end are kept."""
    reader = asyncio.StreamReader()
    source = Input(reader, None)
    whole = b"".join(chunks)
    found: list[bytes] = []

    async def read() -> None:
        while True:
            found.append(await source.line(20))

    reading = asyncio.create_task(read())
    for chunk in chunks:
        if chunk:
            reader.feed_data(chunk)
            await asyncio.sleep(0)
    reader.feed_eof()
    with pytest.raises(EOFError):
        await reading
    assert found == [line.removesuffix(b"\r") for line in whole.split(b"\n")[:-1]]


async def test_a_command_line_without_end_takes_no_memory() -> None:
    reader = asyncio.StreamReader()
    source = Input(reader, None)
    reading = asyncio.create_task(source.line(20))
    piece = b"x" * 64_000
    tracemalloc.start()
    try:
        for _ in range(100):
            reader.feed_data(piece)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        reader.feed_data(b"\nNOOP\r\n")
        with pytest.raises(LineTooLong):
            await reading
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert await source.line(20) == b"NOOP"
    assert peak < 10 * len(piece), peak


@pytest.mark.parametrize("part", [b"X-Large: " + b"h" * 2_000 + b"\r\n", b"X: y\r\n", b"b" * 2_000, b".\r\n"])
def test_of_a_message_that_is_too_large_no_more_is_held_wherever_that_is(part: bytes) -> None:
    """The header counts like the body; a line of one dot is doubled in transfer."""
    largest, content = 50_000, Content(50_000)
    sent = stuffed(part * (16 * largest // len(part)))[:-3]
    tracemalloc.start()
    try:
        for start in range(0, len(sent), 10_000):
            assert content.feed(sent[start : start + 10_000]) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert content.feed(b"\r\n.\r\n") == b""
    content.message()
    assert content.too_large
    assert peak < 4 * largest, peak
