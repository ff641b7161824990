"""What was announced for DATA and did not go out: the next attempt announces it anew, and no connection is left."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from store.delivery import leases, relaying, shift
from store.delivery.ledger import Ledger
from store.delivery.queue import delivery_of, release
from store.delivery.retrying import retry
from store.delivery.spent import Spent
from store.delivery.worker import DeliveryWorker
from store.helpers.clock import now_ms
from store.mail.outcome import State
from store.terms.errors import StoreUnavailable
from store.vault.vault import Vault
from tests.store.delivery.test_delivery_worker import DEADLINE, QUICK, fill, received, send, until, use
from tests.store.mail.smtp_server import ScriptedServer, offering


async def test_a_message_put_off_after_it_was_announced_is_recorded_again_before_its_content(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relay goes away while a message is transferred and the next is announced. See what a crash leaves later."""
    monkeypatch.setattr(relaying, "PAUSE", 0.05)
    monkeypatch.setattr("store.delivery.ahead.OPENERS", 1)  # So that they go out in order.
    seen: list[tuple[str, int | None]] = []
    away = False

    def script(point: str, argument: str) -> str | None:
        nonlocal away
        if point == "connect":
            return "die" if away else None
        if point == "dot" and delivery_of(vault, first).state is State.SENDING:
            away = True
            return "die"
        if point == "content" and delivery_of(vault, first).state is not State.SENDING:
            with sqlite3.connect(vault.location) as db:
                sql = (
                    "SELECT delivery_recipient.state, data_started_at FROM delivery_recipient "
                    "JOIN delivery ON delivery.id = delivery_id WHERE delivery_id = ?"
                )
                seen.extend(db.execute(sql, [second]))
        return None

    with offering(True):
        async with ScriptedServer(script) as server:
            use(vault, server.port)
            first, second = fill(vault, 2)
            stop = asyncio.Event()
            sender = DeliveryWorker(vault, owner="test", connections=1, timeouts=QUICK, poll=0.02)
            task = asyncio.create_task(sender.run(stop))
            await until(lambda: delivery_of(vault, second).state is State.DEFERRED)
            assert delivery_of(vault, first).state is State.UNKNOWN
            away = False
            table = vault.models.Delivery
            table.update(next_attempt_at=0).where(table.id == second).execute()
            await until(lambda: len(server.taken) == 1)
            stop.set()
            await asyncio.wait_for(task, DEADLINE)
    [(state, started)] = seen
    assert state == "sending" and started is not None


@pytest.mark.parametrize("breaks", [1, 2])
async def test_who_was_refused_for_good_is_not_asked_for_again_over_another_connection(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, breaks: int
) -> None:
    """The connection breaks at DATA, when it is recorded that he was refused. So somebody releases it to him again."""
    monkeypatch.setattr("store.delivery.ahead.OPENERS", 1)  # So that they go out in order.
    anew: list[int] = []
    broken = 0

    def script(point: str, argument: str) -> str | None:
        if point == "rcpt" and argument == "u1.0@x.example" and not anew:
            return "550 no such user"
        nonlocal broken
        if point == "data" and server.taken and broken < breaks:
            broken += 1
            if not anew:
                copy_id = delivery_of(vault, second).copy_id
                anew.extend(release(vault, [copy_id], original=True, operator="another").queued)
            return "die"
        return None

    with offering(False):
        async with ScriptedServer(script) as server:
            use(vault, server.port)
            _first, second = fill(vault, 2, recipients=2)
            await send(vault, connections=1)
            if breaks == 2:
                states = [each.state for each in delivery_of(vault, second).recipients]
                assert states == [State.FAILED, State.DEFERRED]
                retry(vault, second)
                await send(vault, connections=1)
            states = [each.state for each in delivery_of(vault, second).recipients]
            assert len(anew) == 1 and states == [State.FAILED, State.SENT]
            assert [each.state for each in delivery_of(vault, anew[0]).recipients] == [State.SENT]
            assert set(received(server).values()) == {1} and len(received(server)) == 4


async def test_an_attempt_s_end_is_written_after_its_start_whatever_else_is_in_the_commit(vault: Vault) -> None:
    """A start that nobody waits for, because the connection failed first, would else leave the delivery as sending."""
    ledger = Ledger(vault)
    done: list[str] = []

    def starts(works: list[str]) -> list[None]:
        return [done.append(work) for work in works]

    def ends(works: list[str]) -> list[None]:
        return [done.append(work) for work in works]

    waiting = [
        ledger.together(ends, "end of another", last=True),
        ledger.together(starts, "start"),
        ledger.later(lambda: done.append("claim")),
        ledger.together(ends, "end", last=True),
        ledger.together(starts, "start of a third"),
    ]
    await asyncio.gather(*map(ledger.now, waiting))
    await ledger.close()
    assert done == ["start", "start of a third", "claim", "end of another", "end"]


