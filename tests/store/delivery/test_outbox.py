"""The outbox: a release waits by its signed order and the deciding clock, and can be cancelled until then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority.audit import events
from store.authority.settings import Settings, parse_setting, read_settings
from store.check import check
from store.database.clock import DecidingClock, decides_ms
from store.database.connection import PostgresStore
from store.delivery import leases
from store.delivery.access import StoreAccess
from store.delivery.orders import sign_at_once
from store.delivery.outbox import FEW, CalledBack, call_back, held, send_now, wait_out
from store.delivery.queue import cancel, deliveries, delivery_of, release, retry
from store.delivery.waiting import wait_for_gateways
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.sealing.keys import hybrid_public
from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.statements import statement
from store.space.changing_settings import change_settings
from store.terms.errors import DeliveryError, SettingError, TamperedError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.delivery.test_delivery_worker import fill, received, send, use
from tests.store.delivery.test_spent import put_back, rows
from tests.store.mail.smtp_server import ScriptedServer

HOUR = 3_600_000
SENT, DEFERRED = Outcome(State.SENT, "250 ok"), Outcome(State.DEFERRED, "451 later")


def order_of(vault: Vault, delivery_id: int) -> tuple[int, int, bytes]:
    """Return what a worker goes by: the end of the order's hold, the order time, and its nonce."""
    order = StoreAccess(vault).order(vault.models.Delivery.get_by_id(delivery_id))
    return order.not_before, order.ordered_at, order.nonce


def columns(vault: Vault, delivery_id: int) -> tuple[bytes, bytes, bytes]:
    row = vault.models.Delivery.get_by_id(delivery_id)
    return bytes(row.order_blob), bytes(row.order_signature), bytes(row.sealed_body_key)


def claimed(vault: Vault, ahead: int = 0) -> list[leases.Claim]:
    with vault.write():
        return leases.claim(vault, 1, "w", 100, decides_ms(vault.db) + ahead, 60_000)


def settle(vault: Vault, claims: Sequence[leases.Claim], *outcomes: Outcome) -> None:
    with vault.write():
        for each in claims:
            leases.settle(vault, each, dict(zip(each.live, outcomes, strict=False)), decides_ms(vault.db))


def test_few_copies_wait_for_one_time_and_many_for_another(any_vault: Vault) -> None:
    use(any_vault, 1, hold=20, hold_many=400)
    few, many = fill(any_vault, FEW), fill(any_vault, FEW + 1)
    for ids, hold in ((few, 20_000), (many, 400_000)):
        for each in (ids[0], ids[-1]):
            not_before, ordered_at, _ = order_of(any_vault, each)
            assert not_before - ordered_at == hold
            assert delivery_of(any_vault, each).next_attempt_at == not_before
    assert sorted(held(any_vault, few + many)) == sorted(few + many)
    assert claimed(any_vault) == [] and {each.id for each in claimed(any_vault, 30_000)} == set(few)
    use(any_vault, 1, hold=0)
    [free] = fill(any_vault, 1)
    assert order_of(any_vault, free)[0] == 0 and [each.id for each in claimed(any_vault)] == [free]


def test_a_release_says_until_when_it_is_held(any_vault: Vault) -> None:
    use(any_vault, 1, hold=20)
    ids = any_vault.put_many([(b"Subject: x\r\n\r\n", CopyRecord(envelope_recipients=("a@x.example",)), None)] * 3)
    result = release(any_vault, ids, original=True)
    assert result.hold == 20_000 and result.held_until == delivery_of(any_vault, result.queued[0]).next_attempt_at
    assert release(any_vault, ids, original=True).held_until == 0  # every recipient already has a copy
    now = decides_ms(any_vault.db)
    found = delivery_of(any_vault, result.queued[0])
    assert found.held_until(now) == result.held_until and found.held_until(result.held_until) == 0


@given(seconds=st.integers(0, 3600), name=st.sampled_from(["hold", "hold_many"]))
def test_a_hold_is_seconds_up_to_an_hour(seconds: int, name: str) -> None:
    for text in (f"{seconds}", f"{seconds} s", f"{seconds}s"):
        assert getattr(parse_setting(Settings(), name, text)[0], name) == seconds


@pytest.mark.parametrize("text", ["3601", "61 min", "-1", "1.5", "soon", "15 h", ""])
def test_what_is_no_hold_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(SettingError, match="hold_many=15"):
        parse_setting(Settings(), "hold_many", text)
    assert parse_setting(Settings(hold=9), "hold", "off")[0].hold == 0
    assert parse_setting(Settings(), "hold", "2 min")[0].hold == 120


async def test_what_is_held_is_not_sent_whatever_the_row_says(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port, hold=3600)
        ids = fill(any_vault, 3)
        before = {each: delivery_of(any_vault, each) for each in ids}
        await send(any_vault)
        any_vault.models.Delivery.update(next_attempt_at=0).execute()
        await send(any_vault)
        assert server.taken == []
    assert {each: delivery_of(any_vault, each) for each in ids} == before


