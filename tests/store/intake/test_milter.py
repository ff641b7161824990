"""The milter at byte level: messages that follow each other without waiting, and how much of one is held."""

from __future__ import annotations

import asyncio
import logging
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.intake.milter import server as milter_server
from store.intake.milter import session as milter_session
from store.intake.milter.reminder import Reminder
from store.intake.milter.server import MilterServer
from store.intake.milter.session import Session
from store.intake.milter.wire import LARGEST_COMMAND, Packets, WireError
from store.mail.incoming import Accept, Incoming, Outcome, Refuse
from store.terms.dsn import Dsn, RecipientDsn
from tests.store.intake.milter_wire import WAIVED, MilterClient, message, negotiation, packet

MIB = 1 << 20


class Judge:
    """A judge that refuses each message with its subject as the reply, once the test releases it."""

    def __init__(self) -> None:
        self.seen: list[Incoming] = []
        self.busy = self.most_busy = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, incoming: Incoming) -> Outcome:
        self.seen.append(incoming)
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        # Later messages are judged sooner, so the order of the answers is not the order in which judging ends.
        for _ in range(max(1, 20 - len(self.seen))):
            await asyncio.sleep(0)
        await self.go_on.wait()
        self.busy -= 1
        return Refuse(554, "5.7.1", subject(incoming)) if subject(incoming) != "pass" else Accept()


def subject(incoming: Incoming) -> str:
    return incoming.raw.partition(b"\r\n")[0].removeprefix(b"Subject: ").decode()


@asynccontextmanager
async def serving(
    folder: Path, judge: Callable[..., object], max_size: int = MIB
) -> AsyncIterator[tuple[MilterServer, Path]]:
    server = MilterServer(judge, max_size=max_size)
    path = folder / "m"
    await server.listen_unix(path)
    try:
        yield server, path
    finally:
        await server.stop(0.1)


