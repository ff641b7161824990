"""Five operators act on one wave while one is killed or loses its connection.

Copies that another operator peeled off are not deleted, and no act happens twice.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from store.authority import configuration
from store.authority.acts import BIN, DELETE, EMPTY, RESTORE
from store.authority.audit import Event, events
from store.authority.deleting import delete_copies
from store.authority.event_forms import Phase
from store.campaigns import marks
from store.campaigns.marks import Marks, peel, read_marks
from store.campaigns.standing import Standing
from store.check import check
from store.clearing.checked import checked
from store.clearing.clearing import ODD, PEELED, Guard, clear
from store.helpers.clock import now_ms
from store.opening.opening import Unlock, open_store
from store.terms.records import CopyRecord
from store.undoing.undoing import carry_out, next_plan
from store.vault import bin as bin_module
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.store.clearing.standings import campaign, standing_of, store

OPERATORS = ("ada", "bob", "cyd", "dee", "eve")
COPIES, ACTS = 1_500, 12


def fill(vault: Vault, count: int) -> list[int]:
    return vault.put_many((b"x%d" % number, CopyRecord(subject=str(number)), None) for number in range(count))


class Operator(NamedTuple):
    """A process, and the id of its PostgreSQL server process (0 for a file)."""

    process: subprocess.Popen[str]
    backend: int

    def line(self) -> str:
        """Return its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def started(location: str) -> list[Operator]:
    """Start the operators; return when all are ready."""
    module = "tests.store.clearing.operator_process"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, location, name, str(ACTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if name == OPERATORS[0] else None,
            text=True,
        )
        for name in OPERATORS
    ]
    found = []
    for each in processes:
        assert each.stdout is not None
        ready, backend = each.stdout.readline().split()
        assert ready == "ready"
        found.append(Operator(each, int(backend)))
    for each in processes:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    return found


@pytest.mark.timeout(400)
def test_one_who_is_killed(any_store: str, open_again: Callable[[], Vault]) -> None:
    vault = open_again()

    def kill(first: Operator) -> None:
        first.process.send_signal(signal.SIGKILL)
        assert first.process.wait() == -signal.SIGKILL

    on_one_wave(any_store, vault, kill)


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_one_who_loses_the_connection(postgres_store: str, sql: Callable[..., object]) -> None:
    vault = open_store(postgres_store, Unlock.passphrase(PASSPHRASE))

    def cut_off(first: Operator) -> None:
        assert sql(vault, "SELECT pg_terminate_backend(?)", first.backend) == [(True,)]

    on_one_wave(postgres_store, vault, cut_off)
    vault.close()


def on_one_wave(location: str, vault: Vault, fails: Callable[[Operator], None]) -> None:
    """Run all operators until the first fails during a deletion; the others continue to their end."""
    ids = fill(vault, COPIES)
    store(vault, standing_of(ids, 1, campaigns=3))
    first, *others = started(location)
    for _ in range(3):
        assert first.line().isdecimal(), "it never came to the midst of a deletion"
    fails(first)
    first.process.communicate()
    for each in others:
        each.process.communicate()
        assert each.process.returncode == 0

    history = list(parts(vault))
    at_version = {kept.version: kept.value.all_taken_out for kept in configuration.kept(vault, marks.NAME, Marks)}
    assert len(at_version) == read_marks(vault)[1] > 2, "a former version is kept no longer, or nobody peeled off much"
    gone: set[int] = set()
    for event in history:
        copies = set(event.copies)
        if event.action == RESTORE:
            assert copies <= gone
            gone -= copies
        else:
            assert event.action == BIN and not copies & gone, "deleted twice"
            assert not copies & at_version.get(event.versions.get(marks.NAME, 0), frozenset()), "it was peeled off"
            gone |= copies
    assert gone == set(vault.bin.ids()) and set(vault.ids()) == set(ids) - gone
    assert len({event.operator for event in history if event.action == BIN}) > 1
    assert check(vault).broken == []
    for name in OPERATORS:  # Including the killed operator.
        while (plan := next_plan(vault, name)) is not None:
            carry_out(vault, plan, operator=name)
    assert vault.ids() == ids and not vault.bin.ids()


def parts(vault: Vault) -> Iterator[Event]:
    """Return what the trail records as deleted and brought back, the oldest first."""
    for event in reversed(events(vault, 100_000)):
        if event.action in (BIN, DELETE, EMPTY, RESTORE) and event.phase in (Phase.ONE, Phase.BATCH):
            yield event


@pytest.mark.parametrize("bin_days", [0, 7], ids=["for good", "into the bin"])
def test_each_batch_looks_at_what_others_peeled_off(
    any_vault: Vault, open_again: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch, bin_days: int
) -> None:
    """A colleague peels off copies between two batches: those of the first batch are gone, those of later ones stay."""
    monkeypatch.setattr(bin_module, "_LEAST", 50)
    monkeypatch.setattr("store.vault.deleting._FIRST_BATCH", 50)
    ids = fill(any_vault, 400)
    standing = Standing([campaign(1, ids)])
    colleague = open_again()
    out = [ids[3], *ids[380:385]]

    def progress(done: int, _of: int) -> None:
        if not read_marks(colleague)[1]:
            assert done < 380
            peel(colleague, 1, out, ids[-1], operator="bob")

    found = checked(any_vault, standing, [1], now=now_ms())
    result = clear(any_vault, found, operator="ada", standing=lambda: standing, days=bin_days, progress=progress)
    assert result.refused == [(copy, PEELED) for copy in ids[380:385]]
    assert any_vault.ids() == ids[380:385]
    assert result.gone == [*ids[:380], *ids[385:]]
    assert check(any_vault).broken == []


def test_what_became_odd_is_left_out_and_what_is_odd_and_peeled_off_has_that_reason(vault: Vault) -> None:
    ids = fill(vault, 30)
    before, after = Standing([campaign(1, ids)]), Standing([campaign(1, ids[4:], ids[:4])])
    guard = Guard(vault, lambda: after)
    peel(vault, 1, ids[:1], ids[9])
    assert guard(ids) == {ids[0]: PEELED, **dict.fromkeys(ids[1:4], ODD)}
    assert checked(vault, before, [1], now=now_ms()).ids == ids[1:]


def test_marks_that_are_damaged_stop_the_act(vault: Vault, sql: Callable[..., object]) -> None:
    from store.terms.errors import TamperedError

    ids = fill(vault, 30)
    standing = Standing([campaign(1, ids)])
    peel(vault, 1, ids[:1], ids[9])
    found = checked(vault, standing, [1], now=now_ms())
    sql(vault, "UPDATE configuration SET version = version + 1 WHERE name = 'campaigns'")
    with pytest.raises(TamperedError):
        clear(vault, found, operator="ada", standing=lambda: standing)
    assert vault.ids() == ids


def test_other_deletions_ask_nobody(vault: Vault) -> None:
    ids = fill(vault, 30)
    peel(vault, 1, ids[:1], ids[9])
    assert delete_copies(vault, ids, operator="ada").binned == ids
