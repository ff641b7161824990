"""The SMTP session against a scripted server: bytes on the wire, refusals, TLS, and where `unknown` begins."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from aiosmtplib import SMTPConnectError
from hypothesis import given
from hypothesis import strategies as st

from store.mail.client import Session, SessionLost, Timeouts, failure
from store.mail.outcome import Outcome, State
from store.mail.relay import Relay, parse_relay
from store.mail.wire import wire_form
from store.terms.dsn import Dsn, RecipientDsn
from tests.certificate import write_certificate
from tests.store.mail.smtp_server import ScriptedServer, offering

QUICK = Timeouts(connect=5, command=5, message=5)
RAW = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture(scope="module", autouse=True, params=[False, True], ids=["one-by-one", "pipelining"])
def pipelining(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Run every test with servers that do not offer PIPELINING, and with servers that do."""
    with offering(request.param) as offered:
        yield offered


async def nothing(accepted: Sequence[str], refused: Mapping[str, Outcome]) -> None:
    return


async def session_to(server: ScriptedServer, relay: Relay | None = None) -> Session:
    relay = relay or Relay("127.0.0.1", server.port)
    session = Session(relay, await asyncio.to_thread(relay.tls_context), "client.test", QUICK)
    await session.open()
    return session


def script(**answers: str) -> Callable[[str, str], str | None]:
    return lambda point, argument: answers.get(point)


@given(st.binary(max_size=200) | st.lists(st.sampled_from([b"\r", b"\n", b".", b"\0", b"a", b"\xff"])).map(b"".join))
def test_the_wire_form_carries_exactly_the_message(message: bytes) -> None:
    try:
        wire = wire_form(message)
    except ValueError:
        assert b"\r.\r" in message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n"
        return
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    assert (b"\r\n" + wire).count(b"\r\n.\r\n") == 1
    lines = wire[:-3].split(b"\r\n")
    unstuffed = b"\r\n".join(line.removeprefix(b".") for line in lines)
    expected = message.replace(b"\r\n", b"\n")
    assert unstuffed.replace(b"\r\n", b"\n") == (expected if expected.endswith(b"\n") else expected + b"\n")


@pytest.mark.parametrize(
    "body",
    [
        b".\r\n..\r\n.a\r\n",
        b"\x00nul\x00\r\n",
        b"x" * 5000 + b"\r\n",
        b"8bit \xe9\xff\r\n",
        b"lone\rcr\r\n",
        b"unix\nlines\n.\n",
        b"no end",
    ],
)
async def test_the_receiver_gets_the_messages_own_bytes(body: bytes) -> None:
    async with ScriptedServer() as server:
        session = await session_to(server)
        raw = b"Subject: x\r\n\r\n" + body
        outcomes = await session.send("s@x.example", ["r@x.example"], raw, nothing)
        await session.close()
    assert outcomes["r@x.example"].state is State.SENT
    content = server.taken[0].content.replace(b"\r\n", b"\n")
    assert content == (raw if raw.endswith(b"\n") else raw + b"\n").replace(b"\r\n", b"\n")


async def test_a_hidden_end_of_message_is_refused_before_anything_is_sent() -> None:
    async with ScriptedServer() as server:
        session = await session_to(server)
        raw = b"Subject: x\r\n\r\na\r.\r\nMAIL FROM:<evil@x.example>\r\n"
        outcomes = await session.send("s@x.example", ["r@x.example"], raw, nothing)
        assert outcomes["r@x.example"].state is State.FAILED
        assert not any(command.startswith("MAIL") for command in server.commands)
        await session.close()


async def test_the_null_sender_stays_null_and_options_follow_the_offers() -> None:
    async with ScriptedServer() as server:
        session = await session_to(server)
        await session.send("", ["r@x.example"], RAW, nothing)
        await session.send("s@x.example", ["r@x.example", "δ@x.example"], RAW + b"\xff", nothing)
        assert session.messages == 2 and server.sessions == 1
        await session.close()
    assert server.taken[0].mail == "" and server.taken[0].options == [f"SIZE={len(RAW)}"]
    assert server.taken[1].options == [f"SIZE={len(RAW) + 1}", "BODY=8BITMIME", "SMTPUTF8"]
    assert server.taken[1].rcpt == ["r@x.example", "δ@x.example"]
    assert "QUIT" in server.commands