async def answers(client: MilterClient, count: int) -> list[str]:
    return [(await client.reply()).decode(errors="replace").removesuffix("\0") for _ in range(count)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


async def test_messages_in_one_packet_are_answered_in_their_order(tmp_path: Path) -> None:
    judge = Judge()
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(b"".join(message(str(number)) for number in range(12)) + packet(b"Q"))
        assert await answers(client, 12) == [f"y554 5.7.1 {number}" for number in range(12)]
        assert await client.reply() == b""  # QUIT, after the last answer
        assert judge.most_busy == 1


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_however_the_bytes_are_cut_the_answers_are_the_same(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Messages, aborted messages and new connections, written in any pieces."""
    kinds = data.draw(st.lists(st.sampled_from(("message", "aborted", "connection")), min_size=1, max_size=8))
    stream, expected = b"", []
    for number, kind in enumerate(kinds):
        if kind == "connection":
            stream += packet(b"K") + negotiation()
            expected.append("O")
        elif kind == "aborted":
            stream += packet(b"M", b"<x@gw.test>\0") + packet(b"L", b"Subject\0 no\0") + packet(b"A")
        else:
            stream += message(str(number), to=[f"to{number}@gw.test"])
            expected.append(f"y554 5.7.1 {number}")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    folder = tmp_path_factory.mktemp("milter")

    async def converse() -> None:
        judge = Judge()
        async with serving(folder, judge) as (_, path):
            client = await MilterClient.unix(path)
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                await client.put(stream[start:end])
                await asyncio.sleep(0)
            found = [answer[:1] if answer[:1] == "O" else answer for answer in await answers(client, len(expected))]
            assert found == expected
            judged = [(subject(each), each.recipients) for each in judge.seen]
            assert judged == [
                (str(number), [f"to{number}@gw.test"]) for number, kind in enumerate(kinds) if kind == "message"
            ]

    asyncio.run(converse())


async def test_what_follows_a_message_waits_and_is_not_read_without_end(tmp_path: Path) -> None:
    judge = Judge()
    judge.go_on.clear()
    async with serving(tmp_path, judge) as (server, path):
        client = await MilterClient.unix(path)
        await client.put(message("first"))
        await until(lambda: judge.busy == 1)
        flood = asyncio.create_task(client.put(message("second", b"x" * 60_000) * 200))
        await until(lambda: len(next(iter(server._sessions))._packets) > milter_session.READ_AHEAD)
        [session] = server._sessions
        assert len(session._packets) < 4 * milter_session.READ_AHEAD
        assert len(judge.seen) == 1 and not flood.done()
        judge.go_on.set()
        assert await answers(client, 201) == ["y554 5.7.1 first", *["y554 5.7.1 second"] * 200]
        await flood


async def test_a_client_that_ends_its_side_is_answered_all_the_same(tmp_path: Path) -> None:
    judge = Judge()
    judge.go_on.clear()
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(message("1") + message("2"))
        client.writer.write_eof()
        await until(lambda: judge.busy == 1)
        judge.go_on.set()
        assert await answers(client, 3) == ["y554 5.7.1 1", "y554 5.7.1 2", ""]


async def test_a_stop_answers_what_is_judged_and_takes_no_further_message(tmp_path: Path) -> None:
    judge = Judge()
    judge.go_on.clear()
    async with serving(tmp_path, judge) as (server, path):
        client = await MilterClient.unix(path)
        await client.put(message("1") + message("2"))
        await until(lambda: judge.busy == 1)
        stopping = asyncio.create_task(server.stop(20))
        await asyncio.sleep(0.01)
        judge.go_on.set()
        assert await answers(client, 2) == ["y554 5.7.1 1", ""]
        await stopping
        assert len(judge.seen) == 1


async def test_a_client_that_reads_no_replies_is_not_answered_without_end(tmp_path: Path) -> None:
    """Each command here is answered, and the client reads nothing: its input must stay in its own buffers."""
    async with serving(tmp_path, Judge()) as (server, path):
        client = await MilterClient.unix(path, protocol=0)
        flood = asyncio.create_task(client.put(packet(b"H", b"x\0") * 1_000_000))
        await until(lambda: bool(server._sessions) and next(iter(server._sessions))._clogged)
        [session] = server._sessions
        for _ in range(100):
            await asyncio.sleep(0)
        assert session._transport is not None
        assert session._transport.get_write_buffer_size() < 2 * MIB
        assert len(session._packets) < 4 * milter_session.READ_AHEAD
        flood.cancel()
        await asyncio.gather(flood, return_exceptions=True)


class Wire(asyncio.Transport):
    """A transport that records replies, for a session fed without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def resume_reading(self) -> None:
        return None

    def is_closing(self) -> bool:
        return False


async def held(judge: Judge, largest: int, part: bytes, times: int) -> tuple[bytes, int]:
    """Return a session's answer when `part` comes `times`, with a limit of `largest` bytes, and its peak memory."""
    ignored = {"opened": lambda _: None, "closed": lambda _: None}
    session = Session(judge, max_size=largest, reminder=Reminder(60), **ignored)
    wire = Wire()
    session.connection_made(wire)
    session.data_received(negotiation())
    session.data_received(packet(b"M", b"<s@gw.test>\0") + packet(b"L", b"Subject\0 large\0"))
    wire.written = b""
    tracemalloc.start()
    try:
        for _ in range(times):
            session.data_received(part)
        session.data_received(packet(b"B", b"end\r\n") + packet(b"E"))
        await session.finished()
        return wire.written[4:].rstrip(b"\0"), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(packet(b"L", b"X-Large\0 " + b"h" * 2_000 + b"\0") * 4, id="header"),
        pytest.param(packet(b"N") + packet(b"B", b"b" * 2_000) * 4, id="body"),
        pytest.param(packet(b"L", b"X\0 y\0") * 500, id="many small fields"),
        pytest.param(packet(b"L", b"\0\0") * 500, id="empty fields"),
        pytest.param(packet(b"B", b"b") * 1_000, id="many small parts of the body"),
        pytest.param(packet(b"D", b"L" + b"".join(b"n%d\0v\0" % n for n in range(500))), id="macros"),
    ],
)
async def test_a_message_is_cut_off_at_its_largest_size_wherever_that_is(part: bytes) -> None:
    judge, largest = Judge(), 20_000
    answer, peak = await held(judge, largest, part, 40)
    assert answer == b"y554 5.7.1 large"
    [incoming] = judge.seen
    assert len(incoming.raw) <= largest
    if part[4:5] != b"D":
        assert incoming.truncated
        assert len(incoming.raw) > 0.85 * largest
        assert b"end" not in incoming.raw  # nothing after the missing part
    assert b"\r\n\r\n" in incoming.raw
    # The parts, the message assembled from them, and the piece read last.
    assert peak < 3 * largest + 20 * len(part), (peak, len(part))


async def test_a_message_of_exactly_the_largest_size_is_whole(tmp_path: Path) -> None:
    judge = Judge()
    header = len(b"Subject: x\r\n\r\n")
    async with serving(tmp_path, judge, 1000) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(message("x", b"b" * (1000 - header)) + message("x", b"b" * (1001 - header)))
        await answers(client, 2)
    assert [(len(each.raw), each.truncated) for each in judge.seen] == [(1000, False), (header, True)]


