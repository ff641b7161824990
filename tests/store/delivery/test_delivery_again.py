"""No recipient gets a copy twice unasked: what releasing and resending skip, name, and the recipients chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.authority.settings import Settings
from store.delivery import leases, queue
from store.delivery.outcomes import mailbox_outcomes, opened_rows
from store.delivery.queue import cancel, delivery_of, release, retry, retry_plan
from store.helpers.clock import now_ms
from store.mail.addresses import mailbox
from store.mail.outcome import HOLDING, Outcome, State
from store.space.changing_settings import change_settings
from store.terms.errors import DeliveryError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.amounts import amount

RAW = b"Subject: x\r\nTo: a@x.example\r\n\r\nbody\r\n"
LEASE = 60_000


@pytest.fixture
def ready(any_vault: Vault) -> Vault:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:1", local_domains=("x.example",)))
    return any_vault


def put(vault: Vault, *to: str, **fields: object) -> int:
    return vault.put(RAW, CopyRecord(envelope_sender="s@x.example", envelope_recipients=to, **fields))


def settle(vault: Vault, delivery_id: int, *states: State) -> None:
    """Let a worker reach an outcome for each recipient of a delivery; QUEUED stands for none yet."""
    with vault.write():
        claims = {claim.id: claim for claim in leases.claim(vault, 1, "w", 100, now_ms() + 1, LEASE)}
        for other, claim in claims.items():
            if other != delivery_id:
                leases.give_back(vault, claim)
        claim = claims[delivery_id]
        came = zip(claim.live, states, strict=True)
        leases.settle(vault, claim, {row: Outcome(state, "reply") for row, state in came if not state.live}, now_ms())


def outcome(vault: Vault, delivery_id: int) -> list[tuple[str, State]]:
    return [(each.address, each.state) for each in delivery_of(vault, delivery_id).recipients]


def test_whoever_has_a_copy_may_have_it_or_waits_for_it_is_left_out(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example", "b@x.example", "c@x.example", "d@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    settle(ready, first, State.SENT, State.UNKNOWN, State.FAILED, State.QUEUED)
    result = release(ready, [copy_id], original=True, additional=["A@X.example", "new@x.example"])
    assert outcome(ready, result.queued[0]) == [("c@x.example", State.QUEUED), ("new@x.example", State.QUEUED)]
    assert [(each.copy_id, each.address) for each in result.left_out] == [
        (copy_id, f"{name}@x.example") for name in "abd"
    ]
    reasons = [each.reason for each in result.left_out]
    assert re.fullmatch(r"has it since \d+ [A-Z][a-z]{2} \d\d:\d\d", reasons[0])
    assert reasons[1].startswith(f"may have it: the connection of delivery {first} was lost ")
    assert reasons[2] == f"waits in delivery {first}"
    assert result.withheld == [] and result.refused == []


def test_a_copy_that_all_have_is_withheld_and_the_others_go(ready: Vault) -> None:
    first, second = put(ready, "a@x.example"), put(ready, "a@x.example")
    release(ready, [first], original=True)
    result = release(ready, [first, second, 999], original=True)
    assert (len(result.queued), result.withheld) == (1, [first])
    assert [copy_id for copy_id, _ in result.refused] == [999]
    assert release(ready, [first, second], original=True).queued == []


def test_addresses_that_differ_only_in_case_are_one(ready: Vault) -> None:
    copy_id = put(ready, "Ann.Lee@x.example", "ann.lee@X.EXAMPLE", "ü@bücher.example")
    more = ["ANN.LEE@x.example", "Ü@xn--bcher-kva.example"]
    [first] = release(ready, [copy_id], original=True, additional=more).queued
    assert [address for address, _ in outcome(ready, first)] == ["Ann.Lee@x.example", "ü@bücher.example"]
    result = release(ready, [copy_id], original=False, additional=more)
    assert result.queued == [] and [each.address for each in result.left_out] == more


def test_again_sends_to_those_chosen_or_to_all(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example", "b@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    settle(ready, first, State.SENT, State.SENT)
    result = release(ready, [copy_id], original=True, again=["A@x.example"])
    assert outcome(ready, result.queued[0]) == [("a@x.example", State.QUEUED)]
    assert [each.address for each in result.left_out] == ["b@x.example"]
    result = release(ready, [copy_id], original=True, again=True)
    assert len(outcome(ready, result.queued[0])) == 2 and result.left_out == []


def test_whoever_was_refused_or_called_off_is_sent_to_again(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    settle(ready, first, State.FAILED)
    [second] = release(ready, [copy_id], original=True).queued
    cancel(ready, second)
    assert len(release(ready, [copy_id], original=True).queued) == 1


def test_a_delivery_called_off_while_it_may_be_out_is_not_released_again_by_itself(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    with ready.write():
        [claim] = leases.claim(ready, 1, "w", 1, now_ms(), LEASE)
        leases.start_data(ready, claim, claim.live, {}, now_ms(), LEASE)
    assert "waits in" in release(ready, [copy_id], original=True).left_out[0].reason
    ready.models.Delivery.update(lease_until=1).execute()
    cancel(ready, first)
    assert release(ready, [copy_id], original=True).left_out[0].reason.startswith("may have it")


def test_an_order_that_expired_can_be_released_again_but_not_what_may_be_out(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example", "b@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    with ready.write():
        [claim] = leases.claim(ready, 1, "w", 1, now_ms(), LEASE)
        leases.start_data(ready, claim, claim.live[:1], {}, now_ms(), LEASE)
    with ready.write():
        assert not leases.claim(ready, 1, "w", 1, now_ms() + queue.ORDER_LIFE + 1000, LEASE)
    assert [state for _, state in outcome(ready, first)] == [State.UNKNOWN, State.FAILED]
    result = release(ready, [copy_id], original=True)
    assert [each.address for each in result.left_out] == ["a@x.example"]
    assert outcome(ready, result.queued[0]) == [("b@x.example", State.QUEUED)]


def test_who_holds_a_copy_is_looked_up_in_the_transaction(
    ready: Vault, open_again: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process releases the copy between the first look and the transaction."""
    copy_id, other = put(ready, "a@x.example"), open_again()
    looked, once = queue.held_of, iter([True])

    def between(vault: Vault, ids: Sequence[int], unsealed: object = None) -> object:
        found = looked(vault, ids, unsealed)  # type: ignore[arg-type]
        if next(once, False):
            release(other, [copy_id], original=True)
        return found

    monkeypatch.setattr(queue, "held_of", between)
    result = release(ready, [copy_id], original=True)
    assert result.queued == [] and result.withheld == [copy_id]