async def test_without_smtputf8_domains_go_in_punycode_and_the_rest_fails() -> None:
    async with ScriptedServer(extensions=[]) as server:
        session = await session_to(server)
        outcomes = await session.send("s@x.example", ["a@bücher.example", "δ@x.example"], RAW, nothing)
        assert (await session.send("δ@x.example", ["a@x.example"], RAW, nothing))["a@x.example"].state is State.FAILED
        await session.close()
    assert outcomes["a@bücher.example"].state is State.SENT
    assert outcomes["δ@x.example"].state is State.FAILED and "SMTPUTF8" in outcomes["δ@x.example"].reply
    assert server.taken[0].rcpt == ["a@xn--bcher-kva.example"] and server.taken[0].options == []


async def test_a_message_above_the_relays_size_fails_unsent() -> None:
    async with ScriptedServer(extensions=["SIZE 10"]) as server:
        session = await session_to(server)
        outcomes = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        await session.close()
    assert outcomes["r@x.example"].state is State.FAILED and "at most 10" in outcomes["r@x.example"].reply


async def test_a_partial_refusal_shows_per_recipient_and_before_data_knows_it(pipelining: bool) -> None:
    answers = {"bad@x.example": "550 5.7.1 no", "later@x.example": "450 4.7.1 later"}
    seen: list[tuple[list[str], dict[str, Outcome]]] = []

    async def before(accepted: Sequence[str], refused: Mapping[str, Outcome]) -> None:
        seen.append((list(accepted), dict(refused)))

    async with ScriptedServer(lambda point, argument: answers.get(argument) if point == "rcpt" else None) as server:
        session = await session_to(server)
        to = ["ok@x.example", "bad@x.example", "later@x.example"]
        outcomes = await session.send("s@x.example", to, RAW, before)
        nobody = await session.send("s@x.example", to[1:], RAW, before)
        again = await session.send("s@x.example", ["ok@x.example"], RAW, before)
        await session.close()
    assert outcomes == {
        "ok@x.example": Outcome(State.SENT, "250 taken 1"),
        "bad@x.example": Outcome(State.FAILED, "550 5.7.1 no"),
        "later@x.example": Outcome(State.DEFERRED, "450 4.7.1 later"),
    }
    assert {outcome.state for outcome in nobody.values()} == {State.FAILED, State.DEFERRED}
    assert again["ok@x.example"].state is State.SENT
    known = (["ok@x.example"], {address: outcomes[address] for address in to[1:]})
    ahead = [(to, {}), known, (to[1:], {}), (["ok@x.example"], {})]
    assert seen == (ahead if pipelining else [known, (["ok@x.example"], {})])
    assert server.sessions == 1


async def test_a_server_that_asks_for_content_too_early_is_sent_nothing_more(pipelining: bool) -> None:
    """It would take the next command, and the next message, for content."""
    if pipelining:
        async with ScriptedServer(script(rcpt="354 go")) as server:
            session = await session_to(server)
            with pytest.raises(SessionLost, match="not valid SMTP"):
                await session.send("s@x.example", ["r@x.example"], RAW, nothing)
            assert not session.connected and server.commands[-1] == "DATA" and not server.taken


async def test_a_message_for_nobody_is_not_sent_to_a_server_that_asks_for_it(pipelining: bool) -> None:
    async with ScriptedServer(lambda point, argument: "550 no" if point == "rcpt" else None) as server:
        server.lax = True
        session = await session_to(server)
        outcomes = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert outcomes == {"r@x.example": Outcome(State.FAILED, "550 no")}
        assert not server.taken and session.connected is not pipelining
        await session.close()


