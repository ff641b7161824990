"""A listener that passes messages on answers 250 only for messages that the next hop has accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from store.intake.sink import SinkServer
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse
from store.mail.relay import Relay
from store.terms.dsn import Dsn, RecipientDsn
from tests.store.intake.smtp_wire import WireClient, stuffed
from tests.store.mail.smtp_server import ScriptedServer

RAW = b"Subject: s\r\n\r\n.body\r\n..\r\n" + b"x" * 3000 + b"\r\n"
THREE = ["a@gw.test", "b@gw.test", "c@gw.test"]
Judge = Callable[[Incoming], Outcome | Sequence[Outcome]]


@asynccontextmanager
async def filtering(
    hop: ScriptedServer, judge: Judge, protocol: Any = "smtp"
) -> AsyncIterator[tuple[WireClient, SinkServer]]:
    async def handler(incoming: Incoming) -> Outcome | Sequence[Outcome]:
        return judge(incoming)

    server = SinkServer(handler, protocol=protocol, max_size=1_000_000, next_hop=Relay("127.0.0.1", hop.port))
    port = await server.listen_tcp("127.0.0.1", 0)
    try:
        yield await WireClient.tcp(port, "EHLO" if protocol == "smtp" else "LHLO"), server
    finally:
        await server.stop(0.1)


async def test_what_is_accepted_goes_on_byte_for_byte() -> None:
    async with ScriptedServer() as hop, filtering(hop, lambda _: Accept()) as (client, _):
        assert (await client.ask("MAIL FROM:<> BODY=8BITMIME SIZE=3100")).code == 250
        assert (await client.ask("RCPT TO:<a@gw.test>")).code == 250
        assert (await client.ask("DATA")).code == 354
        assert not hop.taken
        await client.put(stuffed(RAW))
        told = await client.reply()
        assert told.code == 250
        assert "taken 1" in told.text
        [taken] = hop.taken
        assert (taken.mail, taken.rcpt, taken.content) == ("", ["a@gw.test"], RAW)
        assert taken.options == ["SIZE=3100", "BODY=8BITMIME"]
        assert (await client.message(RAW, to=THREE)).code == 250
        assert hop.taken[1].rcpt == THREE
        assert hop.sessions == 1


async def test_changes_go_on() -> None:
    accept = Accept(body=b"new\r\n", add_headers=(("X-Scanned", "yes"),))
    async with ScriptedServer() as hop, filtering(hop, lambda _: accept) as (client, _):
        assert (await client.message(RAW)).code == 250
        assert hop.taken[0].content == b"Subject: s\r\nX-Scanned: yes\r\n\r\nnew\r\n"


async def test_what_is_discarded_or_refused_does_not_go_on() -> None:
    outcomes: list[Outcome] = [Discard(), Refuse(554, "5.7.1", "no"), Refuse(451, "4.7.1", "later"), Accept()]
    async with ScriptedServer() as hop, filtering(hop, lambda _: outcomes.pop(0)) as (client, _):
        assert [(await client.message(RAW)).code for _ in range(4)] == [250, 554, 451, 250]
        assert len(hop.taken) == 1
        assert hop.sessions == 1


async def test_a_recipient_that_the_next_hop_refuses_is_refused_to_the_client() -> None:
    def script(point: str, argument: str) -> str | None:
        return "550 5.1.1 no such user" if point == "rcpt" and argument == "b@gw.test" else None

    for protocol in ("smtp", "lmtp"):
        async with ScriptedServer(script) as hop, filtering(hop, lambda _: Accept(), protocol) as (client, _):
            await client.ask("MAIL FROM:<s@gw.test>")
            told = [await client.ask(f"RCPT TO:<{address}>") for address in THREE]
            assert [each.code for each in told] == [250, 550, 250]
            assert told[1].text == "5.1.1 no such user"
            assert (await client.ask("DATA")).code == 354
            await client.put(stuffed(RAW))
            for _ in range(1 if protocol == "smtp" else 2):
                assert (await client.reply()).code == 250
            assert (await client.ask("NOOP")).code == 250
            assert [taken.rcpt for taken in hop.taken] == [["a@gw.test", "c@gw.test"]]


async def test_recipients_that_are_judged_apart_get_their_own_message() -> None:
    outcomes = [Accept(), Refuse(550, "5.7.1", "no"), Accept(add_headers=(("X-For", "c"),))]
    async with ScriptedServer() as hop, filtering(hop, lambda _: outcomes, "lmtp") as (client, _):
        assert (await client.message(RAW, to=THREE)).code == 250
        assert [(await client.reply()).code for _ in range(2)] == [550, 250]
        assert [taken.rcpt for taken in hop.taken] == [["a@gw.test"], ["c@gw.test"]]
        assert b"X-For: c" in hop.taken[1].content
        assert hop.taken[0].content == RAW


async def test_the_original_client_goes_along_where_the_next_hop_takes_it() -> None:
    offers = ["8BITMIME", "XFORWARD NAME ADDR HELO IDENT"]
    line = "XFORWARD NAME=mx.example ADDR=IPv6:2001:db8::1 HELO=h+2Bx IDENT=4hSb1x2CXyz SOURCE=REMOTE"
    for extensions in (offers, offers[:1]):
        async with ScriptedServer(extensions=extensions) as hop, filtering(hop, lambda _: Accept()) as (client, _):
            assert (await client.ask(line)).code == 250
            assert (await client.message(RAW)).code == 250
            told = [command for command in hop.commands if command.startswith("XFORWARD")]
            whole = "XFORWARD NAME=mx.example ADDR=IPv6:2001:db8::1 HELO=h+2Bx IDENT=4hSb1x2CXyz"
            assert told == ([whole] if extensions is offers else [])


async def test_a_next_hop_that_does_not_take_it_is_told_to_the_client_and_nothing_is_lost() -> None:
    for point, answer, code in (
        ("mail", "452 4.3.1 full", 452),
        ("mail", "553 5.1.8 bad sender", 553),
        ("mail", "421 4.3.0 going", 451),
        ("mail", "die", 451),
        ("connect", "421 4.3.0 busy", 451),
        ("rcpt", "450 4.2.1 later", 450),
        ("rcpt", "die", 451),
        ("rcpt", "999 nonsense", 451),
        ("data", "451 4.3.0 later", 451),
        ("dot", "554 5.6.0 no", 554),
        ("dot", "421 4.3.0 going", 451),
        ("dot", "die", 451),
        ("content", "die", 451),
        ("replied", "die", 451),
    ):
        failing = True

        def script(at: str, _argument: str, point: str = point, answer: str = answer) -> str | None:
            return answer if at == point and failing else None  # noqa: B023  # read while the loop's turn lasts

        async with ScriptedServer(script) as hop, filtering(hop, lambda _: Accept()) as (client, _):
            told = (await client.ask("MAIL FROM:<s@gw.test>")).code
            if told == 250:
                told = (await client.ask("RCPT TO:<a@gw.test>")).code
            if told == 250:
                assert (await client.ask("DATA")).code == 354
                await client.put(stuffed(RAW))
                told = (await client.reply()).code
            assert told == code, (point, answer)
            failing = False
            assert (await client.ask("RSET")).code == 250
            taken = len(hop.taken)
            assert (await client.message(RAW)).code == 250, (point, answer)
            assert hop.taken[taken:][0].content == RAW


async def test_without_a_next_hop_the_client_keeps_its_message() -> None:
    async with ScriptedServer() as hop, filtering(hop, lambda _: Accept()) as (client, _):
        assert hop._server
        hop._server.close()
        told = await client.ask("MAIL FROM:<s@gw.test>")
        assert (told.code, told.text) == (451, "4.4.1 The next hop cannot be reached: try again later")


async def test_a_connection_that_the_next_hop_closed_meanwhile_is_opened_again() -> None:
    async with ScriptedServer() as hop, filtering(hop, lambda _: Accept()) as (client, _):
        assert (await client.message(RAW)).code == 250
        for writer in list(hop._writers):
            writer.transport.abort()
        assert (await client.message(RAW)).code == 250
        assert hop.sessions == 2


async def test_what_asks_for_smtputf8_does_not_go_where_it_is_not_offered() -> None:
    async with ScriptedServer(extensions=["8BITMIME"]) as hop, filtering(hop, lambda _: Accept()) as (client, _):
        assert (await client.ask("MAIL FROM:<é@gw.test> SMTPUTF8")).code == 550
        assert (await client.message(RAW)).code == 250
    async with ScriptedServer() as hop, filtering(hop, lambda _: Accept()) as (client, _):
        assert (await client.ask("MAIL FROM:<é@gw.test> SMTPUTF8")).code == 250
        assert (await client.ask("RCPT TO:<ü@gw.test>")).code == 250
        assert (await client.ask("DATA")).code == 354
        await client.put(stuffed(RAW))
        assert (await client.reply()).code == 250
        assert (hop.taken[0].mail, hop.taken[0].rcpt) == ("é@gw.test", ["ü@gw.test"])


async def test_what_some_servers_take_for_commands_does_not_go_on() -> None:
    async with ScriptedServer() as hop, filtering(hop, lambda _: Accept()) as (client, _):
        assert (await client.message(b"Subject: x\r\n\r\nfirst\r.\rMAIL FROM:<evil@gw.test>\r\n")).code == 554
        assert not hop.taken
        assert (await client.message(RAW)).code == 250


async def test_a_client_that_went_away_will_send_again_so_nothing_goes_on() -> None:
    go_on = asyncio.Event()

    async def handler(_incoming: Incoming) -> Outcome:
        await go_on.wait()
        return Accept()

    async with ScriptedServer() as hop:
        server = SinkServer(handler, protocol="smtp", max_size=10_000, next_hop=Relay("127.0.0.1", hop.port))
        client = await WireClient.tcp(await server.listen_tcp("127.0.0.1", 0), "EHLO")
        await client.envelope()
        await client.put(stuffed(RAW))
        await asyncio.sleep(0.05)
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        go_on.set()
        async with asyncio.timeout(20):
            while server.sessions:
                await asyncio.sleep(0.005)
        assert not hop.taken
        await server.stop(0.1)


async def test_what_lets_a_message_pass_once_is_put_back_where_it_will_come_again() -> None:
    again: list[Sequence[str]] = []

    async def put_back(recipients: Sequence[str]) -> None:
        again.append(recipients)

    answers = ["451 4.3.0 later", "die", "554 5.6.0 never", None]
    async with (
        ScriptedServer(lambda point, _argument: answers.pop(0) if point == "dot" else None) as hop,
        filtering(hop, lambda _: Accept(put_back=put_back)) as (client, _),
    ):
        assert [(await client.message(RAW, to=THREE)).code for _ in range(4)] == [451, 451, 554, 250]
    assert again == [THREE, THREE]
    outcomes = [Accept(put_back=put_back), Accept(add_headers=(("X-For", "b"),)), Refuse(451, "4.7.1", "later")]
    again.clear()
    answers = ["451 4.3.0 later", None]
    async with (
        ScriptedServer(lambda point, _argument: answers.pop(0) if point == "dot" else None) as hop,
        filtering(hop, lambda _: outcomes, "lmtp") as (client, _),
    ):
        assert (await client.message(RAW, to=THREE)).code == 451
        assert [(await client.reply()).code for _ in range(2)] == [250, 451]
    assert again == [THREE[:1]]


async def test_what_the_sender_asked_to_be_told_goes_on_where_the_next_hop_takes_it() -> None:
    extensions = ("SMTPUTF8", "8BITMIME")
    seen: list[Incoming] = []

    def judge(incoming: Incoming) -> Sequence[Outcome]:
        seen.append(incoming)
        return [Accept(), Discard(), Accept()]

    for offered in (extensions, (*extensions, "DSN")):
        async with ScriptedServer(extensions=offered) as hop, filtering(hop, judge, "lmtp") as (client, _):
            assert (await client.ask("MAIL FROM:<s@gw.test> RET=HDRS ENVID=a+2Bb")).code == 250
            assert (await client.ask("RCPT TO:<a@gw.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;A@old.test")).code == 250
            assert (await client.ask("RCPT TO:<b@gw.test> NOTIFY=NEVER")).code == 250
            assert (await client.ask("RCPT TO:<c@gw.test> ORCPT=utf-8;\u03b4@old.test")).code == 250
            assert (await client.ask("DATA")).code == 354
            await client.put(stuffed(RAW))
            assert [(await client.reply()).code for _ in range(3)] == [250] * 3
            [taken] = hop.taken
            asked = {"a@gw.test": ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;A@old.test"], "b@gw.test": ["NOTIFY=NEVER"]}
            assert hop.asked == (asked if "DSN" in offered else {})
            assert taken.options == (["RET=HDRS", "ENVID=a+2Bb"] if "DSN" in offered else [])
            assert taken.rcpt == ["a@gw.test", "c@gw.test"]
    assert seen[0].dsn == Dsn(
        "HDRS",
        "a+2Bb",
        (
            RecipientDsn("a@gw.test", "SUCCESS,FAILURE", "rfc822;A@old.test"),
            RecipientDsn("b@gw.test", "NEVER"),
            RecipientDsn("c@gw.test", "", "utf-8;\u03b4@old.test"),
        ),
    )
