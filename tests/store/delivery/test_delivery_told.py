"""A release of many copies is recorded as it runs: the intent, each batch with its work, the end, and interruptions."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from store.authority.acts import folded
from store.authority.audit import events
from store.authority.event_forms import Phase
from store.authority.settings import Settings
from store.check import check
from store.delivery.queue import deliveries, release
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE


@pytest.fixture
def ids(any_vault: Vault) -> list[int]:
    """Make sixty copies in a store with a relay and no release events."""
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9"))
    return any_vault.put_many(
        [(b"Subject: x\r\n\r\ny\r\n", CopyRecord(envelope_recipients=("b@y.example",)), None)] * 60
    )


def told(vault: Vault) -> list[tuple[Phase, list[int], str]]:
    found = [each for each in events(vault)[::-1] if each.action == "delivery queued"]
    assert {each.operator for each in found} <= {"ada"}
    return [(Phase(each.phase), list(each.copies), each.detail) for each in found]


def line(vault: Vault, later: int = 60_000) -> tuple[int, str]:
    """Return the only line of Events for the release: number of copies, and details."""
    found = events(vault)
    [event] = [each for each in folded(found, found[0].at + later) if each.action == "delivery queued"]
    return len(event.copies), event.detail


def test_many_copies_are_meant_queued_in_batches_and_ended(any_vault: Vault, ids: list[int]) -> None:
    release(any_vault, ids, original=True, operator="ada")
    intent, *batches, end = told(any_vault)
    assert intent == (Phase.INTENT, ids, "") and end == (Phase.END, [], "60 of 60")
    assert {phase for phase, _, _ in batches} == {Phase.BATCH} and len(batches) > 1
    assert [copy_id for _, copies, _ in batches for copy_id in copies] == ids
    assert line(any_vault) == (60, "")
    assert check(any_vault).broken == []


def test_one_batch_is_one_event(any_vault: Vault, ids: list[int]) -> None:
    release(any_vault, ids[:20], original=True, operator="ada")
    assert told(any_vault) == [(Phase.ONE, ids[:20], "deliveries 1-20")]


def test_what_is_cancelled_or_kept_from_it_says_so(any_vault: Vault, ids: list[int]) -> None:
    asked = iter([False, True])
    release(any_vault, ids, original=True, operator="ada", cancelled=lambda: next(asked))
    assert line(any_vault) == (25, "25 of 60; cancelled")
    release(any_vault, ids, original=True, operator="ada")
    assert told(any_vault)[-1] == (Phase.END, [], "35 of 60")


def test_a_batch_that_fails_counts_for_nothing(
    any_vault: Vault, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    count, real = 0, any_vault.witness.count_delivery

    def fails() -> None:
        nonlocal count
        count += 1
        if count == 30:
            raise StoreUnavailable("The database went away.")
        real()

    monkeypatch.setattr(any_vault.witness, "count_delivery", fails)
    with pytest.raises(StoreUnavailable):
        release(any_vault, ids, original=True, operator="ada")
    assert len(deliveries(any_vault)) == 25
    assert line(any_vault) == (25, "25 of 60; The database went away.")


_RELEASES = """
import os, signal, sys
from store.delivery.queue import release
from store.opening.opening import Unlock, open_store
vault = open_store(sys.argv[1], Unlock.passphrase(sys.argv[2]))
kill = lambda done, total: os.kill(os.getpid(), signal.SIGKILL)
release(vault, vault.ids(), original=True, operator="ada", progress=kill)
"""


def test_who_is_killed_leaves_an_act_that_was_interrupted(any_vault: Vault, ids: list[int]) -> None:
    command = [sys.executable, "-c", _RELEASES, any_vault.location, PASSPHRASE]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    intent, batch = told(any_vault)
    assert intent == (Phase.INTENT, ids, "") and batch[0] is Phase.BATCH
    assert sorted(each.copy_id for each in deliveries(any_vault)) == batch[1] == ids[:25]
    assert line(any_vault) == (25, "interrupted after 25 of 60")
    assert line(any_vault, later=0) == (25, "under way: 25 of 60")