def test_releases_at_once_queue_each_copy_once(ready: Vault, open_again: Callable[[], Vault]) -> None:
    ids = ready.put_many([(RAW, CopyRecord(envelope_recipients=("a@x.example", "b@x.example")), None)] * 120)
    vaults = [ready, *(open_again() for _ in range(3))]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda vault: release(vault, ids, original=True), vaults))
    assert sum(len(result.queued) for result in results) == len(ids)
    assert all(len(result.queued) + len(result.withheld) == len(ids) for result in results)
    assert ready.models.DeliveryRecipient.select().count() == 2 * len(ids)


def test_nothing_is_unsealed_twice_and_nothing_at_all_where_nothing_was_released(
    ready: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [put(ready, "a@x.example", "b@x.example") for _ in range(30)]
    opened: list[int] = []
    from store.delivery import outcomes

    before = outcomes.unseal_recipient

    def counted(vault: Vault, row: object) -> object:
        opened.append(1)
        return before(vault, row)

    monkeypatch.setattr(outcomes, "unseal_recipient", counted)
    release(ready, ids, original=True)
    assert opened == []
    release(ready, ids, original=True)
    assert len(opened) == 60


def test_sending_again_leaves_out_whom_another_delivery_served(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example", "b@x.example", "c@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    settle(ready, first, State.FAILED, State.FAILED, State.UNKNOWN)
    [second] = release(ready, [copy_id], original=False, additional=["A@x.example"]).queued
    settle(ready, second, State.SENT)
    plan = retry_plan(ready, first)
    assert not plan.live and plan.sends == 2
    assert [(each.address, each.sends, each.twice, bool(each.left_out)) for each in plan.recipients] == [
        ("a@x.example", False, True, True),
        ("b@x.example", True, False, False),
        ("c@x.example", True, True, False),
    ]
    assert [each.reply for each in plan.recipients] == ["reply"] * 3 and all(each.at for each in plan.recipients)
    done = retry(ready, first, plan=plan)
    assert done.left_out[0].reason.startswith("has it since")
    assert [state for _, state in outcome(ready, first)] == [State.FAILED, State.QUEUED, State.QUEUED]


def test_sending_again_to_nobody_is_refused_and_again_takes_them(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    cancel(ready, first)
    [second] = release(ready, [copy_id], original=True).queued
    with pytest.raises(DeliveryError, match=f"a@x.example waits in delivery {second}"):
        retry(ready, first)
    assert retry(ready, first, again=True).sends == 1
    assert [state for _, state in outcome(ready, first)] == [State.QUEUED]


def test_what_changed_since_it_was_asked_about_is_not_sent_again(ready: Vault) -> None:
    copy_id = put(ready, "a@x.example")
    [first] = release(ready, [copy_id], original=True).queued
    plan = retry_plan(ready, first)
    assert plan.live
    with ready.write():
        [claim] = leases.claim(ready, 1, "w", 1, now_ms(), LEASE)
        leases.settle(ready, claim, dict.fromkeys(claim.live, Outcome(State.UNKNOWN, "lost")), now_ms())
    with pytest.raises(DeliveryError, match="changed in the meantime"):
        retry(ready, first, plan=plan)
    assert [state for _, state in outcome(ready, first)] == [State.UNKNOWN]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["release", "retry", "cancel", "settle"]),
        st.integers(0, 5),
        st.lists(st.sampled_from([State.SENT, State.UNKNOWN, State.FAILED, State.QUEUED]), min_size=3, max_size=3),
    ),
    max_size=12,
)


