"""The worker against servers that refuse and die: nothing lost or sent twice, `unknown` only after DATA began."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.authority.settings import Settings, read_settings
from store.delivery import leases, shift
from store.delivery.ahead import Ready
from store.delivery.ledger import Ledger
from store.delivery.marker import field_of, find_marker
from store.delivery.queue import cancel, deliveries, delivery_of, queue_length, release, retry
from store.delivery.release_rows import rows_for
from store.delivery.spent import Spending, Spent
from store.delivery.together import End, settle_all
from store.delivery.worker import DeliveryWorker
from store.delivery.worker_thread import start_worker_thread
from store.helpers.clock import now_ms
from store.mail.client import Session, SessionLost, Timeouts, local_host_name
from store.mail.outcome import State
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.terms.errors import MailholdError, StoreUnavailable, TamperedError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.amounts import amount
from tests.store.mail.smtp_server import ScriptedServer, offering

QUICK = Timeouts(connect=5, command=5, message=5)
DEADLINE = 60


@pytest.fixture(scope="module", autouse=True, params=[False, True], ids=["one-by-one", "pipelining"])
def pipelining(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Run every test with servers that do not offer PIPELINING, and with servers that do."""
    with offering(request.param) as offered:
        yield offered


def raw(number: int) -> bytes:
    return b"Subject: number %d\r\nX-Number: %d\r\n\r\nbody of %d\r\n" % (number, number, number)


def fill(vault: Vault, count: int, recipients: int = 1) -> list[int]:
    """Put and release copies, each to `recipients` addresses."""
    items = [
        (
            raw(number),
            CopyRecord(
                envelope_sender="s@x.example",
                envelope_recipients=tuple(f"u{number}.{at}@x.example" for at in range(recipients)),
            ),
            None,
        )
        for number in range(count)
    ]
    return release(vault, vault.put_many(items), original=True, operator="op").queued


def use(vault: Vault, port: int, **fields: object) -> None:
    changed = msgspec.structs.replace(read_settings(vault), relay=f"smtp://127.0.0.1:{port}", **fields)
    change_settings(vault, changed)


def received(server: ScriptedServer) -> Counter[str]:
    """Count how often each recipient got its message; assert that each message is right, byte for byte."""
    counts: Counter[str] = Counter()
    for taken in server.taken:
        match = re.search(rb"^X-Number: (\d+)\r$", taken.content, re.MULTILINE)
        assert match and taken.content.endswith(raw(int(match[1])))
        for address in taken.rcpt:
            assert address.startswith(f"u{int(match[1])}.")
            counts[address] += 1
    return counts


async def send(vault: Vault, connections: int = 4) -> DeliveryWorker:
    sender = DeliveryWorker(vault, owner="test", connections=connections, timeouts=QUICK, poll=0.05)
    await asyncio.wait_for(sender.run_until_idle(), DEADLINE)
    return sender


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.01)


