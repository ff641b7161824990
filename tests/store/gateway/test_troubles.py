"""Problems that gateways reported, from the trail: each once, until it is over or the gateway stops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.audit import events, record_event
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.gateway.event_writer import MOST_WAITING, EventWriter
from store.gateway.troubles import troubles
from store.vault.vault import Vault


@pytest.fixture
def gateway(vault: Vault, tmp_path: Path) -> Iterator[Vault]:
    enroll(vault, "mx1", tmp_path / "credentials")
    opened = open_with_credentials(vault.location, tmp_path / "credentials")
    yield opened
    opened.close()


def test_what_was_said_and_is_not_over(vault: Vault, gateway: Vault) -> None:
    writer = EventWriter(lambda: gateway)

    def said(action: str, detail: str = "") -> list[tuple[str, str]]:
        writer.add(action, detail)
        writer.flush()
        assert all(each.gateway == "mx1" and each.at for each in troubles(vault))
        return [(each.what, each.detail) for each in troubles(vault)]

    assert troubles(vault) == []
    clamd = ("engine down", "clamd at unix:/c: Connection refused; messages wait")
    rspamd = ("engine down", "rspamd at [::1]:11333: no answer within 2 s; messages wait")
    metrics = ("metrics not served", "Metrics cannot listen on 127.0.0.1:9464: Address already in use.")
    backup = ("backup unavailable", "The disk is full.")
    assert said(*clamd) == [clamd]
    assert said(*metrics) == [metrics, clamd]
    assert said(*rspamd) == [rspamd, metrics, clamd]
    assert said("engine answers again", "clamd at unix:/c: it was down since x") == [rspamd, metrics]
    assert said(*backup) == [backup, rspamd, metrics]
    assert said("metrics served") == [backup, rspamd]
    assert said("backup available", "unavailable since x: The disk is full.") == [rspamd]
    older = ("store older", "The store is older than what was seen of it.")
    assert said(*older) == [older, rspamd]
    assert said("store in use again", "an operator accepted it") == [rspamd]
    record_event(vault, "engine down", operator="olga", detail="mx1: clamd at x: an operator said so")
    assert said(*rspamd) == [rspamd]
    record_event(gateway, "gateway stopped", operator="", detail="mx1")
    assert troubles(vault) == []
    assert said(*clamd) == [clamd]
    revoke(vault, "mx1")  # It cannot say any more that it is over.
    assert troubles(vault) == []


def test_events_wait_for_the_store_in_their_order_and_with_their_time(vault: Vault, gateway: Vault) -> None:
    opened: list[Vault] = []
    writer = EventWriter(lambda: opened[0] if opened else None)
    for number in range(3):
        writer.add("engine down", f"number {number}")
    writer.flush()
    assert troubles(vault) == []
    opened.append(gateway)
    writer.flush()
    writer.flush()
    found = [each for each in reversed(events(vault)) if each.action == "engine down"]
    assert [each.detail for each in found] == [f"mx1: number {number}" for number in range(3)]
    opened.clear()
    for number in range(MOST_WAITING + 5):
        writer.add("engine down", f"again {number}")
    assert len(writer._waiting) == MOST_WAITING