@pytest.fixture
def fresh_copies(ready: Vault) -> Iterator[Callable[[], int]]:
    yield lambda: put(ready, "a@x.example", "A@x.example", "b@x.example", "c@x.example")


@given(steps=STEPS)
@settings(max_examples=amount(20, 40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_mailbox_is_ever_on_its_way_twice(ready: Vault, fresh_copies: Callable[[], int], steps: list) -> None:
    """Without `again`, at most one delivery holds a copy for a mailbox, after any refusal, cancellation or loss."""
    copy_id = fresh_copies()
    made: list[int] = []
    for act, which, states in steps:
        held = {
            mailbox(each.address)
            for each in mailbox_outcomes(ready, [copy_id]).get(copy_id, ())
            if each.state in HOLDING
        }
        if act == "release":
            result = release(ready, [copy_id], original=True)
            made += result.queued
            assert {mailbox(each.address) for each in result.left_out} == held
        elif made:
            delivery_id = made[which % len(made)]
            try:
                if act == "retry":
                    retry(ready, delivery_id)
                elif act == "cancel":
                    cancel(ready, delivery_id)
                elif delivery_of(ready, delivery_id).live:
                    waiting = sum(each.state.live for each in delivery_of(ready, delivery_id).recipients)
                    settle(ready, delivery_id, *states[:waiting])
            except DeliveryError:
                pass
        rows = [row.outcome for row in opened_rows(ready, [copy_id]) if row.outcome.state in HOLDING]
        assert len({mailbox(row.address) for row in rows}) == len(rows)
    for delivery_id in made:
        if delivery_of(ready, delivery_id).live:
            cancel(ready, delivery_id)
