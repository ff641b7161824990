"""A gateway stopped for good while it sent: its deliveries are sent again from elsewhere, and nothing twice unasked."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.database.clock import decides_ms
from store.delivery import leases, queue
from store.delivery.queue import delivery_of, queue_length, release, retry, retry_plan
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import enroll, open_with_credentials
from store.helpers.clock import now_ms
from store.mail.outcome import State
from store.sealing.keys import LOCAL_ID
from store.terms.errors import DeliveryError
from store.vault.vault import Vault
from tests.store.delivery.test_delivery_queue import put, set_relay

#: Length of a lease that is over at once (ms).
OVER = -1


@pytest.fixture
def stopped(any_vault: Vault, tmp_path: Path) -> Vault:
    """Return a store with a copy released to two recipients through a gateway that then stopped."""
    set_relay(any_vault)
    enroll(any_vault, "mx1", tmp_path / "credentials")
    gateway = open_with_credentials(any_vault.location, tmp_path / "credentials")
    beat(gateway)
    assert release(any_vault, [put(any_vault)], original=True, operator="op").senders == ["mx1"]
    beat(gateway, alive=False)
    gateway.close()
    return any_vault


def take(vault: Vault, lease: int) -> leases.Claim:
    with vault.write():
        [claim] = leases.claim(vault, delivery_of(vault, 1).gateway_id, "w", 1, decides_ms(vault.db), lease)
    return claim


def begin(vault: Vault, claim: leases.Claim, count: int, lease: int) -> None:
    """Announce DATA for the first `count` recipients."""
    with vault.write():
        leases.start_data(vault, claim, claim.live[:count], {}, decides_ms(vault.db), lease)


def states(vault: Vault) -> list[State]:
    return [each.state for each in delivery_of(vault, 1).recipients]


@pytest.mark.parametrize("begun", [0, 1])
def test_what_was_not_sent_goes_to_another_and_what_may_have_been_does_not(stopped: Vault, begun: int) -> None:
    claim = take(stopped, OVER)
    if begun:
        begin(stopped, claim, begun, OVER)
    plan = retry_plan(stopped, 1)
    assert plan.live and plan.sends == 2 - begun and not any(each.twice for each in plan.recipients)
    retry(stopped, 1, "op", plan=plan)
    assert states(stopped) == [State.UNKNOWN] * begun + [State.QUEUED] * (2 - begun)
    delivery = delivery_of(stopped, 1)
    assert delivery.gateway_id == LOCAL_ID and not delivery.damage and queue_length(stopped) == 1
    assert take(stopped, 60_000).live == claim.live[begun:]
    with pytest.raises(leases.LeaseLost), stopped.write():
        leases.settle(stopped, claim, {}, now_ms())


def test_if_all_may_have_it_the_operator_is_asked(stopped: Vault) -> None:
    begin(stopped, take(stopped, OVER), 2, OVER)
    plan = retry_plan(stopped, 1)
    assert not plan.live and plan.sends == 2 and all(each.twice for each in plan.recipients)
    assert states(stopped) == [State.UNKNOWN, State.UNKNOWN] and queue_length(stopped) == 0
    retry(stopped, 1, "op", plan=plan)
    assert states(stopped) == [State.QUEUED, State.QUEUED]


def test_until_its_lease_is_over_one_waits(stopped: Vault) -> None:
    take(stopped, 60_000)
    with pytest.raises(DeliveryError, match=r"when its gateway stopped\. Try again in (59|60) seconds"):
        retry(stopped, 1)
    assert delivery_of(stopped, 1).in_hand(now_ms()) and not delivery_of(stopped, 1).in_hand(now_ms() + 61_000)


def test_all_who_send_are_named_though_a_gateway_stops_meanwhile(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_relay(any_vault)
    monkeypatch.setattr(queue, "_BATCH", 1)
    own = queue.delivery_target(any_vault)
    targets = iter([own._replace(name="mx1"), own, own])
    monkeypatch.setattr(queue, "delivery_target", lambda _vault: next(targets))
    copies = [put(any_vault, (f"u{number}@x.example",)) for number in range(3)]
    assert release(any_vault, copies, original=True).senders == ["mx1", ""]