async def test_all_is_sent_once_over_sessions_that_are_used_again(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        fill(any_vault, 40, recipients=2)
        await send(any_vault)
        assert received(server) == Counter({f"u{n}.{at}@x.example": 1 for n in range(40) for at in range(2)})
        assert 1 <= server.sessions <= 4
        greetings = {command for command in server.commands if command.startswith("EHLO")}
        assert greetings == {f"EHLO {await local_host_name()}"}
    assert {each.state for each in deliveries(any_vault)} == {State.SENT} and queue_length(any_vault) == 0
    rows = any_vault.models.Delivery.select()
    assert all(row.sealed_body_key is None and row.finished_at for row in rows)


@pytest.mark.parametrize(
    ("sender", "said"), [("s@x.example", "<s@x.example>"), ("", "<>"), (None, "<>"), ("<x", "<>"), ("root", "<root>")]
)
async def test_the_sender_stays_and_the_null_sender_stays_null(vault: Vault, sender: str | None, said: str) -> None:
    async with ScriptedServer() as server:
        use(vault, server.port)
        copy_id = vault.put(raw(1), CopyRecord(envelope_sender=sender, envelope_recipients=("u1.0@x.example",)))
        release(vault, [copy_id], original=True, operator="op")
        await send(vault)
        assert received(server) == Counter({"u1.0@x.example": 1})
        [mail] = [command for command in server.commands if command.startswith("MAIL")]
        assert mail.split()[1] == f"FROM:{said}"


async def test_a_message_that_takes_long_to_open_does_not_hold_up_the_others(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, go_on = vault.released_raw, threading.Event()

    def slowly(row: Any, ordered: bytes) -> bytes:
        if row.id == 1:
            assert go_on.wait(DEADLINE)
        return opened(row, ordered)

    monkeypatch.setattr(vault, "released_raw", slowly)
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 12)
        sending = asyncio.create_task(send(vault))
        await until(lambda: len(server.taken) == 11)
        go_on.set()
        await sending
        assert len(received(server)) == 12


def test_a_problem_is_told_until_the_next_look_and_a_relay_out_of_reach_until_it_answers(vault: Vault) -> None:
    use(vault, 1)
    sender = DeliveryWorker(vault, owner="test")
    assert sender.read_relay() and sender.problem == ""
    sender.problem = "Delivery 3 stopped unexpectedly."
    assert sender.read_relay() and sender.problem == ""
    sender.lost("connection refused")
    assert sender.read_relay() and sender.problem == "The relay cannot be used: connection refused" and sender.paused
    sender._paused_until = 0.0
    assert sender.read_relay() and sender.problem.startswith("The relay cannot")
    sender.reached()
    assert sender.read_relay() and sender.problem == "" and not sender.paused
    change_settings(vault, msgspec.structs.replace(read_settings(vault), relay=""))
    assert not sender.read_relay() and sender.problem.startswith("No relay is set")


async def test_a_marker_s_rows_are_durable_before_the_content_for_those_that_the_relay_took(
    vault: Vault, pipelining: bool
) -> None:
    """With PIPELINING the server's refusals are known only after DATA; then those rows go before the content."""
    held: list[int] = []

    def script(point: str, argument: str) -> str | None:
        if point in ("data", "content"):
            with sqlite3.connect(vault.location) as db:
                held.extend(count for (count,) in db.execute("SELECT COUNT(*) FROM release"))
        return "550 5.7.1 never" if argument == "u0.1@x.example" else None

    async with ScriptedServer(script) as server:
        use(vault, server.port, release_loops=True)
        fill(vault, 1, recipients=3)
        await send(vault)
        [taken] = server.taken
    marker = find_marker(taken.content)
    assert held == ([3, 2] if pipelining else [2, 2]) and marker.below == len(field_of(marker.token))
    assert len(rows_for(vault, marker.token, taken.rcpt)) == 2
    with pytest.raises(TamperedError):
        rows_for(vault, marker.token, ["u0.1@x.example"])


async def test_no_marker_goes_where_the_relay_leads_past_intake_or_a_server_would_mend_the_message(
    vault: Vault,
) -> None:
    said: list[tuple[str, dict[str, Any]]] = []
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 1)
        await send(vault)
        use(vault, server.port, release_loops=True)
        broken = vault.put(b"Subject : x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("a@x.example",)))
        [queued] = release(vault, [broken], original=True).queued
        sender = DeliveryWorker(
            vault, owner="test", timeouts=QUICK, say=lambda event, **fields: said.append((event, fields))
        )
        await asyncio.wait_for(sender.run_until_idle(), DEADLINE)
        assert [b"X-Mailhold" in each.content for each in server.taken] == [False, False]
    [(event, fields)] = said
    assert event == "released without a delivery marker" and fields["delivery"] == queued and "colon" in fields["why"]
    [reply] = [each.reply for each in delivery_of(vault, queued).recipients]
    assert reply.startswith("250 ") and "judged again" in reply and "colon" in reply


async def test_a_partial_refusal_is_settled_per_recipient(vault: Vault) -> None:
    answers = {"u0.1@x.example": "450 4.7.1 later", "u0.2@x.example": "550 5.7.1 never"}
    async with ScriptedServer(lambda point, argument: answers.get(argument)) as server:
        use(vault, server.port)
        [delivery_id] = fill(vault, 1, recipients=3)
        await send(vault)
        found = delivery_of(vault, delivery_id)
        assert [each.state for each in found.recipients] == [State.SENT, State.DEFERRED, State.FAILED]
        assert [each.reply for each in found.recipients][1:] == list(answers.values())
        assert found.state is State.DEFERRED and queue_length(vault) == 1
        del answers["u0.1@x.example"]
        retry(vault, delivery_id)
        await send(vault)
        assert received(server) == Counter({"u0.0@x.example": 1, "u0.1@x.example": 1})
    assert delivery_of(vault, delivery_id).state is State.FAILED


async def test_more_recipients_than_a_transaction_takes(vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(vault, server.port)
        [delivery_id] = fill(vault, 1, recipients=230)
        await send(vault)
        assert [len(taken.rcpt) for taken in server.taken] == [100, 100, 30]
        assert set(received(server).values()) == {1}
    assert delivery_of(vault, delivery_id).state is State.SENT


async def test_a_relay_that_is_not_there_defers_and_says_why(vault: Vault, unused_tcp_port: int) -> None:
    use(vault, unused_tcp_port)
    fill(vault, 50)
    sender = await send(vault)
    states = Counter(each.state for each in deliveries(vault))
    assert set(states) <= {State.DEFERRED, State.QUEUED} and states[State.DEFERRED] >= 1
    deferred = next(each for each in deliveries(vault) if each.state is State.DEFERRED)
    assert deferred.recipients[0].reply.endswith("Connection refused") and "cannot be used" in sender.problem
    assert queue_length(vault) == 50


async def test_without_a_relay_all_waits_and_starts_when_one_is_set(vault: Vault, unused_tcp_port: int) -> None:
    use(vault, unused_tcp_port)
    fill(vault, 2)
    change_settings(vault, Settings())
    sender = DeliveryWorker(vault, owner="test", timeouts=QUICK, poll=0.02)
    stop = asyncio.Event()
    task = asyncio.create_task(sender.run(stop))
    async with ScriptedServer() as server:
        await until(lambda: sender.problem)
        assert "No relay" in sender.problem and not server.taken
        use(vault, server.port)
        await until(lambda: not queue_length(vault))
        assert sender.problem == ""
        stop.set()
        await asyncio.wait_for(task, DEADLINE)
        assert len(server.taken) == 2


async def test_an_idle_session_that_died_is_replaced_without_an_attempt_lost(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = iter([None, "421 too long idle", None])
    async with ScriptedServer(lambda point, argument: next(mails) if point == "mail" else None) as server:
        use(vault, server.port)
        fill(vault, 2)
        await send(vault, connections=1)
        assert server.sessions == 1 and len(server.taken) == 1
        assert Counter(each.state for each in deliveries(vault)) == {State.SENT: 1, State.DEFERRED: 1}
    dying = iter([None, "die", None])
    async with ScriptedServer(lambda point, argument: next(dying) if point == "mail" else None) as server:
        use(vault, server.port)
        fill(vault, 2)
        await send(vault, connections=1)
        assert server.sessions == 2 and len(server.taken) == 2
    monkeypatch.setattr(shift, "IDLE", 0.05)
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 1)
        sender = DeliveryWorker(vault, owner="test", connections=1, timeouts=QUICK, poll=0.02)
        stop = asyncio.Event()
        task = asyncio.create_task(sender.run(stop))
        await until(lambda: "QUIT" in server.commands)
        stop.set()
        await asyncio.wait_for(task, DEADLINE)


async def test_a_changed_relay_is_taken_up_by_running_sessions(vault: Vault) -> None:
    async with ScriptedServer() as first, ScriptedServer() as second:
        use(vault, first.port)
        fill(vault, 3)
        sender = DeliveryWorker(vault, owner="test", timeouts=QUICK, poll=0.02)
        stop = asyncio.Event()
        task = asyncio.create_task(sender.run(stop))
        await until(lambda: not queue_length(vault))
        use(vault, second.port)
        fill(vault, 3)
        await until(lambda: not queue_length(vault))
        stop.set()
        await asyncio.wait_for(task, DEADLINE)
        assert (len(first.taken), len(second.taken)) == (3, 3)


async def test_stop_finishes_what_is_under_way_and_gives_the_rest_back(vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 30)
        stop = asyncio.Event()
        server.script = lambda point, argument: stop.set() if point == "dot" else None
        sender = DeliveryWorker(vault, owner="test", connections=2, timeouts=QUICK, poll=0.02)
        await asyncio.wait_for(sender.run(stop), DEADLINE)
        states = Counter(each.state for each in deliveries(vault))
        assert set(states) == {State.SENT, State.QUEUED} and states[State.SENT] == len(server.taken)
        assert all(each.attempts == 0 for each in deliveries(vault) if each.state is State.QUEUED)
        server.script = lambda point, argument: None
        await send(vault)
        assert set(received(server).values()) == {1} and len(server.taken) == 30


@pytest.mark.parametrize(("point", "state"), [("connect", State.QUEUED), ("content", State.SENDING)])
async def test_a_stop_does_not_wait_for_ever_for_a_relay_that_hangs(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, point: str, state: State
) -> None:
    """Messages before DATA are given back at once; for the others, the row informs the next worker."""
    monkeypatch.setattr(shift, "GRACE", 0.1)
    monkeypatch.setattr(shift, "DATA_GRACE", 0.3)
    hanging = asyncio.Event()
    async with ScriptedServer() as server:
        original = server._talk

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if point == "connect":
                hanging.set()
                await asyncio.sleep(DEADLINE)
            await original(reader, writer)

        server._talk = talk
        if point == "content":
            # A reply that never ends: the message is sent, and its answer never arrives.
            server.script = lambda at, argument: (hanging.set(), "250-")[1] if at == "dot" else None
        use(vault, server.port)
        [delivery_id] = fill(vault, 1)
        stop = asyncio.Event()
        sender = DeliveryWorker(vault, owner="test", connections=1, poll=0.02)
        task = asyncio.create_task(sender.run(stop))
        await until(hanging.is_set)
        stop.set()
        await asyncio.wait_for(task, DEADLINE / 2)
    found = delivery_of(vault, delivery_id)
    assert found.state is state and found.attempts == (0 if state is State.QUEUED else 1)
    if state is State.SENDING:
        table = vault.models.Delivery
        table.update(lease_until=1).where(table.id == delivery_id).execute()
        await send(vault)
        assert delivery_of(vault, delivery_id).state is State.UNKNOWN


async def test_a_deadline_ends_the_wait(vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 3)
        sender = DeliveryWorker(vault, owner="test", timeouts=QUICK)
        await asyncio.wait_for(sender.run_until_idle(deadline=0), DEADLINE)
        assert queue_length(vault) == 3 and not server.taken


async def test_a_delivery_that_was_cancelled_in_the_workers_hands_is_not_sent(vault: Vault, pipelining: bool) -> None:
    async with ScriptedServer() as server:
        use(vault, server.port)
        [delivery_id] = fill(vault, 1)

        def at(point: str, argument: str) -> None:
            if point == ("ehlo" if pipelining else "rcpt"):
                cancel(vault, delivery_id)

        server.script = at
        await send(vault)
        assert not server.taken and "DATA" not in server.commands
    assert delivery_of(vault, delivery_id).state is State.CANCELLED


async def test_a_lease_that_was_lost_while_sending_is_nothing_to_report(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker holds the lease by then, and reports the outcome."""
    settled: list[int] = []
    stopped: list[Exception] = []

    def lost(_vault: Vault, ends: Sequence[End]) -> list[leases.LeaseLost]:
        settled.extend(each.claim.id for each in ends)
        return [leases.LeaseLost() for _ in ends]

    monkeypatch.setattr(shift, "settle_all", lost)
    monkeypatch.setattr(shift.Shift, "_stopped", lambda _self, _claim, error: stopped.append(error))
    async with ScriptedServer() as server:
        use(vault, server.port)
        [delivery_id] = fill(vault, 1)
        sender = await send(vault)
        assert settled == [delivery_id] and stopped == [] and sender.problem == ""
    assert delivery_of(vault, delivery_id).state is State.SENDING


async def test_a_worker_ends_also_if_a_message_comes_just_then(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    take = shift.Ahead.take

    async def take_and_end(ahead: shift.Ahead) -> Ready:
        ready = await take(ahead)
        sending.cancel()
        return ready

    monkeypatch.setattr(shift.Ahead, "take", take_and_end)
    async with ScriptedServer() as server:
        use(vault, server.port)
        fill(vault, 1)
        sending = asyncio.create_task(send(vault, connections=1))
        await asyncio.wait([sending], timeout=DEADLINE)
        assert sending.cancelled()


async def test_a_worker_ends_also_if_a_library_swallows_that(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    async def swallow(_session: Session) -> None:
        opening.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise SessionLost("no")

    opening = asyncio.Event()
    monkeypatch.setattr(Session, "open", swallow)
    monkeypatch.setattr(shift, "CANCEL_AGAIN", 0.05)
    use(vault, 1)
    fill(vault, 1)
    sending = asyncio.create_task(send(vault, connections=1))
    await opening.wait()
    sending.cancel()
    await asyncio.wait([sending], timeout=DEADLINE)
    assert sending.cancelled()


async def test_a_long_transaction_keeps_its_lease(vault: Vault, open_again: Callable[[], Vault]) -> None:
    """Two workers, a lease far shorter than the transaction: only the first sends.

    The lease is longer than a busy machine stops a process.
    """
    other, lease = open_again(), 4000
    patient = Timeouts(connect=DEADLINE, command=DEADLINE, message=DEADLINE)
    async with ScriptedServer() as server:
        use(vault, server.port)
        [delivery_id] = fill(vault, 1)
        asked = asyncio.Event()
        original = server._talk

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await asyncio.sleep(2 * lease / 1000)
            await original(reader, writer)

        server._talk = slow
        first = DeliveryWorker(vault, owner="one", timeouts=patient, lease=lease, poll=0.05)
        task = asyncio.create_task(first.run_until_idle())
        await until(asked.is_set)
        stop = asyncio.Event()
        second = asyncio.create_task(
            DeliveryWorker(other, owner="two", timeouts=patient, lease=lease, poll=0.05).run(stop)
        )
        await asyncio.wait_for(task, DEADLINE)
        stop.set()
        await asyncio.wait_for(second, DEADLINE)
        assert len(server.taken) == 1 and delivery_of(vault, delivery_id).attempts == 1


async def test_a_database_that_is_away_when_the_answer_comes_loses_nothing(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True])

    def failing(vault: Vault, ends: Sequence[End]) -> list[leases.LeaseLost | State]:
        if next(failures, False):
            raise StoreUnavailable("gone")
        return settle_all(vault, ends)

    monkeypatch.setattr(shift, "settle_all", failing)
    async with ScriptedServer() as server:
        use(vault, server.port)
        [delivery_id] = fill(vault, 1)
        await send(vault)
        assert len(server.taken) == 1 and delivery_of(vault, delivery_id).state is State.SENT


async def test_writes_that_come_together_share_a_commit_and_a_lost_lease_spoils_nothing(vault: Vault) -> None:
    ledger = Ledger(vault)
    commits = 0
    write = vault.write

    def counting(*, quiet: bool = False) -> object:
        nonlocal commits
        commits += 1
        return write(quiet=quiet)

    vault.write = counting

    def lose() -> None:
        raise leases.LeaseLost

    results = await asyncio.gather(
        *(ledger.write(lose if n == 7 else lambda n=n: n) for n in range(20)), return_exceptions=True
    )
    await ledger.close()
    assert [each for each in results if isinstance(each, int)] == [n for n in range(20) if n != 7]
    assert isinstance(results[7], leases.LeaseLost) and commits < 20


async def test_what_was_put_off_and_claimed_again_is_given_back_like_all_others(vault: Vault) -> None:
    """A message that may be sent keeps its lease; an attempt that ended does not affect the next."""
    use(vault, 1)
    first, second = fill(vault, 2)
    run = shift.Shift(DeliveryWorker(vault, owner="test"))
    with vault.write():
        one, two = leases.claim(vault, 1, "test", 2, now_ms(), 60_000)
    run._announced.update({one.key: None, two.key: None})
    run._let_go(one)
    await run._return([one, two])
    await run._ledger.close()
    assert [delivery_of(vault, each).state for each in (first, second)] == [State.QUEUED, State.SENDING]


async def test_what_is_ready_to_be_sent_is_given_back_by_a_stop(vault: Vault) -> None:
    use(vault, 1)
    ids = fill(vault, 3)
    run = shift.Shift(DeliveryWorker(vault, owner="test"))
    with vault.write():
        ready, opening, queued = leases.claim(vault, 1, "test", 3, now_ms(), 60_000)
    run._held.update((each.key, each) for each in (ready, opening, queued))
    run._ahead._ready.append((ready, MailholdError("it could not be opened")))
    run._ahead._opening[opening.key] = opening
    run._ahead._claims.append(queued)
    await run._drain([])
    await run._ledger.close()
    assert {delivery_of(vault, each).state for each in ids} == {State.QUEUED}
    assert not run._held


async def test_threads_that_read_and_write_close_their_connections(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    close = vault.db.close

    def noting() -> object:
        closed.append(threading.current_thread().name)
        return close()

    monkeypatch.setattr(vault.db, "close", noting)
    ledger = Ledger(vault)
    await ledger.read(vault.ids)
    await ledger.write(vault.ids)
    await ledger.close()
    assert sorted({name.rpartition("_")[0] for name in closed}) == ["delivery-read", "delivery-write"]


async def test_an_idle_session_is_ended_and_the_next_message_takes_another(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shift, "IDLE", 0.01)
    stop = asyncio.Event()
    async with ScriptedServer() as server:
        use(vault, server.port)
        sender = DeliveryWorker(vault, owner="test", connections=1, timeouts=QUICK, poll=0.05)
        running = asyncio.create_task(sender.run(stop))
        for number in (1, 2):
            fill(vault, 1)
            await until(lambda number=number: len(server.taken) == server.commands.count("QUIT") == number)
        stop.set()
        await asyncio.wait_for(running, DEADLINE)
        assert server.sessions == 2


def test_a_thread_that_fails_says_why_and_lets_itself_be_stopped(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(self: DeliveryWorker, stop: asyncio.Event) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(DeliveryWorker, "run", failing)
    handle = start_worker_thread(vault, "test")
    assert handle.stop(DEADLINE) is True and not handle.alive
    assert handle.problem == "The delivery worker stopped: boom. Queued deliveries wait until it is started again."


def test_the_thread_sends_and_stops(vault: Vault) -> None:
    async def main() -> None:
        async with ScriptedServer() as server:
            use(vault, server.port)
            fill(vault, 5)
            handle = await asyncio.to_thread(start_worker_thread, vault, "console")
            await until(lambda: not queue_length(vault))
            assert handle.alive and handle.problem == ""
            assert await asyncio.to_thread(handle.stop)
            assert not handle.alive and len(server.taken) == 5

    asyncio.run(main())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """Return one store for all examples: each drains its own deliveries."""
    opened, _recovery = create_store(str(tmp_path_factory.mktemp("worker") / "s"), passphrase="x")
    yield opened
    opened.close()


class _FlakyServer:
    """A server that dies or refuses at random points; records what it accepted and where it died after DATA."""

    def __init__(self, seed: int, rate: float) -> None:
        self.dice = random.Random(seed)
        self.rate = rate
        self.healed = False

    def __call__(self, point: str, argument: str) -> str | None:
        if self.healed or self.dice.random() >= self.rate:
            return None
        if point in ("content", "replied"):
            return "die"
        return self.dice.choice(["die", "451 4.3.0 later", "550 5.7.1 never"]) if point != "connect" else "die"


@settings(max_examples=amount(12, 25), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), rate=st.floats(0.02, 0.4), count=st.integers(1, 12), recipients=st.integers(1, 3))
def test_no_loss_no_double_and_unknown_only_after_data(
    shared: Vault, seed: int, rate: float, count: int, recipients: int
) -> None:
    asyncio.run(_reconcile(shared, seed, rate, count, recipients))


async def _reconcile(vault: Vault, seed: int, rate: float, count: int, recipients: int) -> None:
    script = _FlakyServer(seed, rate)
    async with ScriptedServer(script) as server:
        use(vault, server.port)
        ids = set(fill(vault, count, recipients))
        table = vault.models.Delivery
        for _ in range(6):
            await send(vault, connections=3)
            _check(vault, ids, server)
            table.update(next_attempt_at=0).where(table.finished_at.is_null()).execute()
        script.healed = True
        await send(vault, connections=3)
        _check(vault, ids, server)
        assert not any(each.state.live for each in deliveries(vault, len(ids)))
        before = received(server)
        unknown = [each.id for each in deliveries(vault, len(ids)) if each.state is not State.SENT]
        for delivery_id in unknown:
            retry(vault, delivery_id, "op")
        maybe_twice = {
            each.address
            for found in deliveries(vault, len(ids))
            if found.id in unknown
            for each in found.recipients
            if each.state is State.QUEUED
        }
        await send(vault)
        after = received(server)
        assert set(after) == {f"u{n}.{at}@x.example" for n in range(count) for at in range(recipients)}
        assert all(after[address] - before[address] == (address in maybe_twice) for address in after)


def _check(vault: Vault, ids: set[int], server: ScriptedServer) -> None:
    counts = received(server)
    for found in deliveries(vault, len(ids)):
        assert found.id in ids
        for each in found.recipients:
            got = counts[each.address]
            assert got <= 1, f"{each} was sent {got} times"
            if each.state is State.SENT:
                assert got == 1
            elif each.state is not State.UNKNOWN:
                assert got == 0, f"{each} is {each.state} but was sent"
            else:
                assert "DATA" in each.reply


async def test_what_a_crash_would_leave_unknown_is_at_most_two_messages_a_connection(vault: Vault) -> None:
    """Look at the rows as a crash would leave them, whenever a message is about to be taken."""
    announced: list[int] = []

    def script(point: str, argument: str) -> str | None:
        if point in ("content", "dot", "replied"):
            with sqlite3.connect(vault.location) as db:
                sql = "SELECT COUNT(*) FROM delivery_recipient WHERE state = 'sending'"
                announced.extend(count for (count,) in db.execute(sql))
        return None

    async with ScriptedServer(script) as server:
        use(vault, server.port)
        fill(vault, 60)
        await send(vault, connections=3)
        assert len(server.taken) == 60
    assert min(announced) >= 1 and max(announced) <= 2 * 3


async def test_who_was_refused_is_recorded_before_the_others_get_the_content(vault: Vault) -> None:
    """So a crash while the message is transferred makes nobody unknown whom the relay refused."""
    held: list[list[str]] = []

    def script(point: str, argument: str) -> str | None:
        if point == "content":
            with sqlite3.connect(vault.location) as db:
                rows = db.execute(
                    "SELECT state FROM delivery_recipient WHERE delivery_id = ? ORDER BY id", [refused_id]
                )
                held.append([state for (state,) in rows])
        return {"u0.1@x.example": "550 never", "u0.2@x.example": "450 later"}.get(argument)

    async with ScriptedServer(script) as server:
        use(vault, server.port)
        [refused_id] = fill(vault, 1, recipients=3)
        await send(vault)
        assert held == [["sending", "failed", "deferred"]]
        server.script = lambda point, argument: None
        retry(vault, refused_id)
        await send(vault)
        assert [each.state for each in delivery_of(vault, refused_id).recipients] == [
            State.SENT,
            State.FAILED,
            State.SENT,
        ]
        assert set(received(server).values()) == {1}


async def test_a_message_announced_ahead_that_did_not_go_out_is_given_back_by_a_stop(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay hangs with one message: that may be there; the next was announced, but surely not sent."""
    monkeypatch.setattr(shift, "GRACE", 0.1)
    monkeypatch.setattr(shift, "DATA_GRACE", 0.3)
    monkeypatch.setattr("store.delivery.ahead.OPENERS", 1)  # So that they go out in order.
    hanging = asyncio.Event()
    async with ScriptedServer() as server:
        use(vault, server.port, release_loops=True)
        first, second = fill(vault, 2, recipients=2)
        # A recipient that was deferred before stays so.
        row = vault.models.DeliveryRecipient
        table = row.update(state=State.DEFERRED).where(row.delivery_id == second)
        table.execute()
        server.script = lambda point, argument: (hanging.set(), "250-")[1] if point == "dot" else None
        stop = asyncio.Event()
        sender = DeliveryWorker(vault, owner="test", connections=1, poll=0.02)
        task = asyncio.create_task(sender.run(stop))
        await until(hanging.is_set)
        await asyncio.sleep(0.2)
        stop.set()
        await asyncio.wait_for(task, DEADLINE / 2)
        assert [delivery_of(vault, each).state for each in (first, second)] == [State.SENDING, State.DEFERRED]
        assert delivery_of(vault, second).attempts == 0
        found = vault.models.Delivery.get_by_id(second)
        assert found.data_started_at is None and found.lease_until == 0
        with sqlite3.connect(vault.location) as db:
            assert db.execute("SELECT DISTINCT delivery_id FROM release").fetchall() == [(first,)]
        server.script = lambda point, argument: None
        await send(vault)
        assert delivery_of(vault, second).state is State.SENT
        assert received(server) == Counter({"u1.0@x.example": 1, "u1.1@x.example": 1})


async def test_a_write_that_nobody_waits_for_goes_with_the_next_or_after_a_moment(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(vault)
    done: list[str] = []
    monkeypatch.setattr("store.delivery.ledger.LATER", DEADLINE)
    later = ledger.later(lambda: done.append("later"))
    await asyncio.sleep(0.05)
    assert not done
    await ledger.write(lambda: done.append("now"))
    assert done == ["later", "now"] and later.done()
    monkeypatch.setattr("store.delivery.ledger.LATER", 0.01)
    await asyncio.wait_for(ledger.later(lambda: done.append("alone")), DEADLINE)
    monkeypatch.setattr("store.delivery.ledger.LATER", DEADLINE)
    last = ledger.later(lambda: done.append("last"))
    await ledger.close()
    assert done[2:] == ["alone", "last"] and last.done()


async def test_a_write_that_fails_and_that_nobody_waits_for_says_nothing(vault: Vault) -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: said.append(context))
    ledger = Ledger(vault)

    def fail() -> None:
        raise StoreUnavailable("The store is away.")

    ledger.later(fail)
    with pytest.raises(StoreUnavailable):
        await ledger.write(fail)
    await ledger.close()
    gc.collect()
    assert not said


async def test_what_cannot_be_recorded_on_this_machine_fails_alone(vault: Vault, tmp_path: Path) -> None:
    ledger = Ledger(vault, Spent(tmp_path / "spent"))
    kept = ledger.later(lambda: 1, Spending(b"n", ["a"], 9))
    assert await ledger.now(kept) == 1 and (tmp_path / "spent").stat().st_size == 24
    (tmp_path / "spent").unlink()
    (tmp_path / "spent").mkdir()
    with_record, without = ledger.later(lambda: 2, Spending(b"n", ["a"], 9)), ledger.later(lambda: 3)
    with pytest.raises(StoreUnavailable, match="the record of what was sent"):
        await ledger.now(with_record)
    assert await without == 3
    await ledger.close()


def test_nothing_that_a_worker_writes_is_plain(vault: Vault, store: str) -> None:
    async def main() -> None:
        async with ScriptedServer(lambda point, argument: "550 secretword" if point == "rcpt" else None) as server:
            use(vault, server.port)
            fill(vault, 3)
            await send(vault)

    asyncio.run(main())
    stored = b"".join(path.read_bytes() for path in Path(store).parent.iterdir() if path.is_file())
    assert b"secretword" not in stored and b"x.example" not in stored and b"127.0.0.1" not in stored