async def test_too_many_recipients_refuse_the_message_and_take_no_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    judge = Judge()
    with monkeypatch.context() as patch:
        patch.setattr(milter_session, "LEAST_ENVELOPE", 50_000)
        answer, peak = await held(judge, 50_000, packet(b"R", b"<a@gw.test>\0") * 100, 40)
    assert answer == b"y554 5.5.3 Too many recipients" and judge.seen == []
    assert peak < 120_000, peak
    # An MTA may send some thousands; and the session's next message is judged.
    to = [f"recipient-{number}@gw.test" for number in range(5000)]
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(message("none", to=to * 4) + message("next", to=to))
        assert await answers(client, 2) == ["y554 5.5.3 Too many recipients", "y554 5.7.1 next"]
    assert [each.recipients for each in judge.seen] == [to]


async def test_a_macro_s_value_is_cut_off(tmp_path: Path) -> None:
    judge = Judge()
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(packet(b"D", b"Mi\0" + b"4" * 5000 + b"\0{auth_authen}\0ann\0"))
        await client.put(message("x"))
        await answers(client, 1)
    assert judge.seen[0].queue_id == "4" * milter_session.MACRO_LIMIT and judge.seen[0].auth_user == "ann"


async def test_macros_that_are_told_again_are_each_message_s_own(tmp_path: Path) -> None:
    judge = Judge()
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        for macros in ("4x", "4x", "", "4y"):  # Postfix sends them before the field, the body and the end.
            told = {letter: packet(b"D", letter + b"i\0" + macros.encode() + b"\0") for letter in (b"L", b"B", b"E")}
            whole = message("x").split(packet(b"N"))
            await client.put(whole[0])
            if macros:
                await client.put(told[b"L"] + packet(b"L", b"A\0 b\0") + told[b"L"] + packet(b"L", b"C\0 d\0"))
                await client.put(told[b"B"] + packet(b"B", b"more") + told[b"E"])
            await client.put(packet(b"N") + whole[1])
            await answers(client, 1)
    assert [each.queue_id for each in judge.seen] == ["4x", "4x", "", "4y"]


async def test_macros_of_a_connection_hold_though_a_message_told_the_same(tmp_path: Path) -> None:
    judge, macros = Judge(), b"{client_addr}\000192.0.2.9\0"
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(packet(b"D", b"M" + macros) + packet(b"D", b"C" + macros) + packet(b"A"))
        await client.put(message("x"))
        await answers(client, 1)
    assert judge.seen[0].client_address == "192.0.2.9"


async def test_macros_without_names_change_nothing(tmp_path: Path) -> None:
    judge = Judge()
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        stream = message("x").replace(packet(b"N"), packet(b"D", b"Mi\0004x\0") + packet(b"D", b"N") + packet(b"N"))
        await client.put(stream.replace(packet(b"E"), packet(b"D", b"B") + packet(b"E")))
        await answers(client, 1)
    assert [each.queue_id for each in judge.seen] == ["4x"]


@pytest.mark.parametrize(("actions", "chosen"), [(0x1FF, True), (0xFF, False)])
async def test_an_mta_that_lets_filters_choose_tells_only_macros_that_are_used(
    tmp_path: Path, actions: int, chosen: bool
) -> None:
    async with serving(tmp_path, Judge()) as (_, path):
        client = MilterClient(*await asyncio.open_unix_connection(path))
        await client.put(packet(b"O", struct.pack(">III", 6, actions, WAIVED)))
        answer = await client.reply()
    assert struct.unpack(">II", answer[1:9]) == (6, actions & 0x113)
    stages, rest = {}, answer[13:]
    while rest:
        names, _, after = rest[4:].partition(b"\0")
        stages[struct.unpack(">I", rest[:4])[0]], rest = set(names.decode().split()), after
    assert stages == (
        {
            0: {"{client_addr}", "{client_name}"},
            1: set(),
            2: {"i", "{auth_authen}"},
            3: set(),
            4: set(),
            5: {"i"},
            6: set(),
        }
        if chosen
        else {}
    )


@given(data=st.data())
def test_packets_are_the_same_however_they_arrive(data: st.DataObject) -> None:
    contents = data.draw(st.lists(st.binary(max_size=40) | st.integers(0, 9000).map(bytes), max_size=12))
    stream = b"".join(packet(b"B", each) for each in contents)
    packets, found, put, taken = Packets(), [], 0, 0
    while put < len(stream):
        size = data.draw(st.integers(1, len(stream)))
        packets.add(stream[put : put + size])
        put = min(put + size, len(stream))
        for _ in range(data.draw(st.integers(0, 20))):
            assert len(packets) == put - taken
            if (one := packets.next()) is None:
                break
            found.append(one)
            taken += 5 + len(one[1])
    while (one := packets.next()) is not None:
        found.append(one)
    assert found == [(b"B", each) for each in contents] and len(packets) == 0