async def test_the_envelope_goes_out_at_once_only_where_it_may(pipelining: bool) -> None:
    """This server answers nothing until it has seen DATA; without PIPELINING it must not be sent that unasked."""
    held: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        await reader.readline()
        writer.write(b"250-x\r\n250 PIPELINING\r\n" if pipelining else b"250 x\r\n")
        while line := await reader.readline():
            held.append(line.decode().rstrip())
            if held[-1] == "DATA":
                break
        writer.write(b"250 ok\r\n" * 3 + b"35")
        await asyncio.sleep(0.05)
        writer.write(b"4 go\r\n")
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250-taken\r\n250 thanks\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        session = Session(Relay("127.0.0.1", server.sockets[0].getsockname()[1]), None, "client.test", QUICK)
        await session.open()
        sending = session.send("s@x.example", ["a@x.example", "b@x.example"], RAW, nothing)
        if pipelining:
            assert set((await sending).values()) == {Outcome(State.SENT, "250 taken\nthanks")}
        else:
            task = asyncio.create_task(sending)
            await asyncio.sleep(0.1)
            task.cancel()
        await session.close(polite=False)
    envelope = ["MAIL FROM:<s@x.example>", "RCPT TO:<a@x.example>", "RCPT TO:<b@x.example>", "DATA"]
    assert held == (envelope if pipelining else envelope[:1])


