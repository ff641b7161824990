"""rspamd's protocol against a scripted server: verdicts, the envelope sent, and all failures to give a verdict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging.engines import rspamd as module
from store.judging.engines import states
from store.judging.engines.rspamd import Rspamd
from store.judging.engines.states import ScannerFailure
from store.terms.errors import UsageError
from store.terms.verdicts import Engine, Status, Verdict
from tests.store.judging.wire_server import Talk, WireServer, incoming, mute, serving


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def answer(action: str = "no action", symbols: tuple[str, ...] = (), **more: object) -> bytes:
    values = {"action": action, "score": 1.5, "required_score": 15.0, "is_skipped": False, **more}
    return json.dumps(values | {"symbols": {name: {"name": name, "score": 2.0} for name in symbols}}).encode()


def answering(reply: bytes, seen: list[bytes] | None = None) -> Talk:
    """Run an rspamd that gives `reply` to each message and answers pings."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /ping "):
            writer.write(http(b"pong\r\n"))
            return
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        body = await reader.readexactly(length)
        if seen is not None:
            seen.extend((head, body))
        writer.write(reply)

    return talk


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WireServer]:
    async with serving(tmp_path / "s", answering(http(answer()))) as running:
        yield running


async def asked(server: WireServer, **options: Any) -> tuple[Rspamd, Any]:
    scanner = Rspamd(server.address, **options)
    try:
        return scanner, await scanner.scan(incoming())
    finally:
        await scanner.close()


FIELDS = ("score", "required_score", "is_skipped", "passthrough_module", "symbols")
ACTIONS = ("no action", "reject", "add header", "greylist", "no such action")


