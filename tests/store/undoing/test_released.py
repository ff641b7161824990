"""Undoing a release while it is in the outbox, and after some of it was sent."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from store.authority.audit import events
from store.authority.settings import read_settings
from store.check import check
from store.database.clock import decides_ms
from store.delivery import leases
from store.delivery.placing import placed_ids, placed_words
from store.delivery.queue import delivery_of, release
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.undoing.plans import Told
from store.undoing.undoing import acts_of, carry_out, next_plan
from store.vault.vault import Vault
from tests.store.delivery.test_delivery_worker import use

ME = "me"


def released(vault: Vault, count: int, operator: str = ME) -> list[int]:
    use(vault, 1, hold=60, hold_many=60)
    record = CopyRecord(envelope_recipients=("a@x.example",))
    ids = vault.put_many([(b"Subject: x\r\n\r\n", record, None)] * count)
    return release(vault, ids, original=True, operator=operator).queued


def states(vault: Vault, ids: list[int]) -> list[State]:
    return [delivery_of(vault, each).state for each in ids]


def send(vault: Vault, count: int) -> None:
    """Send as a worker does once the hold is over."""
    later = decides_ms(vault.db) + 61_000
    with vault.write():
        for each in leases.claim(vault, 1, "w", count, later, 60_000):
            leases.settle(vault, each, dict.fromkeys(each.live, Outcome(State.SENT, "250 ok")), later)


@given(st.sets(st.integers(1, 1 << 40), min_size=1, max_size=60))
def test_an_event_names_its_deliveries(ids: set[int]) -> None:
    assert placed_ids(f"to 3 addresses; {placed_words(ids)}") == sorted(ids)


def test_what_former_releases_told_names_none() -> None:
    assert placed_ids("to 17 addresses") == []


def test_a_release_is_called_back_and_done_again(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    ids = released(any_vault, 60)
    vault = open_again()  # another session
    plan = next_plan(vault, ME)
    assert plan is not None and plan.what == "60 message copies placed in queue for delivery"
    assert plan.told.does == ("60 deliveries are cancelled: nobody has them yet",)
    assert carry_out(vault, plan, operator=ME) == plan.told
    assert set(states(any_vault, ids)) == {State.CANCELLED}
    assert next_plan(vault, ME) is None
    again = next_plan(vault, ME, again=True)
    assert again is not None and carry_out(vault, again, operator=ME) == again.told
    assert set(states(any_vault, ids)) == {State.QUEUED}
    assert len(acts_of(vault, ME).done) == 1
    assert check(any_vault).broken == []


def test_who_has_it_keeps_it_and_that_is_said(any_vault: Vault) -> None:
    ids = released(any_vault, 4)
    send(any_vault, 1)
    plan = next_plan(any_vault, ME)
    assert plan is not None
    assert plan.told.does_not == (f"delivery {ids[0]}: it was sent",)
    send(any_vault, 1)  # between the question and the answer
    told = carry_out(any_vault, plan, operator=ME)
    assert told.does == ("2 deliveries are cancelled: nobody has them yet",)
    assert told.does_not == (f"delivery {ids[0]}-{ids[1]}: it was sent",)
    assert states(any_vault, ids) == [State.SENT, State.SENT, State.CANCELLED, State.CANCELLED]
    newest = events(any_vault, 1)[0]
    assert newest.undoes and newest.detail == f"delivery queued: {told.does[0]}; {told.does_not[0]}"
    assert newest.action == "undone"


def test_of_those_that_one_recipient_has_it_does_not_say_that_nobody_has_them(any_vault: Vault) -> None:
    use(any_vault, 1, hold=60, hold_many=60)
    record = CopyRecord(envelope_recipients=("a@x.example", "b@x.example"))
    copies = any_vault.put_many([(b"Subject: x\r\n\r\n", record, None)] * 3)
    ids = release(any_vault, copies, original=True, operator=ME).queued
    later = decides_ms(any_vault.db) + 61_000
    with any_vault.write():
        for each in leases.claim(any_vault, 1, "w", 2, later, 60_000):
            first, second = each.live
            outcomes = {first: Outcome(State.SENT, "250 ok"), second: Outcome(State.DEFERRED, "450 later")}
            leases.settle(any_vault, each, outcomes, later)
    plan = next_plan(any_vault, ME)
    assert plan is not None
    assert plan.told == Told(
        (
            f"delivery {ids[2]} is cancelled: nobody has it yet",
            "2 deliveries are cancelled: some recipients have the message or may have it; the others do not get it",
        ),
        (),
    )
    assert carry_out(any_vault, plan, operator=ME) == plan.told
    assert [each.live for each in (delivery_of(any_vault, one) for one in ids)] == [False] * 3
    assert next_plan(any_vault, ME) is None


def test_where_all_was_sent_nothing_is_named(any_vault: Vault) -> None:
    released(any_vault, 2)
    send(any_vault, 2)
    assert next_plan(any_vault, ME) is None


def test_one_that_is_being_sent_stays(any_vault: Vault) -> None:
    [delivery_id] = released(any_vault, 1)
    with any_vault.write():
        assert leases.claim(any_vault, 1, "w", 1, decides_ms(any_vault.db) + 61_000, 60_000)
    plan = next_plan(any_vault, ME)
    assert plan is None or not carry_out(any_vault, plan, operator=ME).does
    assert states(any_vault, [delivery_id]) == [State.SENDING]


def test_what_was_cancelled_goes_on_with_the_next(any_vault: Vault) -> None:
    ids = released(any_vault, 60)
    for again, state in ((False, State.CANCELLED), (True, State.QUEUED)):
        plan = next_plan(any_vault, ME, again=again)
        assert plan is not None
        asked = iter([False, True])
        told = carry_out(any_vault, plan, operator=ME, cancelled=lambda asked=asked: next(asked))
        done = states(any_vault, ids).count(state)
        assert 0 < done < 60
        left = f"{ids[done]}-{ids[-1]}"
        assert told.does_not == (f"delivery {left}: left as before: the task was cancelled",)
        plan = next_plan(any_vault, ME, again=again)
        assert plan is not None and carry_out(any_vault, plan, operator=ME).does
        assert set(states(any_vault, ids)) == {state}


def test_what_cannot_be_sent_again_is_told_before(any_vault: Vault) -> None:
    ids = released(any_vault, 3)
    copies = any_vault.ids()
    plan = next_plan(any_vault, ME)
    assert plan is not None and carry_out(any_vault, plan, operator=ME) == plan.told
    any_vault.bin.put(copies[:1], until=decides_ms(any_vault.db) + 60_000)
    [other] = release(any_vault, copies[1:2], original=True, operator="a colleague").queued
    plan = next_plan(any_vault, ME, again=True)
    assert plan is not None
    assert plan.told.does == (f"delivery {ids[2]} is sent now",)
    assert plan.told.does_not == (
        f"delivery {ids[1]}: Delivery {ids[1]} has no recipients left to send to: a@x.example waits in delivery "
        f"{other}.",
        f"delivery {ids[0]}: its message copy is no longer in Backup",
    )
    assert carry_out(any_vault, plan, operator=ME) == plan.told


def test_without_a_relay_nothing_is_sent_again(any_vault: Vault) -> None:
    released(any_vault, 1)
    plan = next_plan(any_vault, ME)
    assert plan is not None
    carry_out(any_vault, plan, operator=ME)
    change_settings(any_vault, msgspec.structs.replace(read_settings(any_vault), relay=""))
    assert next_plan(any_vault, ME, again=True) is None


def test_two_consoles_call_back_at_the_same_moment(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    ids = released(any_vault, 60)
    other = open_again()
    first, second = next_plan(any_vault, ME), next_plan(other, ME)
    assert first is not None and second is not None
    both: list[Told] = []

    def meanwhile(done: int, _of: int) -> None:
        if done == 25:
            both.append(carry_out(other, second, operator=ME))

    both.append(carry_out(any_vault, first, operator=ME, progress=meanwhile))
    assert [each.does for each in both] == [
        ("35 deliveries are cancelled: nobody has them yet",),
        ("25 deliveries are cancelled: nobody has them yet",),
    ]
    assert set(states(any_vault, ids)) == {State.CANCELLED}
    assert next_plan(any_vault, ME) is None and len(acts_of(other, ME).taken_back) == 1
    assert check(any_vault).broken == []