async def test_it_is_sent_once_it_was_waited_out(any_vault: Vault) -> None:
    left: list[int] = []
    async with ScriptedServer() as server:
        use(any_vault, server.port, hold=1)
        [each] = fill(any_vault, 1)
        assert wait_out(any_vault, [each], waiting=left.append)
        assert decides_ms(any_vault.db) >= order_of(any_vault, each)[0] and left and left[0] <= 1000
        await send(any_vault)
        assert len(server.taken) == 1
    assert wait_out(any_vault, [each])
    use(any_vault, 1, hold=3600)
    assert not wait_out(any_vault, fill(any_vault, 1), cancelled=lambda: True)


async def test_a_machine_whose_clock_is_ahead_sends_early_only_where_its_clock_decides(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port, hold=600)
        fill(any_vault, 1)
        honest = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: honest() + 1_000_000 * HOUR)
        await send(any_vault)
        assert len(server.taken) == (0 if isinstance(any_vault.db, PostgresStore) else 1)


def test_the_clock_that_decides_is_the_servers_and_goes_on_between(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, honest = isinstance(any_vault.db, PostgresStore), time.time_ns
    clock = DecidingClock(any_vault.db)
    read = clock.read()
    assert abs(read - now_ms()) < 60_000
    monkeypatch.setattr(time, "time_ns", lambda: honest() - 1_000_000 * HOUR)
    for told in (clock.now(), decides_ms(any_vault.db)):
        assert told >= read if server else told < read - HOUR // 2


def test_nobody_but_an_operator_says_that_an_order_is_sent_at_once(any_vault: Vault) -> None:
    use(any_vault, 1, hold=600)
    first, second = fill(any_vault, 2)
    table, blob, signature = any_vault.models.Delivery, *columns(any_vault, first)[:2]
    inner = statement("delivery order", first, table.get_by_id(first).copy_id, 1, blob)
    assert signature == any_vault.sign("delivery order", inner)
    assert sign_at_once(any_vault, table.get_by_id(first)) == any_vault.sign("delivery order at once", inner)
    for forged in (sign_at_once(any_vault, table.get_by_id(second)), signature[::-1]):
        table.update(order_signature=forged).where(table.id == first).execute()
        with pytest.raises(TamperedError, match="was not signed"):
            order_of(any_vault, first)


async def test_what_is_sent_at_once_goes_out_under_its_own_order(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port, hold=600, release_loops=True)
        first, second = fill(any_vault, 2)
        (blob, signature, key), nonce = columns(any_vault, first), order_of(any_vault, first)[2]
        assert send_now(any_vault, first, "ada").sends == 1
        assert columns(any_vault, first) == (blob, sign_at_once(any_vault, any_vault.models.Delivery[first]), key)
        assert columns(any_vault, first)[1] != signature
        assert order_of(any_vault, first)[::2] == (0, nonce)
        event = events(any_vault, 1)[0]
        assert (event.action, event.operator) == ("delivery sent at once", "ada")
        assert not check(any_vault).broken
        await send(any_vault)
        assert [each.rcpt for each in server.taken] == [["u0.0@x.example"]]
    assert delivery_of(any_vault, first).state is State.SENT and list(held(any_vault, [first, second])) == [second]


async def test_the_order_put_back_as_it_was_held_is_not_sent_a_second_time(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port, hold=1)
        [each] = fill(any_vault, 1)
        as_held = rows(any_vault)
        send_now(any_vault, each)
        await send(any_vault)
        assert len(server.taken) == 1
        put_back(any_vault, as_held)
        assert wait_out(any_vault, [each])
        await send(any_vault)
        assert len(server.taken) == 1 and delivery_of(any_vault, each).state is State.UNKNOWN


def test_what_was_tried_keeps_the_signature_that_its_markers_name(any_vault: Vault) -> None:
    use(any_vault, 1)
    [each] = fill(any_vault, 1, recipients=2)
    settle(any_vault, claimed(any_vault), SENT, DEFERRED)
    before = columns(any_vault, each)
    assert delivery_of(any_vault, each).held_until(decides_ms(any_vault.db)) == 0
    send_now(any_vault, each)
    assert columns(any_vault, each) == before and len(claimed(any_vault)) == 1
    assert events(any_vault, 1)[0].action == "delivery sent again"


def test_what_does_not_wait_is_not_sent_at_once(any_vault: Vault) -> None:
    use(any_vault, 1)
    sent, busy = fill(any_vault, 2)
    [first, _second] = claimed(any_vault)
    settle(any_vault, [first], SENT)
    with pytest.raises(DeliveryError, match=r"is finished \(sent\): all its recipients have the message"):
        send_now(any_vault, sent)
    with pytest.raises(DeliveryError, match="is already being sent"):
        send_now(any_vault, busy)
    with pytest.raises(DeliveryError, match="no delivery 99"):
        send_now(any_vault, 99)
    # A retry of a finished delivery has a new order, which is not held.
    use(any_vault, 1, hold=600)
    [again] = fill(any_vault, 1)
    cancel(any_vault, again)
    retry(any_vault, again)
    assert order_of(any_vault, again)[0] == 0


def test_what_a_gateway_holds_is_not_waited_for(any_vault: Vault, tmp_path: Path) -> None:
    use(any_vault, 1, hold=600)
    enroll(any_vault, "mx1", tmp_path / "mx1")
    gateway = open_with_credentials(any_vault.location, tmp_path / "mx1")
    beat(gateway)
    [each] = fill(any_vault, 1)
    assert delivery_of(any_vault, each).gateway_id == 2
    assert wait_for_gateways(any_vault, 0) == ""
    send_now(any_vault, each)
    assert delivery_of(any_vault, each).gateway_id == 2 and "not sent it yet" in wait_for_gateways(any_vault, 0)
    gateway.close()


async def test_an_order_of_a_former_release_is_sent(any_vault: Vault) -> None:
    """An order without `not_before` and the fields after it."""
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        [each] = fill(any_vault, 1)
        row, key = any_vault.models.Delivery.get_by_id(each), any_vault.keys.gateway.delivery
        info = statement("delivery order", any_vault.store_id, each, 1)
        former = msgspec.msgpack.encode(msgspec.msgpack.decode(hpke_open(key, info, bytes(row.order_blob), "it"))[:10])
        blob = hpke_seal(hybrid_public(any_vault.models.Gateway.get_by_id(1).delivery_key), info, former)
        signature = any_vault.sign("delivery order", statement("delivery order", each, row.copy_id, 1, blob))
        any_vault.models.Delivery.update(order_blob=blob, order_signature=signature).execute()
        await send(any_vault)
        assert len(server.taken) == 1


def test_an_act_comes_back_as_far_as_it_is_still_here(any_vault: Vault) -> None:
    use(any_vault, 1)
    sent, partly, busy, put_off, untouched = fill(any_vault, 5, recipients=2)
    claims = {each.id: each for each in claimed(any_vault)}
    settle(any_vault, [claims[sent]], SENT, SENT)
    settle(any_vault, [claims[partly]], SENT, DEFERRED)
    settle(any_vault, [claims[put_off]], DEFERRED, DEFERRED)
    with any_vault.write():
        leases.start_data(any_vault, claims[busy], claims[busy].live, {}, decides_ms(any_vault.db), 60_000)
        leases.give_back(any_vault, claims[untouched])
    use(any_vault, 1, hold=600)
    [waits] = fill(any_vault, 1)
    act, told = [sent, partly, busy, put_off, untouched, waits, 99], []
    found = call_back(any_vault, act, "ada", progress=lambda done, total: told.append((done, total)))
    assert found.called == [put_off, untouched, waits] and told == [(7, 7)]
    assert found.late == [
        (sent, "it was sent"),
        (partly, "some recipients have the message or may have it; the others do not get it"),
        (busy, "it is being sent right now"),
        (99, "there is no such delivery"),
    ]
    states = {each.id: each.state for each in deliveries(any_vault)}
    assert {states[each] for each in found.called} == {State.CANCELLED} and states[busy] is State.SENDING
    assert [each.state for each in delivery_of(any_vault, partly).recipients] == [State.SENT, State.CANCELLED]
    event = events(any_vault, 1)[0]
    copies = [delivery_of(any_vault, each).copy_id for each in (partly, put_off, untouched, waits)]
    assert (event.action, event.operator, sorted(event.copies)) == ("delivery cancelled", "ada", sorted(copies))
    assert call_back(any_vault, [waits]) == CalledBack([], [(waits, "it was already cancelled")])


async def test_a_great_act_comes_back_whole_and_nothing_of_it_is_sent(any_vault: Vault) -> None:
    async with ScriptedServer() as server:
        use(any_vault, server.port, hold_many=600)
        ids = fill(any_vault, FEW + 10)
        stops = iter([False, True])
        assert len(call_back(any_vault, ids, cancelled=lambda: next(stops)).called) == 25
        assert call_back(any_vault, ids[25:]).late == []
        use(any_vault, server.port, hold_many=0)
        any_vault.models.Delivery.update(next_attempt_at=0).execute()
        await send(any_vault)
        assert received(server) == {}
    assert {each.state for each in deliveries(any_vault)} == {State.CANCELLED}


def test_one_that_was_altered_keeps_no_other_back(any_vault: Vault) -> None:
    use(any_vault, 1, hold=600)
    whole, altered = fill(any_vault, 2)
    table = any_vault.models.DeliveryRecipient
    table.update(state="gone").where(table.delivery_id == altered).execute()
    found = call_back(any_vault, [altered, whole])
    assert found.called == [whole] and [each for each, _why in found.late] == [altered]


def test_a_store_without_the_fields_holds_as_a_new_one_does(any_vault: Vault) -> None:
    old = msgspec.msgpack.encode({"max_size": 1 << 30, "relay": "smtp://127.0.0.1:1"})
    found = msgspec.msgpack.decode(old, type=Settings)
    assert (found.hold, found.hold_many) == (Settings().hold, Settings().hold_many)
    change_settings(any_vault, msgspec.structs.replace(found, hold=40))
    assert read_settings(any_vault).hold == 40
