"""The relay's EHLO answer: written by the gateway that got it, trusted only with its signature, renewed on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority.settings import Settings
from store.check import check
from store.delivery import greeting
from store.delivery.greeting import ask_anew, ask_here
from store.delivery.hello import Hello, hello_of, read_hello, want_hello, wanted, write_hello
from store.delivery.ledger import Ledger
from store.delivery.queue import release
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.helpers.clock import now_ms
from store.mail.client import Timeouts
from store.mail.offers import Offers, offers_of
from store.sealing.keys import LOCAL_ID
from store.space.changing_settings import change_settings
from store.terms.errors import TamperedError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer

QUICK = Timeouts(connect=5, command=5, message=5)
DEADLINE = 60
SET = "UPDATE hello SET at = ?, sealed = ?, signature = ? WHERE gateway_id = ?"


def use(vault: Vault, port: int) -> None:
    change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{port}"))


def queue_one(vault: Vault) -> int:
    record = CopyRecord(envelope_sender="s@x.example", envelope_recipients=("a@x.example",))
    return release(vault, [vault.put(b"Subject: x\r\n\r\nbody\r\n", record)], original=True, operator="op").queued[0]


async def send(vault: Vault) -> None:
    sender = DeliveryWorker(vault, owner="test", connections=1, timeouts=QUICK, poll=0.05)
    await asyncio.wait_for(sender.run_until_idle(), DEADLINE)


def write(vault: Vault, hello: Hello, at: int) -> None:
    with vault.write():
        write_hello(vault, hello, at)


@pytest.fixture
def gateway(any_vault: Vault, tmp_path: Path) -> Iterator[Vault]:
    """Enrol a gateway of `any_vault` and open the store with its keys."""
    enroll(any_vault, "mx1", tmp_path / "mx1.credentials")
    with closing(open_with_credentials(any_vault.location, tmp_path / "mx1.credentials")) as opened:
        yield opened


def id_of(gateway: Vault) -> int:
    assert gateway.keys.gateway is not None
    return gateway.keys.gateway.gateway_id


async def test_a_worker_notes_what_the_relay_answers_when_it_connects(any_vault: Vault) -> None:
    assert read_hello(any_vault, LOCAL_ID) is None
    before = now_ms()
    async with ScriptedServer(extensions=("SIZE 1000", "8BITMIME", "X-Odd one two")) as server:
        use(any_vault, server.port)
        queue_one(any_vault)
        await send(any_vault)
        heard = read_hello(any_vault, LOCAL_ID)
        assert heard is not None and before <= heard.at <= now_ms()
        assert heard.hello.relay == f"smtp://127.0.0.1:{server.port}" and heard.hello.problem == ""
        assert heard.hello.offers == Offers(size=True, limit=1000, eight_bit=True, utf8=False)
        assert ("x-odd", "one two") in heard.hello.extensions
    assert not check(any_vault).broken


async def test_a_relay_out_of_reach_is_noted_with_the_reason(any_vault: Vault, unused_tcp_port: int) -> None:
    use(any_vault, unused_tcp_port)
    queue_one(any_vault)
    await send(any_vault)
    heard = read_hello(any_vault, LOCAL_ID)
    assert heard is not None and "onnect" in heard.hello.problem and heard.hello.extensions == ()


async def test_an_answer_is_written_where_it_changed_or_is_old_and_not_for_each_session(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1_000_000]
    monkeypatch.setattr(greeting, "now_ms", lambda: clock[0])
    async with ScriptedServer() as server:
        use(vault, server.port)
        sender = DeliveryWorker(vault, owner="test", timeouts=QUICK)
        assert sender.read_relay()
        ledger = Ledger(vault)
        hears = greeting.Greeting(vault, ledger, sender, LOCAL_ID)
        sender.host_name = "localhost"

        async def at() -> int:
            await (await hears.connect()).close()
            heard = read_hello(vault, LOCAL_ID)
            assert heard is not None
            return heard.at

        assert await at() == 1_000_000
        clock[0] += greeting.FRESH_MS - 1
        assert await at() == 1_000_000
        server.extensions = ["SIZE 7"]
        assert await at() == clock[0]
        clock[0] += greeting.FRESH_MS
        assert await at() == clock[0]
        clock[0] -= 10  # A clock that was set back.
        assert await at() == clock[0]
        await ledger.close()


async def test_a_gateway_asks_anew_when_an_operator_wants_it_also_while_it_leaves_the_relay_alone(
    any_vault: Vault, gateway: Vault
) -> None:
    stop = asyncio.Event()
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        sender = DeliveryWorker(gateway, owner="mx1", connections=1, timeouts=QUICK, poll=0.05)
        running = asyncio.create_task(sender.run(stop))
        try:
            first = await asyncio.to_thread(ask_anew, any_vault, id_of(gateway), DEADLINE)
            assert first is not None and first.hello.offers.utf8
            server.extensions = ["SIZE 9"]
            sender.lost("somebody pulled a cable")
            assert sender.paused
            second = await asyncio.to_thread(ask_anew, any_vault, id_of(gateway), DEADLINE)
            assert second is not None and second.hello.offers == Offers(size=True, limit=9)
            assert not sender.paused and sender.problem == ""
            assert server.sessions == 2  # Once for each wish.
        finally:
            stop.set()
            await asyncio.wait_for(running, DEADLINE)
    assert not check(any_vault).broken


async def test_a_gateway_without_a_relay_says_so_when_it_is_asked(any_vault: Vault, gateway: Vault) -> None:
    stop = asyncio.Event()
    sender = DeliveryWorker(gateway, owner="mx1", connections=1, timeouts=QUICK, poll=0.05)
    running = asyncio.create_task(sender.run(stop))
    try:
        heard = await asyncio.to_thread(ask_anew, any_vault, id_of(gateway), DEADLINE)
        assert heard is not None and heard.hello.problem.startswith("No relay is set")
    finally:
        stop.set()
        await asyncio.wait_for(running, DEADLINE)


def test_a_gateway_that_does_not_run_is_not_waited_for_longer_than_said(any_vault: Vault, gateway: Vault) -> None:
    assert ask_anew(any_vault, id_of(gateway), 0) is None
    assert ask_anew(any_vault, id_of(gateway), DEADLINE, lambda: True) is None


def test_who_sends_by_himself_asks_by_himself(any_vault: Vault, unused_tcp_port: int) -> None:
    assert ask_here(any_vault).hello.problem.startswith("No relay is set")
    use(any_vault, unused_tcp_port)
    heard = ask_anew(any_vault, LOCAL_ID, 0)
    assert heard is not None and heard.hello.problem and heard == read_hello(any_vault, LOCAL_ID)


def test_an_altered_answer_is_not_believed(any_vault: Vault, gateway: Vault, sql: Callable[..., Any]) -> None:
    write(gateway, hello_of("smtp://mx.example:25", {"size": "1000"}), 1_000)
    write(any_vault, hello_of("smtp://mx.example:25", {"size": "5"}), 2_000)
    mine = id_of(gateway)
    assert read_hello(any_vault, mine) == (1_000, Hello("smtp://mx.example:25", "", (("size", "1000"),)))
    [kept] = sql(any_vault, "SELECT at, sealed, signature FROM hello WHERE gateway_id = ?", mine)
    [other] = sql(any_vault, "SELECT at, sealed, signature FROM hello WHERE gateway_id = ?", LOCAL_ID)
    faults = [
        (kept[0] + 1, kept[1], kept[2]),
        (kept[0], other[1], kept[2]),
        (kept[0], kept[1], other[2]),
        (other[0], other[1], other[2]),
        (kept[0], bytes(kept[1])[:-1] + bytes([bytes(kept[1])[-1] ^ 1]), kept[2]),
        (kept[0], kept[1], b""),
        (-1, b"", b"\2" * 73),
    ]
    for at, sealed, signature in faults:
        sql(
            any_vault,
            "UPDATE hello SET at = ?, sealed = ?, signature = ? WHERE gateway_id = ?",
            at,
            sealed,
            signature,
            mine,
        )
        with pytest.raises(TamperedError):
            read_hello(any_vault, mine)
        assert any(what == f"the relay's EHLO answer to gateway {mine}" for what, _ in check(any_vault).broken)
    sql(any_vault, SET, *kept, mine)
    assert read_hello(any_vault, mine) is not None and not check(any_vault).broken


def test_a_wish_counts_only_as_an_operator_signed_it(any_vault: Vault, gateway: Vault, sql: Callable[..., Any]) -> None:
    mine = id_of(gateway)
    assert wanted(gateway, mine, 0) == 0
    want_hello(any_vault, mine, 5_000)
    assert wanted(gateway, mine, 0) == 5_000 == wanted(gateway, mine, 5_000)
    assert wanted(any_vault, LOCAL_ID, 0) == 0
    sql(any_vault, "UPDATE hello SET at = 6000 WHERE gateway_id = ?", -mine)
    assert wanted(gateway, mine, 5_000) == 5_000
    assert any(what == f"the request to gateway {mine} to ask its relay" for what, _ in check(any_vault).broken)
    want_hello(gateway, mine, 7_000)  # Signed by the gateway itself, which is no operator.
    assert wanted(gateway, mine, 5_000) == 5_000
    want_hello(any_vault, mine, 8_000)
    assert wanted(gateway, mine, 5_000) == 8_000 and not check(any_vault).broken


def test_what_a_revoked_gateway_heard_goes(any_vault: Vault, gateway: Vault) -> None:
    write(gateway, hello_of("smtp://mx.example:25", {}), 1_000)
    want_hello(any_vault, id_of(gateway), 1_000)
    revoke(any_vault, "mx1")
    assert read_hello(any_vault, id_of(gateway)) is None and not check(any_vault).broken


@given(st.dictionaries(st.text(max_size=400), st.text(max_size=400), max_size=80), st.text(max_size=400))
def test_whatever_a_relay_answers_can_be_kept(extensions: dict[str, str], problem: str) -> None:
    kept = hello_of("smtp://x", {**extensions, "\udcff": "\udc80"}, problem)
    assert len(kept.extensions) <= 60 and len(kept.problem) <= 300
    kept.problem.encode()
    assert all(len(name + text) <= 300 and (name + text).encode() is not None for name, text in kept.extensions)
    assert kept.offers.limit >= 0


@pytest.mark.parametrize(
    ("size", "limit"), [("", 0), ("0", 0), ("10", 10), ("x", 0), ("-1", 0), ("٣", 0), ("9" * 30, 0), ("10 20", 0)]
)
def test_a_limit_that_makes_no_sense_is_none(size: str, limit: int) -> None:
    offers = offers_of({"size": size})
    assert (offers.size, offers.limit) == (True, limit)
    assert offers.takes(limit) and offers.takes(1 << 40) is (limit == 0)