async def test_letting_go_of_a_claim_leaves_a_later_one_of_the_same_delivery(vault: Vault) -> None:
    """A delivery whose lease ran out here, as while the machine slept, may be claimed here again."""
    use(vault, 1)
    [delivery_id] = fill(vault, 1)
    run = shift.Shift(DeliveryWorker(vault, owner="test"))
    for now in (now_ms(), now_ms() + 60_001):
        with vault.write():
            run._held.update((each.key, each) for each in leases.claim(vault, 1, "test", 1, now, 60_000))
    earlier, later = run._held.values()
    assert earlier.id == later.id == delivery_id
    for each in (earlier, later):
        run._announced[each.key] = None
        run._marks[each.key] = asyncio.get_running_loop().create_future(), now
    run._let_go(earlier)
    assert list(run._held) == list(run._announced) == list(run._marks) == [later.key]
    await run._ledger.close()


async def test_no_connection_stays_open_where_what_is_sent_cannot_be_recorded(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwritable(*_: object) -> None:
        raise StoreUnavailable("no space")

    monkeypatch.setattr(Spent, "spend", unwritable)
    with offering(True):
        async with ScriptedServer() as server:
            use(vault, server.port)
            ids = fill(vault, 6)
            stop = asyncio.Event()
            sender = DeliveryWorker(vault, owner="test", connections=1, timeouts=QUICK, poll=0.02)
            task = asyncio.create_task(sender.run(stop))
            await until(lambda: {delivery_of(vault, each).state for each in ids} == {State.DEFERRED})
            await asyncio.sleep(0.1)
            assert server.sessions and not server._writers
            stop.set()
            await asyncio.wait_for(task, DEADLINE)
            assert not server.taken


async def test_a_message_announced_long_ago_is_not_sent_if_its_lease_was_lost_since(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine slept while a message was transferred; another worker has made the next one `unknown` meanwhile."""
    monkeypatch.setattr("store.delivery.ahead.OPENERS", 1)  # So that they go out in order.
    waiting, go_on = asyncio.Event(), asyncio.Event()
    with offering(True):
        async with ScriptedServer() as server:
            content = server._talk

            async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                until_end = reader.readuntil

                async def slowly(separator: bytes = b"\n") -> bytes:
                    found = await until_end(separator)
                    if separator == b"\r\n.\r\n":
                        waiting.set()
                        await go_on.wait()
                    return found

                reader.readuntil = slowly
                await content(reader, writer)

            server._talk = talk
            use(vault, server.port)
            _, second = fill(vault, 2)
            stop = asyncio.Event()
            sender = DeliveryWorker(vault, owner="test", connections=1, lease=60_000, poll=30, timeouts=QUICK)
            task = asyncio.create_task(sender.run(stop))
            await until(waiting.is_set)
            row = vault.models.Delivery
            await until(lambda: row.get_by_id(second).data_started_at)
            now, after = sender.clock.now, 120_000
            monkeypatch.setattr(sender.clock, "now", lambda: now() + after)
            with vault.write():
                leases.claim(vault, 1, "another", 2, now() + after, 60_000)
            assert delivery_of(vault, second).state is State.UNKNOWN
            go_on.set()
            await asyncio.sleep(0.5)
            stop.set()
            await asyncio.wait_for(task, DEADLINE)
            assert len(server.taken) == 1


@pytest.mark.parametrize(("most", "ahead"), [(1 << 20, 4), (10, 2)])
async def test_large_messages_are_not_taken_ahead_by_every_connection(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, most: int, ahead: int
) -> None:
    """Two connections are sending; of small messages each has another in hand, and one more is open for each thread."""
    monkeypatch.setattr(shift, "AHEAD_BYTES", most)
    monkeypatch.setattr("store.delivery.ahead.MOST_BYTES", 10)
    monkeypatch.setattr(shift, "GRACE", 0.1)
    monkeypatch.setattr(shift, "DATA_GRACE", 0.2)
    opened: list[int] = []
    open_one = shift.Shift._open
    monkeypatch.setattr(shift.Shift, "_open", lambda run, each: (opened.append(each.id), open_one(run, each))[1])
    with offering(True):
        async with ScriptedServer(lambda point, argument: "250-" if point == "dot" else None) as server:
            use(vault, server.port)
            fill(vault, 12)
            stop = asyncio.Event()
            sender = DeliveryWorker(vault, owner="test", connections=2, poll=0.02)
            task = asyncio.create_task(sender.run(stop))
            await until(lambda: server.commands.count("DATA") == 2)
            await asyncio.sleep(0.3)
            assert 2 + 1 <= len(opened) <= 2 + ahead
            stop.set()
            await asyncio.wait_for(task, DEADLINE)
