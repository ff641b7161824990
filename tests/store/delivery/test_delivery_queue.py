"""The delivery queue's contract, on SQLite and PostgreSQL: what is queued, refused, leased, settled, cancelled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import pytest

from store.authority.audit import events
from store.authority.settings import Settings
from store.delivery import leases, listing, queue
from store.delivery.access import StoreAccess
from store.delivery.history import last_release, recipient_outcomes
from store.delivery.leases import LeaseLost
from store.delivery.orders import seal_reply, unseal_recipient, unseal_reply
from store.delivery.parcel import pack
from store.delivery.queue import Recipient, can_deliver, cancel, deliveries, delivery_of, queue_length, release, retry
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.terms.errors import (
    AddressError,
    CopyMissing,
    DeliveryError,
    InfectedRefused,
    NoRecipients,
    NoRelay,
    TamperedError,
    UnlockError,
)
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault

RAW = b"Subject: x\r\nTo: a@x.example\r\n\r\nbody\r\n"
LEASE = 60_000
SENT, DEFERRED, FAILED = (Outcome(state, str(state)) for state in (State.SENT, State.DEFERRED, State.FAILED))
TO = ("a@x.example", "b@x.example")


def put(vault: Vault, to: tuple[str, ...] = TO, **fields: object) -> int:
    return vault.put(RAW, CopyRecord(envelope_sender="s@x.example", envelope_recipients=to, **fields))


def set_relay(vault: Vault, **fields: object) -> None:
    change_settings(vault, msgspec.structs.replace(Settings(relay="smtp://127.0.0.1:1"), **fields))


@pytest.fixture
def ready(any_vault: Vault) -> Vault:
    set_relay(any_vault)
    return any_vault


def queued(vault: Vault, **fields: object) -> int:
    return release(vault, [put(vault, **fields)], original=True, operator="op").queued[0]


def claim_one(vault: Vault, now: int | None = None, owner: str = "w1") -> leases.Claim:
    with vault.write():
        claims = leases.claim(vault, 1, owner, 1, now or now_ms(), LEASE)
    assert len(claims) == 1
    return claims[0]


def nothing_due(vault: Vault, now: int | None = None) -> bool:
    with vault.write():
        return not leases.claim(vault, 1, "w9", 10, now or now_ms(), LEASE)


def states(vault: Vault, delivery_id: int) -> list[State]:
    return [each.state for each in delivery_of(vault, delivery_id).recipients]


def copy_with(**fields: object) -> Copy:
    return Copy(1, 0, 0, CopyRecord(**fields))


def test_the_envelope_counts_and_bcc_is_marked() -> None:
    copy = copy_with(
        envelope_recipients=("a@X.example", "hidden@x.example", "a@x.example"), to="Ann <a@x.example>", cc="c@x.example"
    )
    assert queue.recipients_of(copy) == [
        Recipient("a@X.example", "envelope", False),
        Recipient("hidden@x.example", "envelope", True),
    ]


def test_headers_serve_only_without_an_envelope() -> None:
    copy = copy_with(to="a@x.example, b@x.example", cc="B@x.example, a@x.example", bcc="c@x.example", subject="x")
    assert queue.recipients_of(copy) == [
        Recipient("a@x.example", "To", False),
        Recipient("b@x.example", "To", False),
        Recipient("c@x.example", "Bcc", True),
    ]
    assert queue.recipients_of(copy_with(to="undisclosed-recipients:;")) == []


def test_release_places_each_copy_in_the_queue_with_its_recipients(ready: Vault) -> None:
    ids = [put(ready), put(ready, ("c@x.example",))]
    seen: list[tuple[int, int]] = []
    result = release(
        ready,
        ids,
        original=True,
        additional=["Z@z.example", "b@x.example"],
        left_out=["a@X.EXAMPLE"],
        operator="op",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.refused == [] and len(result.queued) == 2 and seen[-1] == (2, 2)
    newest, oldest = deliveries(ready)
    assert (oldest.id, oldest.copy_id, oldest.state, oldest.attempts) == (result.queued[0], ids[0], State.QUEUED, 0)
    assert [each.address for each in oldest.recipients] == ["b@x.example", "Z@z.example"]
    assert [each.address for each in newest.recipients] == ["c@x.example", "Z@z.example", "b@x.example"]
    assert {each.state for each in newest.recipients} == {State.QUEUED}
    assert queue_length(ready) == 2 and [each.id for each in deliveries(ready, limit=1)] == [newest.id]
    assert last_release(ready, ids[0]) == ("op", oldest.created_at)
    event = events(ready, 1)[0]
    assert (event.action, event.operator, list(event.copies)) == ("delivery queued", "op", ids)


def test_release_without_relay_or_recipients_is_refused_at_once(any_vault: Vault) -> None:
    copy_id = put(any_vault)
    with pytest.raises(NoRelay, match="Set the relay"):
        release(any_vault, [copy_id], original=True)
    set_relay(any_vault)
    with pytest.raises(NoRecipients):
        release(any_vault, [copy_id], original=False)
    with pytest.raises(AddressError):
        release(any_vault, [copy_id], original=False, additional=["<x"])
    assert deliveries(any_vault) == []


def test_a_copy_that_cannot_be_released_is_named_and_the_others_go(ready: Vault) -> None:
    good, nobody, bad = put(ready), put(ready, ()), put(ready, ("a@x.example", "broken\r\nRCPT"))
    result = release(ready, [good, nobody, bad, 999, good], original=True)
    assert len(result.queued) == 1
    reasons = dict(result.refused)
    assert set(reasons) == {nobody, bad, 999}
    assert (
        "no known recipient" in reasons[nobody]
        and "cannot be used" in reasons[bad]
        and "no message copy" in reasons[999]
    )
    assert len(release(ready, [bad], original=True, left_out=["broken\r\nRCPT"]).queued) == 1
    assert len(release(ready, [good], original=True, left_out=TO).refused) == 1


@pytest.mark.parametrize("status", [Status.INFECTED, Status.PROBABLY_INFECTED])
def test_infected_copies_are_refused_by_the_store_unless_the_setting_allows(ready: Vault, status: Status) -> None:
    verdicts = (Verdict(Engine.ANTI_SPAM, Status.SPAM), Verdict(Engine.ANTI_VIRUS, status, "Eicar"))
    infected, clean = put(ready, verdicts=verdicts, reason=verdicts[0]), put(ready)
    result = release(ready, [infected, clean], original=True)
    assert [copy_id for copy_id, _ in result.refused] == [infected] and "infected" in result.refused[0][1]
    copies = ready.get_many([infected, clean])
    answer = can_deliver(ready, Settings(relay="smtp://x"), copies)
    assert (answer.blocked, [each for each, _ in answer.refused], answer.dangerous) == ("", [infected], 1)
    assert can_deliver(ready, Settings(relay="smtp://x"), copies[:1]).blocked
    assert "relay" in can_deliver(ready, Settings(), copies).blocked
    set_relay(ready, allow_infected=True)
    [delivery_id] = release(ready, [infected], original=True).queued
    set_relay(ready, allow_infected=False)
    parcel = pack(StoreAccess(ready), claim_one(ready, now_ms() + 5), "r@x.example", "host", now_ms())
    while not parcel.refused:
        parcel = pack(StoreAccess(ready), claim_one(ready, now_ms() + 5), "r@x.example", "host", now_ms())
    assert all(outcome.state is State.FAILED and "no longer" in outcome.reply for outcome in parcel.refused.values())
    with pytest.raises(DeliveryError):
        cancel(ready, 999)
    cancel(ready, delivery_id)
    with pytest.raises(InfectedRefused):
        retry(ready, delivery_id)


def test_a_damaged_copy_is_told_from_one_that_is_not_there(ready: Vault, sql: Callable[..., object]) -> None:
    damaged, whole = put(ready), put(ready)
    sql(ready, "UPDATE message SET record = ? WHERE id = ?", b"nothing", damaged)
    result = release(ready, [damaged, 99, whole], original=True)
    reasons = dict(result.refused)
    assert len(result.queued) == 1 and reasons.keys() == {damaged, 99}
    assert reasons[99] == str(CopyMissing(99)) and "was tampered with" in reasons[damaged]


def test_release_can_be_cancelled_half_way_and_says_what_was_not_reached(ready: Vault) -> None:
    ids = ready.put_many([(RAW, CopyRecord(envelope_recipients=TO), None)] * 60)
    answers = iter([False, True])
    result = release(ready, ids, original=True, cancelled=lambda: next(answers))
    assert (len(result.queued), len(result.not_reached)) == (25, 35)
    assert queue_length(ready) == len(result.queued)


def test_a_copy_with_a_live_delivery_is_neither_deleted_nor_rotated(ready: Vault) -> None:
    copy_id, other, _newest = put(ready), put(ready), put(ready)
    [delivery_id] = release(ready, [copy_id], original=True).queued
    assert ready.delete([copy_id]).refused[0][0] == copy_id
    set_relay(ready, max_size=1)
    assert copy_id in ready.ids() and other not in ready.ids()
    set_relay(ready)
    cancel(ready, delivery_id)
    assert ready.delete([copy_id]).deleted == [copy_id]
    with pytest.raises(CopyMissing):
        retry(ready, delivery_id)


def test_one_worker_owns_a_delivery_until_its_lease_runs_out(ready: Vault) -> None:
    delivery_id = queued(ready)
    first = claim_one(ready)
    assert first.id == delivery_id and nothing_due(ready)
    assert delivery_of(ready, delivery_id).state is State.SENDING
    later = now_ms() + LEASE + 1000
    second = claim_one(ready, later, "w2")
    assert second.token == first.token + 1 and second.row.attempts == 2
    for stale in (
        lambda: leases.start_data(ready, first, first.live, {}, later, LEASE),
        lambda: leases.settle(ready, first, dict.fromkeys(first.live, SENT), later),
        lambda: leases.settle(ready, first, dict.fromkeys(first.live, DEFERRED), later),
        lambda: leases.give_back(ready, first),
    ):
        with pytest.raises(LeaseLost), ready.write():
            stale()
    with ready.write():
        leases.start_data(ready, second, second.live, {}, later, LEASE)
        leases.settle(ready, second, dict.fromkeys(second.live, SENT), later)
    assert states(ready, delivery_id) == [State.SENT, State.SENT] and queue_length(ready) == 0


def test_a_renewed_lease_is_not_taken_over(ready: Vault) -> None:
    queued(ready)
    first = claim_one(ready)
    now = now_ms()
    with ready.write():
        leases.renew(ready, "w1", [first.id], now + LEASE, LEASE)
        leases.renew(ready, "w2", [first.id], now + 9 * LEASE, LEASE)
    assert nothing_due(ready, now + LEASE + 1000) and not nothing_due(ready, now + 3 * LEASE)


def test_a_worker_that_died_before_data_is_followed_by_another_attempt(ready: Vault) -> None:
    delivery_id = queued(ready)
    claim_one(ready)
    assert claim_one(ready, now_ms() + LEASE + 1000).live
    assert State.UNKNOWN not in states(ready, delivery_id)


def test_a_worker_that_died_after_data_began_leaves_unknown_and_the_rest_goes_on(ready: Vault) -> None:
    delivery_id = queued(ready, to=("a@x.example", "b@x.example", "c@x.example"))
    first = claim_one(ready)
    a, b, c = first.live
    with ready.write():
        leases.start_data(ready, first, [a], {b: FAILED, c: DEFERRED}, now_ms(), LEASE)
    second = claim_one(ready, now_ms() + LEASE + 1000)
    assert second.live == [c]
    assert states(ready, delivery_id) == [State.UNKNOWN, State.FAILED, State.DEFERRED]
    with ready.write():
        assert leases.settle(ready, second, {c: SENT}, now_ms()) is State.UNKNOWN
    assert nothing_due(ready, now_ms() + 100 * LEASE)
    assert ready.models.Delivery.get_by_id(delivery_id).sealed_body_key is None


def test_unknown_alone_finishes_the_delivery_when_the_lease_runs_out(ready: Vault) -> None:
    delivery_id = queued(ready)
    first = claim_one(ready)
    with ready.write():
        leases.start_data(ready, first, first.live, {}, now_ms(), LEASE)
    assert nothing_due(ready, now_ms() + LEASE + 1000)
    assert delivery_of(ready, delivery_id).state is State.UNKNOWN and queue_length(ready) == 0
    assert "DATA" in delivery_of(ready, delivery_id).recipients[0].reply


def test_deferred_recipients_wait_longer_each_time_and_sent_ones_are_done(ready: Vault) -> None:
    delivery_id = queued(ready)
    now, waits = now_ms(), []
    for _ in range(9):
        held = claim_one(ready, now)
        with ready.write():
            outcomes = dict.fromkeys(held.live, DEFERRED) | ({held.live[0]: SENT} if len(held.live) == 2 else {})
            assert leases.settle(ready, held, outcomes, now) is State.DEFERRED
        again = delivery_of(ready, delivery_id).next_attempt_at
        waits.append(again - now)
        assert nothing_due(ready, again - 1)
        now = again
    assert waits == sorted(waits) and waits[0] == 60_000 and waits[-1] == waits[-2] == 3_600_000
    assert states(ready, delivery_id) == [State.SENT, State.DEFERRED]
    assert delivery_of(ready, delivery_id).recipients[1].reply == "deferred"


@pytest.mark.parametrize("left", [59_999, 1])
def test_the_last_attempt_is_no_later_than_the_order_is_good(ready: Vault, left: int) -> None:
    """Its recipients then fail with a reason when the order expires, not up to an hour later."""
    delivery_id = queued(ready)
    expires = ready.models.Delivery.get_by_id(delivery_id).expires_at
    held = claim_one(ready, expires - left)
    with ready.write():
        assert leases.settle(ready, held, dict.fromkeys(held.live, DEFERRED), expires - left) is State.DEFERRED
    assert delivery_of(ready, delivery_id).next_attempt_at == expires
    assert nothing_due(ready, expires - 1)
    assert states(ready, delivery_id) == [State.DEFERRED, State.DEFERRED]
    assert nothing_due(ready, expires)
    assert states(ready, delivery_id) == [State.FAILED, State.FAILED]


def test_an_attempt_that_ends_after_the_order_expired_is_followed_by_none(ready: Vault) -> None:
    delivery_id = queued(ready)
    expires = ready.models.Delivery.get_by_id(delivery_id).expires_at
    held = claim_one(ready, expires - 1)
    with ready.write():
        leases.settle(ready, held, dict.fromkeys(held.live, DEFERRED), expires + 500)
    assert delivery_of(ready, delivery_id).next_attempt_at == expires + 500
    assert nothing_due(ready, expires + 499)
    assert states(ready, delivery_id) == [State.DEFERRED, State.DEFERRED]
    assert nothing_due(ready, expires + 500)
    assert states(ready, delivery_id) == [State.FAILED, State.FAILED]


def test_an_order_that_expires_fails_and_says_so(ready: Vault) -> None:
    delivery_id = queued(ready)
    assert nothing_due(ready, now_ms() + queue.ORDER_LIFE + 1000)
    found = delivery_of(ready, delivery_id)
    assert found.state is State.FAILED and "expired" in found.recipients[0].reply


def test_a_claim_that_was_not_begun_goes_back_untouched(ready: Vault) -> None:
    delivery_id = queued(ready)
    held = claim_one(ready)
    with ready.write():
        leases.give_back(ready, held)
    found = delivery_of(ready, delivery_id)
    assert (found.state, found.attempts) == (State.QUEUED, 0)
    assert claim_one(ready).id == delivery_id


def finish(vault: Vault, *outcomes: Outcome) -> int:
    delivery_id = queued(vault, to=tuple(f"u{at}@x.example" for at in range(len(outcomes))))
    held = claim_one(vault)
    with vault.write():
        leases.settle(vault, held, dict(zip(held.live, outcomes, strict=True)), now_ms())
    return delivery_id


def test_only_an_operator_sends_unknown_again_and_only_to_those_without_it(ready: Vault) -> None:
    delivery_id = finish(ready, SENT, Outcome(State.UNKNOWN, "lost"), FAILED)
    assert delivery_of(ready, delivery_id).state is State.UNKNOWN and nothing_due(ready)
    retry(ready, delivery_id, "op")
    assert states(ready, delivery_id) == [State.SENT, State.QUEUED, State.QUEUED] and queue_length(ready) == 1
    with pytest.raises(DeliveryError, match="already being sent"):
        claim = claim_one(ready)
        retry(ready, delivery_id)
    parcel = pack(StoreAccess(ready), claim, "r@x.example", "host", now_ms())
    assert list(parcel.rows) == ["u1@x.example", "u2@x.example"]
    with ready.write():
        leases.settle(ready, claim, dict.fromkeys(claim.live, SENT), now_ms())
    with pytest.raises(DeliveryError, match="nothing to send"):
        retry(ready, delivery_id)
    assert events(ready, 1)[0].action == "delivery sent again"


def test_retry_of_a_deferred_delivery_makes_it_due_now(ready: Vault) -> None:
    delivery_id = finish(ready, DEFERRED)
    assert nothing_due(ready)
    retry(ready, delivery_id)
    assert claim_one(ready).id == delivery_id


def test_without_a_relay_nothing_is_sent_again(ready: Vault) -> None:
    delivery_id = finish(ready, FAILED)
    set_relay(ready, relay="")
    with pytest.raises(NoRelay):
        retry(ready, delivery_id)
    assert states(ready, delivery_id) == [State.FAILED]


def test_a_retry_leaves_the_order_of_a_delivery_that_waits_as_it_is(ready: Vault) -> None:
    delivery_id = finish(ready, DEFERRED)
    before = ready.models.Delivery.get_by_id(delivery_id)
    retry(ready, delivery_id)
    after = ready.models.Delivery.get_by_id(delivery_id)
    for name in ("order_blob", "order_signature", "sealed_body_key", "gateway_id", "lease_token", "expires_at"):
        assert getattr(after, name) == getattr(before, name), name


def test_a_worker_from_before_a_retry_is_fenced_off(ready: Vault) -> None:
    delivery_id = queued(ready)
    stale = claim_one(ready)
    cancel(ready, delivery_id)
    retry(ready, delivery_id)
    with pytest.raises(LeaseLost), ready.write():
        leases.start_data(ready, stale, stale.live, {}, now_ms(), LEASE)


def test_cancel_calls_off_what_has_not_begun_and_erases_the_key(ready: Vault) -> None:
    delivery_id = queued(ready)
    cancel(ready, delivery_id, "op")
    assert states(ready, delivery_id) == [State.CANCELLED] * 2 and nothing_due(ready) and queue_length(ready) == 0
    assert ready.models.Delivery.get_by_id(delivery_id).sealed_body_key is None
    assert last_release(ready, 1) is None
    with pytest.raises(DeliveryError, match="finished"):
        cancel(ready, delivery_id)
    assert events(ready, 1)[0].action == "delivery cancelled"


def test_only_what_is_being_sent_keeps_from_cancelling(ready: Vault, sql: Callable[..., object]) -> None:
    """A lease and a start of DATA in the row of a queued delivery do not prevent it."""
    delivery_id = queued(ready)
    later = now_ms() + LEASE
    sql(ready, "UPDATE delivery SET data_started_at = ?, lease_until = ?", later, later)
    cancel(ready, delivery_id)
    assert states(ready, delivery_id) == [State.CANCELLED, State.CANCELLED]


def test_cancel_waits_for_a_message_that_is_going_out(ready: Vault) -> None:
    delivery_id = queued(ready)
    held = claim_one(ready)
    with ready.write():
        leases.start_data(ready, held, held.live[:1], {held.live[1]: DEFERRED}, now_ms(), LEASE)
    with pytest.raises(DeliveryError, match="right now"):
        cancel(ready, delivery_id)
    table = ready.models.Delivery
    table.update(lease_until=1).where(table.id == delivery_id).execute()
    cancel(ready, delivery_id)
    assert states(ready, delivery_id) == [State.UNKNOWN, State.CANCELLED]


@pytest.mark.parametrize("ignored", [None, frozenset()])
def test_a_parcel_holds_the_message_with_its_trace_and_a_marker_where_the_relay_leads_back(
    ready: Vault, ignored: frozenset[bytes] | None
) -> None:
    queued(ready)
    parcel = pack(StoreAccess(ready), claim_one(ready), "r@x.example", "host.example", now_ms(), ignored)
    assert parcel.message.endswith(RAW) and not parcel.unmarked
    assert parcel.message.startswith(b"Resent-" if ignored is None else b"X-Mailhold-Delivery: ")
    assert list(parcel.releases) == ([] if ignored is None else list(TO))
    assert b"Resent-From: r@x.example\r\n" in parcel.message
    assert parcel.sender == "s@x.example" and list(parcel.rows) == list(TO)


@pytest.mark.parametrize(
    "sender", ["a@x.example SIZE=1", "a\0@x.example", "a@x.example\rRCPT", "no body", "@", "x" * 400]
)
def test_a_sender_that_no_envelope_can_carry_does_not_keep_a_copy_from_being_delivered(
    ready: Vault, sender: str
) -> None:
    copy_id = ready.put(RAW, CopyRecord(envelope_sender=sender, envelope_recipients=TO))
    release(ready, [copy_id], original=True)
    parcel = pack(StoreAccess(ready), claim_one(ready), "r@x.example", "host", now_ms())
    assert parcel.sender == "" and list(parcel.rows) == list(TO)


@pytest.mark.parametrize("sender", ["", "root", '"a b"@x.example', "ü@x.example"])
def test_an_odd_sender_stays(ready: Vault, sender: str) -> None:
    copy_id = ready.put(RAW, CopyRecord(envelope_sender=sender, envelope_recipients=TO))
    release(ready, [copy_id], original=True)
    assert pack(StoreAccess(ready), claim_one(ready), "r@x.example", "host", now_ms()).sender == sender


@pytest.mark.parametrize(
    "change",
    [
        {"order_blob": b"\x00" * 1300},
        {"order_signature": b"\x00" * 64},
        {"expires_at": 1 << 50},
        {"copy_id": 2},
        {"sealed_body_key": b"\x00" * 1300},
        {"sealed_body_key": None},
    ],
)
def test_a_changed_order_is_not_sent(ready: Vault, change: dict[str, object]) -> None:
    delivery_id = queued(ready)
    put(ready)
    table = ready.models.Delivery
    table.update(**change).where(table.id == delivery_id).execute()
    parcel = pack(StoreAccess(ready), claim_one(ready), "r@x.example", "host", now_ms())
    assert not parcel.message and {outcome.state for outcome in parcel.refused.values()} == {State.FAILED}


def test_an_order_does_not_serve_another_delivery(ready: Vault) -> None:
    first, second = queued(ready), queued(ready)
    table = ready.models.Delivery
    row = table.get_by_id(first)
    table.update(
        copy_id=row.copy_id,
        order_blob=row.order_blob,
        order_signature=row.order_signature,
        sealed_body_key=row.sealed_body_key,
        expires_at=row.expires_at,
    ).where(table.id == second).execute()
    table.update(finished_at=1).where(table.id == first).execute()
    assert pack(StoreAccess(ready), claim_one(ready), "r@x.example", "host", now_ms()).refused


def test_recipients_that_were_added_or_exchanged_are_not_served(ready: Vault) -> None:
    first, second = queued(ready), queued(ready, to=("c@x.example",))
    table = ready.models.DeliveryRecipient
    table.update(delivery_id=first).where(table.delivery_id == second).execute()
    assert "recipient" in delivery_of(ready, first).damage
    parcel = pack(StoreAccess(ready), claim_one(ready), "r@x.example", "host", now_ms())
    assert "does not name" in next(iter(parcel.refused.values())).reply and not parcel.message


def test_a_state_or_reply_that_was_changed_is_named(ready: Vault) -> None:
    delivery_id = finish(ready, FAILED, FAILED)
    table = ready.models.DeliveryRecipient
    one, two = table.select().where(table.delivery_id == delivery_id).order_by(table.id)
    table.update(sealed_reply=two.sealed_reply).where(table.id == one.id).execute()
    assert "a reply does not verify" in delivery_of(ready, delivery_id).damage
    table.update(sealed_reply=None, state="nonsense").where(table.id == one.id).execute()
    assert "is unknown" in delivery_of(ready, delivery_id).damage
    ready.models.Delivery.update(finished_at=None, state="queued").execute()
    assert nothing_due(ready)


def test_absurd_values_in_a_delivery_are_named(ready: Vault) -> None:
    row = ready.models.Delivery.get_by_id(queued(ready))
    table = ready.models.DeliveryRecipient
    recipient = table.select().where(table.delivery_id == row.id).first()
    row.order_blob, recipient.sealed_address, recipient.sealed_reply = -1, 1 << 62, "text"
    with pytest.raises(TamperedError, match=f"elivery {row.id}"):
        StoreAccess(ready).order(row)
    for read in (unseal_recipient, unseal_reply):
        with pytest.raises(TamperedError, match=f"delivery {row.id}"):
            read(ready, recipient)


def test_a_reply_that_a_gateway_sealed_is_read_by_operators_alone(ready: Vault) -> None:
    """A process without an operator's keys seals a reply to the read key, bound to its row."""
    delivery_id = finish(ready, FAILED, FAILED)
    table, keys = ready.models.DeliveryRecipient, ready.keys
    one, two = table.select().where(table.delivery_id == delivery_id).order_by(table.id)
    ready.keys = dataclasses.replace(keys, private_key=None, read_private=None)
    sealed = seal_reply(ready, one.id, "550 no")
    with pytest.raises(UnlockError):
        unseal_reply(ready, one)
    ready.keys = keys
    one.sealed_reply = two.sealed_reply = sealed
    assert unseal_reply(ready, one) == "550 no"
    with pytest.raises(TamperedError):
        unseal_reply(ready, two)