def test_what_waits_stays_before_what_arrives_later() -> None:
    """A message that is judged ends the splitting right at the end of what was received at once."""
    packets = Packets()
    packets.add(packet(b"E"))
    packets.add(packet(b"M", b"second"))
    assert packets.next() == (b"E", b"")
    packets.add(packet(b"M", b"third"))
    assert [packets.next(), packets.next(), packets.next()] == [(b"M", b"second"), (b"M", b"third"), None]


def test_a_large_packet_in_small_pieces_takes_no_more_memory_than_it_has_bytes() -> None:
    packets, whole = Packets(), packet(b"B", bytes(4 * MIB))
    pieces = [whole[start : start + 4096] for start in range(0, len(whole), 4096)]
    tracemalloc.start()
    try:
        for piece in pieces[:-1]:
            packets.add(piece)
            assert packets.next() is None
        assert tracemalloc.get_traced_memory()[1] < MIB  # It holds the pieces themselves, and has joined none.
    finally:
        tracemalloc.stop()
    packets.add(pieces[-1])
    assert packets.next() == (b"B", bytes(4 * MIB))


def test_only_content_may_be_large() -> None:
    for letter in (b"M", b"R", b"H", b"C", b"D", b"O", b"?"):
        packets = Packets()
        packets.add(packet(letter, bytes(LARGEST_COMMAND))[:5])
        with pytest.raises(WireError, match="not a milter client"):
            packets.next()
    for letter in (b"L", b"B", b"E"):
        packets = Packets()
        packets.add(packet(letter, bytes(LARGEST_COMMAND)))
        assert packets.next() == (letter, bytes(LARGEST_COMMAND)) and len(packets) == 0


async def test_what_is_no_milter_client_is_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    judge = Judge()
    judge.go_on.clear()
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        await client.put(message("x") + b"GET / HTTP/1.0\r\n\r\n")
        await until(lambda: judge.busy == 1)
        with caplog.at_level(logging.WARNING, "mailhold.milter"):
            judge.go_on.set()
            assert await answers(client, 2) == ["y554 5.7.1 x", ""]
        assert "this is not a milter client" in caplog.text


async def test_what_the_sender_asked_to_be_told_comes_with_its_message_and_with_no_other(tmp_path: Path) -> None:
    judge = Judge()
    asked = message("pass").replace(
        packet(b"M", b"<s@gw.test>\0"), packet(b"M", b"<s@gw.test>\0SIZE=12\0RET=full\0ENVID=a+2Bb\0BODY=8BITMIME\0")
    )
    asked = asked.replace(
        packet(b"R", b"<a@gw.test>\0"),
        packet(b"R", b"<a@gw.test>\0NOTIFY=DELAY\0ORCPT=rfc822;x@gw.test\0")
        + packet(b"R", b"<b@gw.test>\0NOTIFY=SOON\0ORCPT=rfc822;x\r\n\0"),
    )
    async with serving(tmp_path, judge) as (_, path):
        client = await MilterClient.unix(path)
        for each in (asked, message("pass"), packet(b"M", b"<s@gw.test>\0RET=HDRS\0") + packet(b"A") + message("pass")):
            await client.put(each)
            assert await answers(client, 1) == ["c"]
    first, *others = judge.seen
    assert (first.sender, first.recipients) == ("s@gw.test", ["a@gw.test", "b@gw.test"])
    assert first.dsn == Dsn("FULL", "a+2Bb", (RecipientDsn("a@gw.test", "DELAY", "rfc822;x@gw.test"),))
    assert [each.dsn for each in others] == [None, None]


async def test_while_a_message_is_judged_its_client_is_told_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milter_server, "PROGRESS_SECONDS", 0.005)
    judge = Judge()
    judge.go_on.clear()
    async with serving(tmp_path, judge) as (server, path):
        client = await MilterClient.unix(path)
        await client.put(message("one"))
        assert await answers(client, 3) == ["p"] * 3
        judge.go_on.set()
        while (answer := (await answers(client, 1))[0]) == "p":
            pass
        assert answer == "y554 5.7.1 one"
        # There is no limit between two messages: the timer of the answered message is gone.
        [session] = server._sessions
        assert len(server._reminder) == 0 and not session.busy
        judge.go_on.clear()
        await client.put(message("two"))
        assert await answers(client, 1) == ["p"]
        judge.go_on.set()