@pytest.mark.parametrize(
    ("action", "symbols", "expected"),
    [
        ("no action", ("MIME_GOOD",), {(Engine.ANTI_SPAM, Status.CLEAN), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("greylist", (), {(Engine.ANTI_SPAM, Status.CLEAN), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("reject", ("GTUBE",), {(Engine.ANTI_SPAM, Status.SPAM), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("add header", (), {(Engine.ANTI_SPAM, Status.PROBABLE_SPAM), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("rewrite subject", (), {(Engine.ANTI_SPAM, Status.PROBABLE_SPAM), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("add header", ("MAILLIST",), {(Engine.ANTI_SPAM, Status.MASSMAIL), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("no action", ("PRECEDENCE_BULK",), {(Engine.ANTI_SPAM, Status.CLEAN), (Engine.ANTI_PHISHING, Status.CLEAN)}),
        ("no action", ("PHISHING",), {(Engine.ANTI_SPAM, Status.CLEAN), (Engine.ANTI_PHISHING, Status.PHISHING)}),
        (
            "reject",
            ("MALICIOUS_LINK",),
            {(Engine.ANTI_SPAM, Status.SPAM), (Engine.ANTI_PHISHING, Status.MALICIOUS_LINK)},
        ),
        (
            "add header",
            ("BLACKLIST_FROM",),
            {(Engine.ANTI_SPAM, Status.BLACKLISTED), (Engine.ANTI_PHISHING, Status.CLEAN)},
        ),
    ],
)
async def test_verdicts(
    server: WireServer, action: str, symbols: tuple[str, ...], expected: set[tuple[Engine, Status]]
) -> None:
    server.talk = answering(http(answer(action, symbols)))
    _, result = await asked(server)
    assert result.scanned
    assert {(verdict.engine, verdict.status) for verdict in result.verdicts} == expected


async def test_the_detail_is_the_score_and_the_heaviest_symbols(server: WireServer) -> None:
    symbols = {f"S{number}": {"score": number / 10} for number in range(20)} | {"GOOD": {"score": -9.0}}
    server.talk = answering(
        http(json.dumps({"action": "reject", "score": 15.1, "required_score": 15, "symbols": symbols}).encode())
    )
    _, result = await asked(server)
    assert result.verdicts[0].detail.startswith("reject 15.10 / 15.00 GOOD(-9.00), S19(1.90), S18(1.80)")
    assert result.verdicts[0].detail.count("(") == 8
    assert (result.score, result.required) == (15.1, 15.0)
    assert len(result.symbols) == 21 and result.symbols[:2] == (("GOOD", -9.0), ("S19", 1.9))


async def test_symbols_of_the_site_itself(server: WireServer) -> None:
    server.talk = answering(http(answer("reject", ("OUR_LINKS", "OUR_SENDERS"))))
    _, result = await asked(
        server, symbols={"OUR_LINKS": Status.MALICIOUS_LINK, "OUR_SENDERS": Status.BLACKLISTED, "X": Status.PHISHING}
    )
    assert set(result.verdicts) == {
        Verdict(Engine.ANTI_PHISHING, Status.MALICIOUS_LINK, "OUR_LINKS"),
        Verdict(Engine.ANTI_SPAM, Status.BLACKLISTED, "OUR_SENDERS"),
    }
    with pytest.raises(UsageError, match="cannot mean `infected`"):
        Rspamd("localhost:11333", symbols={"X": Status.INFECTED})


async def test_a_decision_of_one_module_is_a_verdict_and_a_skipped_message_is_none(server: WireServer) -> None:
    server.talk = answering(http(answer("reject", ("GTUBE",), is_skipped=True, passthrough_module="GTUBE")))
    assert (await asked(server))[1].verdicts[0].status is Status.SPAM
    server.talk = answering(http(answer("no action", is_skipped=True)))
    _, result = await asked(server)
    assert (result.scanned, result.why) == (False, "rspamd: its settings skip this message")


async def test_it_gets_the_message_and_its_envelope(server: WireServer) -> None:
    seen: list[bytes] = []
    server.talk = answering(http(answer()), seen)
    scanner = Rspamd(server.address)
    raw = b"Subject: x\n\n\0\xff\r\nbody" * 20_000
    message = incoming(
        raw,
        sender="ann@example.org",
        recipients=["bob@example.com", "hidden@example.com"],
        queue_id="4ABC",
        client_address="IPv6:2001:db8::1",
        client_name="mx.example.org",
        helo="mx\r\nFrom: forged",
        auth_user="ann",
    )
    assert (await scanner.scan(message)).scanned
    await scanner.close()
    head, body = seen
    assert body == raw
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /checkv2 HTTP/1.1"
    assert [line for line in lines if line.startswith(("From:", "Rcpt:"))] == [
        "From: <ann@example.org>",
        "Rcpt: <bob@example.com>",
        "Rcpt: <hidden@example.com>",
    ]
    for line in (
        "IP: 2001:db8::1",
        "Hostname: mx.example.org",
        "User: ann",
        "Queue-Id: 4ABC",
        "Helo: mx??From: forged",
    ):
        assert line in lines


@pytest.mark.parametrize("text", ["\udcff@example.org", "a\0b", "x" * 100_000, "jos\u00e9@example.org", "<>\r\n\r\n"])
async def test_a_hostile_envelope_is_no_failure(server: WireServer, text: str) -> None:
    scanner = Rspamd(server.address)
    message = incoming(sender=text, recipients=[text], helo=text, client_name=text, client_address=text, queue_id=text)
    assert (await scanner.scan(message)).scanned
    await scanner.close()


async def test_the_client_s_address_cannot_add_header_fields(server: WireServer) -> None:
    """An IPv6 zone is any text for Python, and a proxy may tell the address."""
    seen: list[bytes] = []
    server.talk = answering(http(answer()), seen)
    scanner = Rspamd(server.address)
    assert (await scanner.scan(incoming(client_address="IPv6:fe80::1%x\r\nSettings-Id: none\r\nX: "))).scanned
    await scanner.close()
    lines = seen[0].decode().split("\r\n")
    assert "IP: fe80::1" in lines and not any(line.startswith("Settings-Id") for line in lines)


async def test_an_unknown_client_is_not_named(server: WireServer) -> None:
    seen: list[bytes] = []
    server.talk = answering(http(answer()), seen)
    scanner = Rspamd(server.address)
    await scanner.scan(incoming(sender="", client_name="unknown", client_address="unknown"))
    await scanner.close()
    assert b"From: <>\r\n" in seen[0]
    assert b"Hostname:" not in seen[0]
    assert b"\r\nIP:" not in seen[0]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"garbage\r\n\r\n",
        b"\xff" * 50_000,
        http(b"{}"),
        http(b'{"action": "reject", "symbols": []}'),
        http(b'{"action": 7}'),
        http(b'{"action": "no action", "score": "x"}'),
        http(b'{"action": "no such action"}'),
        http(b"\xff\xfe"),
        http(answer())[:-10],
        http(b"no", "503 Service Unavailable"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"act",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    ],
    ids=lambda reply: ascii(reply)[:30],
)  # fmt: skip
async def test_garbage_and_half_an_answer_are_no_verdict(server: WireServer, reply: bytes) -> None:
    server.talk = answering(reply)
    scanner = Rspamd(server.address, time_limit=10)
    result = await scanner.scan(incoming())
    assert not result.scanned
    assert {verdict.status for verdict in result.verdicts} == {Status.NOT_SCANNED}
    assert {verdict.engine for verdict in result.verdicts} == {Engine.ANTI_SPAM, Engine.ANTI_PHISHING}
    assert scanner.state.up, "it answers a ping"
    server.talk = answering(http(answer()))
    assert (await scanner.scan(incoming())).scanned
    await scanner.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)), st.sampled_from(ACTIONS))
def test_any_answer_is_a_verdict_or_a_failure_that_was_foreseen(values: dict[str, object], action: str) -> None:
    body = json.dumps({"action": action, **values}).encode()
    scanner = Rspamd("localhost:11333")
    try:
        result = scanner.read(body)
    except ScannerFailure:
        return
    assert result.scanned
    assert len({verdict.engine for verdict in result.verdicts}) == len(result.verdicts) == 2


async def test_an_answer_that_does_not_end(server: WireServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_LIMIT", 1000)
    server.talk = answering(http(b'{"action": "no action", "x": "' + b"x" * 5000 + b'"}'))
    assert (await asked(server))[1].why == "rspamd: its answer is too long"


async def test_one_that_is_not_there_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "PAUSE", 0.0)
    scanner = Rspamd(f"unix:{tmp_path / 's'}")
    assert (await scanner.scan(incoming())).why == f"rspamd is down: No such file or directory (unix:{tmp_path / 's'})"
    async with serving(tmp_path / "s", answering(http(answer()))):
        assert (await scanner.scan(incoming())).scanned
    await scanner.close()


async def test_one_that_takes_everything_and_says_nothing_is_down(
    server: WireServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "PING_LIMIT", 0.05)
    server.talk = mute
    _, result = await asked(server, time_limit=0.1)
    assert "rspamd is down: no answer within 0.05 s" in result.why


async def test_something_else_that_listens_there_is_no_rspamd(server: WireServer) -> None:
    async def smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.example.org ESMTP\r\n")
        await reader.readline()

    server.talk = smtp
    scanner = Rspamd(server.address)
    assert "not rspamd" in await scanner.ping()
    await scanner.close()


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://127.0.0.1:11333", "127.0.0.1:11333"),
        ("http://scanner.example.org/", "scanner.example.org:11333"),
        ("http://[::1]:11333", "[::1]:11333"),
        ("localhost:11333", "localhost:11333"),
        ("unix:/run/rspamd/worker.sock", "unix:/run/rspamd/worker.sock"),
    ],
)
def test_addresses(url: str, where: str) -> None:
    assert Rspamd(url).where == where


@pytest.mark.parametrize(
    ("url", "path"), [("http://x/", ""), ("http://x/a b/\u00fc/", "/a%20b/%C3%BC"), ("http://x/a%20b", "/a%20b")]
)
def test_the_path_of_a_url_is_valid_in_a_request(url: str, path: str) -> None:
    assert Rspamd(url)._base == path


@pytest.mark.parametrize("url", ["", "https://x", "http://", "http://x:99999", "http://u:p@x", "ftp://x", "unix:x"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UsageError):
        Rspamd(url)