def test_two_processes_never_claim_the_same_delivery(ready: Vault, open_again: Callable[[], Vault]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    ids = ready.put_many([(RAW, CopyRecord(envelope_recipients=TO), None)] * 40)
    expected = release(ready, ids, original=True).queued
    vaults = [ready, open_again(), open_again()]

    def take_all(vault: Vault) -> list[int]:
        taken: list[int] = []
        while True:
            with vault.write():
                claims = leases.claim(vault, 1, "w", 3, now_ms(), LEASE)
            if not claims:
                return taken
            taken += [claim.id for claim in claims]

    with ThreadPoolExecutor(3) as pool:
        taken = [each for result in pool.map(take_all, vaults) for each in result]
    assert sorted(taken) == expected


def test_the_newest_are_listed_and_of_chosen_ones_those_that_are_there(ready: Vault) -> None:
    for _ in range(3):
        put(ready)  # makes delivery ids differ from copy ids
    ids = [queued(ready) for _ in range(6)]
    assert [each.id for each in deliveries(ready)] == ids[::-1]
    assert [each.id for each in deliveries(ready, 2)] == [ids[5], ids[4]]
    listed = deliveries(ready, 2, also=[ids[0], ids[5], ids[2], 999])
    assert [each.id for each in listed] == [ids[5], ids[4], ids[2], ids[0]]
    assert all(len(each.recipients) == len(TO) and not each.damage for each in listed)
    assert {recipient.reply for each in listed for recipient in each.recipients} == {""}


def test_of_many_chosen_ones_the_newest_are_listed(ready: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_CHUNK", 2)
    ids = [queued(ready) for _ in range(6)]
    assert [each.id for each in deliveries(ready, 1, also=ids[:4])] == [ids[5], ids[3], ids[2]]
    assert [len(each.recipients) for each in deliveries(ready)] == [len(TO)] * 6


def test_the_last_release_is_told_where_its_recipients_are_damaged_or_gone(
    ready: Vault, sql: Callable[..., object]
) -> None:
    delivery_id = finish(ready, SENT, FAILED)
    created = delivery_of(ready, delivery_id).created_at
    assert last_release(ready, 1) == ("op", created)
    told = recipient_outcomes(ready, 1)
    assert [each[:2] + each[3:] for each in told] == [
        ("u0@x.example", State.SENT, "sent"),
        ("u1@x.example", State.FAILED, "failed"),
    ]
    sql(ready, "UPDATE delivery_recipient SET sealed_address = ?", b"nothing")
    assert last_release(ready, 1) == ("", created)
    assert [(each.address, each.state, each.reply) for each in recipient_outcomes(ready, 1)] == [
        ("", State.UNKNOWN, "")
    ]
    sql(ready, "DELETE FROM delivery_recipient")
    assert last_release(ready, 1) == ("", created) and recipient_outcomes(ready, 1) == []


def test_an_id_that_no_database_holds_is_no_delivery(ready: Vault) -> None:
    for delivery_id in (0, -1, (1 << 63) - 1, 1 << 63, -(1 << 63), 1 << 70):
        with pytest.raises(DeliveryError, match=f"There is no delivery {delivery_id}[.]"):
            delivery_of(ready, delivery_id)


def test_a_damaged_delivery_says_what_to_do_instead_of_sending_it_again(
    ready: Vault, sql: Callable[..., object]
) -> None:
    finished, live = finish(ready, FAILED), queued(ready)
    sql(ready, "UPDATE delivery_recipient SET sealed_address = ?", b"nothing")
    with pytest.raises(DeliveryError, match=r"not sent again\. Deliver its copy again\."):
        retry(ready, finished)
    with pytest.raises(DeliveryError, match=r"not sent again\. Cancel it, and deliver its copy again\."):
        retry(ready, live)