@pytest.mark.parametrize("point", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize(("reply", "state"), [("451 later", State.DEFERRED), ("554 never", State.FAILED)])
async def test_a_refusal_at_any_point_is_definite(point: str, reply: str, state: State) -> None:
    answers = {point: reply}
    async with ScriptedServer(lambda at, argument: answers.pop(at, None)) as server:
        session = await session_to(server)
        outcomes = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert outcomes == {"r@x.example": Outcome(state, reply)}
        again = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert again["r@x.example"].state is State.SENT and server.sessions == 1
        await session.close()


@pytest.mark.parametrize("point", ["mail", "rcpt", "data"])
async def test_before_the_content_a_dead_connection_is_never_unknown(point: str) -> None:
    async with ScriptedServer(script(**{point: "die"})) as server:
        session = await session_to(server)
        with pytest.raises(SessionLost):
            await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert not session.connected and not server.taken


@pytest.mark.parametrize(("point", "taken"), [("content", 0), ("dot", 0), ("replied", 1)])
async def test_after_data_began_it_is_always_unknown(point: str, taken: int) -> None:
    async with ScriptedServer(script(**{point: "die"})) as server:
        session = await session_to(server)
        outcomes = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert outcomes["r@x.example"].state is State.UNKNOWN
        assert not session.connected and len(server.taken) == taken


async def test_a_server_that_never_answers_the_message_is_unknown() -> None:
    async with ScriptedServer(script(dot="")) as server:
        server.script = lambda point, argument: "100-" if point == "dot" else None
        session = Session(Relay("127.0.0.1", server.port), None, "client.test", Timeouts(5, 5, 0.2))
        await session.open()
        outcomes = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert outcomes["r@x.example"].state is State.UNKNOWN


async def test_what_before_data_raises_stops_the_transaction(pipelining: bool) -> None:
    class FencedError(Exception):
        pass

    async def fenced(accepted: Sequence[str], refused: Mapping[str, Outcome]) -> None:
        raise FencedError

    async with ScriptedServer() as server:
        session = await session_to(server)
        with pytest.raises(FencedError):
            await session.send("s@x.example", ["r@x.example"], RAW, fenced)
        assert not server.taken and "DATA" not in server.commands
        assert session.connected is pipelining  # With PIPELINING nothing was sent yet.


@pytest.mark.parametrize("greeting", ["554 go away", "421 busy", "die", "nonsense"])
async def test_a_relay_that_does_not_welcome_us_is_a_lost_session(greeting: str) -> None:
    async with ScriptedServer(script(connect=greeting)) as server:
        with pytest.raises(SessionLost):
            await session_to(server)


async def test_no_relay_there_is_a_lost_session(unused_tcp_port: int) -> None:
    with pytest.raises(SessionLost, match=r"^Connection refused$"):
        await Session(Relay("127.0.0.1", unused_tcp_port), None, "client.test", QUICK).open()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Make a self-signed certificate for 127.0.0.1, and a server context that uses it."""
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder / "cert.pem", folder / "key.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


@pytest.mark.parametrize("implicit", [True, False])
async def test_tls_with_a_ca_file_and_login(certificate: tuple[Path, ssl.SSLContext], implicit: bool) -> None:
    ca, context = certificate
    extensions = ["SIZE 1000000", "AUTH PLAIN"]
    async with ScriptedServer(extensions=extensions, tls=context, implicit_tls=implicit) as server:
        scheme, query = ("smtps", "") if implicit else ("smtp", "starttls=1&")
        relay = parse_relay(f"{scheme}://user:word@127.0.0.1:{server.port}?{query}ca={ca}")
        session = await session_to(server, relay)
        outcomes = await session.send("s@x.example", ["r@x.example"], RAW, nothing)
        assert outcomes["r@x.example"].state is State.SENT
        await session.close()
    assert any(command.startswith("AUTH PLAIN") for command in server.commands)


async def test_a_certificate_that_does_not_verify_ends_the_session(
    certificate: tuple[Path, ssl.SSLContext],
) -> None:
    async with ScriptedServer(tls=certificate[1]) as server:
        with pytest.raises(SessionLost):
            await session_to(server, parse_relay(f"smtp://127.0.0.1:{server.port}?starttls=1"))
        assert not any(command.startswith("MAIL") for command in server.commands)


async def test_starttls_is_demanded_even_where_it_is_not_offered() -> None:
    async with ScriptedServer() as server:
        with pytest.raises(SessionLost):
            await session_to(server, parse_relay(f"smtp://127.0.0.1:{server.port}?starttls=1"))


async def test_a_refused_login_is_a_lost_session_that_says_so() -> None:
    async with ScriptedServer(script(auth="535 5.7.8 wrong"), extensions=["AUTH PLAIN"]) as server:
        with pytest.raises(SessionLost, match="535"):
            await session_to(server, parse_relay(f"smtp://u:p@127.0.0.1:{server.port}"))


async def test_what_the_sender_asked_to_be_told_is_asked_of_a_server_that_offers_it() -> None:
    dsn = Dsn(
        "FULL",
        "id",
        (
            RecipientDsn("a@x.example", "NEVER", "rfc822;A@y.example"),
            RecipientDsn("b@x.example", "", "utf-8;\u03b4@x.example"),
        ),
    )
    to = ["a@x.example", "b@x.example", "c@x.example"]
    for extensions in (("SMTPUTF8",), ("SMTPUTF8", "DSN")):
        async with ScriptedServer(extensions=extensions) as server:
            session = await session_to(server)
            await session.send("s@x.example", to, RAW, nothing, dsn)
            await session.send("s@x.example", [*to, "\u03b4@x.example"], RAW, nothing, dsn)
            await session.send("s@x.example", to, RAW, nothing)
            await session.close()
        offered = "DSN" in extensions
        asked = ["RET=FULL", "ENVID=id"] * offered
        assert [each.options for each in server.taken] == [asked, ["SMTPUTF8", *asked], []]
        lines = [each for each in server.commands if each.startswith("RCPT")]
        assert lines[0] == (
            "RCPT TO:<a@x.example> NOTIFY=NEVER ORCPT=rfc822;A@y.example" if offered else "RCPT TO:<a@x.example>"
        )
        assert lines[1:3] == ["RCPT TO:<b@x.example>", "RCPT TO:<c@x.example>"]
        assert lines[4] == "RCPT TO:<b@x.example>" + " ORCPT=utf-8;\u03b4@x.example" * offered
        assert lines[7] == "RCPT TO:<a@x.example>"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9)"), "Connection refused"),
        (
            OSError(
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 9), [Errno 101] Network is unreachable"
            ),
            "Connection refused; Network is unreachable",
        ),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "('127.0.0.1', 9): certificate verify failed"),
    ],
)
def test_a_failed_connection_is_told_in_the_systems_words(error: OSError, words: str) -> None:
    failed = SMTPConnectError("('127.0.0.1', 9): certificate verify failed")
    failed.__cause__ = error
    assert failure(failed) == words
