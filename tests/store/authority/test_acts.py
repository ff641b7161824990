"""Acts on many copies are recorded as they run: the intent, each part with its work, the end, and interruptions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority.acts import Act, cut_off, folded
from store.authority.audit import CopyIds, Event, events, record_event
from store.authority.deleting import delete_copies
from store.authority.event_forms import Phase
from store.check import check
from store.terms.errors import StoreError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE


def filled(vault: Vault, count: int) -> list[int]:
    return vault.put_many([(b"Subject: x\r\n\r\ny\r\n", CopyRecord(), None)] * count)


def told(vault: Vault) -> list[Event]:
    return events(vault)[::-1]


def test_few_copies_are_one_event_in_their_transaction(any_vault: Vault) -> None:
    ids = filled(any_vault, 3)
    delete_copies(any_vault, ids, operator="ada", for_good=True)
    [event] = told(any_vault)
    assert (event.phase, event.act, list(event.copies), event.operator) == (Phase.ONE, 0, ids, "ada")


def test_many_are_meant_done_in_parts_and_ended(any_vault: Vault) -> None:
    ids = filled(any_vault, 450)
    result = delete_copies(any_vault, ids, operator="ada", for_good=True)
    intent, *parts, end = told(any_vault)
    assert (intent.phase, list(intent.copies)) == (Phase.INTENT, ids)
    assert {part.phase for part in parts} == {Phase.BATCH} and len(parts) > 1
    assert {event.act for event in (*parts, end)} == {intent.number}
    assert sorted(copy_id for part in parts for copy_id in part.copies) == result.deleted == ids
    assert (end.phase, end.detail) == (Phase.END, "450 of 450")


def test_a_batch_that_fails_leaves_neither_its_copies_nor_its_event(any_vault: Vault) -> None:
    ids = filled(any_vault, 250)
    seen = []

    def fails(ids: list[int]) -> None:
        seen.append(ids)
        if len(seen) == 2:
            raise StoreError("The disk went away.")

    with pytest.raises(StoreError), Act(any_vault, "delete", operator="ada", copies=ids) as act:

        def buried(ids: list[int]) -> None:
            act.part(ids)
            fails(ids)

        any_vault.delete(ids, operator="ada", buried=buried)
    intent, part, end = told(any_vault)
    assert list(part.copies) == seen[0] and not set(seen[0]) & set(any_vault.ids())
    assert set(any_vault.ids()) == set(ids) - set(seen[0])
    assert end.phase == Phase.END
    assert end.act == intent.number and "The disk went away." in end.detail


def test_what_is_cancelled_says_so(any_vault: Vault) -> None:
    ids = filled(any_vault, 250)
    asked = iter([False, True, True, True])
    delete_copies(any_vault, ids, operator="ada", cancelled=lambda: next(asked), for_good=True)
    assert told(any_vault)[-1].detail == "100 of 250; cancelled"


_DELETES = """
import os, signal, sys
from store.authority.acts import Act
from store.opening.opening import Unlock, open_store
vault = open_store(sys.argv[1], Unlock.passphrase(sys.argv[2]))
ids = vault.ids()
with Act(vault, "delete", operator="ada", copies=ids) as act:
    seen = 0
    def buried(batch):
        global seen
        act.part(batch)
        seen += 1
        if seen == 3:
            os.kill(os.getpid(), getattr(signal, sys.argv[3]))
    vault.delete(ids, operator="ada", buried=buried)
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGHUP", "SIGTERM"])
def test_who_is_killed_leaves_what_was_done_with_its_events(any_vault: Vault, name: str) -> None:
    ids = filled(any_vault, 1000)
    command = [sys.executable, "-c", _DELETES, any_vault.location, PASSPHRASE, name]
    ended = subprocess.run(command, env=dict(os.environ), check=False)
    assert ended.returncode == -getattr(signal, name)
    intent, *parts = told(any_vault)
    assert list(intent.copies) == ids
    assert {part.phase for part in parts} == {Phase.BATCH} and len(parts) == 2
    gone = {copy_id for part in parts for copy_id in part.copies}
    assert gone == set(ids) - set(any_vault.ids())


def problems(vault: Vault) -> list[str]:
    return [why for _, why in check(vault).broken]


def test_check_holds_deletions_against_the_trail(any_vault: Vault) -> None:
    ids = filled(any_vault, 6)
    delete_copies(any_vault, ids[:2], operator="ada", for_good=True)
    assert problems(any_vault) == []
    any_vault.delete(ids[2:4], operator="ada")
    assert problems(any_vault) == [f"copies were deleted, but no event records it: {ids[2]}-{ids[3]}"]


def test_check_finds_a_copy_that_the_trail_says_was_deleted(any_vault: Vault) -> None:
    [first, *_] = filled(any_vault, 3)
    with any_vault.write():
        record_event(any_vault, "delete", operator="ada", copies=[first])
    assert problems(any_vault) == [f"they record the deletion of copies that still exist: {first}"]


def folds(vault: Vault, later: int = 0) -> list[Event]:
    found = events(vault)
    return folded(found, found[0].at + later)


def test_an_act_is_one_line_that_says_how_far_it_came(any_vault: Vault) -> None:
    ids = filled(any_vault, 450)
    record_event(any_vault, "before", operator="bert")
    delete_copies(any_vault, ids[:150], operator="ada", for_good=True)
    asked = iter([False, True, True, True])
    delete_copies(any_vault, ids[150:400], operator="ada", cancelled=lambda: next(asked), for_good=True)
    record_event(any_vault, "after", operator="bert")
    after, cut, whole, before = folds(any_vault)
    assert (after.action, before.action) == ("after", "before")
    assert (whole.action, list(whole.copies), whole.detail) == ("delete", ids[:150], "")
    assert (list(cut.copies), cut.detail) == (ids[150:250], "100 of 250; cancelled")


def test_an_act_without_an_end_is_under_way_and_then_interrupted(vault: Vault) -> None:
    ids = filled(vault, 250)
    act = Act(vault, "save", operator="ada", copies=ids, detail="to /srv").__enter__()
    act.part(ids[:100])
    [line] = folds(vault)
    assert (list(line.copies), line.detail) == (ids[:100], "to /srv; under way: 100 of 250")
    [line] = folds(vault, later=60_000)
    assert line.detail == "to /srv; interrupted after 100 of 250"


def test_an_act_whose_first_event_is_not_there_is_cut_off_and_says_no_number_that_it_cannot_know(vault: Vault) -> None:
    ids = filled(vault, 250)
    act = Act(vault, "save", operator="ada", copies=ids, detail="to /srv").__enter__()
    act.part(ids[:100])
    act.part(ids[100:150])
    record_event(vault, "after", operator="bert")
    found = events(vault)
    after, whole = folded(found, found[0].at)
    assert not cut_off(after) and not cut_off(whole) and whole.detail == "to /srv; under way: 150 of 250"
    _, part = folded(found[:-2], found[0].at)
    assert cut_off(part) and (list(part.copies), part.detail) == (ids[100:150], "under way")
    _, part = folded(found[:-2], found[0].at + 60_000)
    assert part.detail == "interrupted"


@given(st.lists(st.lists(st.integers(1, 60), unique=True)))
def test_the_union_of_copy_ids_is_that_of_sets(parts: list[list[int]]) -> None:
    every = sorted({copy_id for part in parts for copy_id in part})
    mixed = [CopyIds.of(part) if place % 2 else part for place, part in enumerate(parts)]
    assert CopyIds.union(mixed) == CopyIds.of(every) and list(CopyIds.union(mixed)) == every


def test_what_few_copies_fell_short_of_is_told_with_them(vault: Vault) -> None:
    ids = filled(vault, 3)
    with Act(vault, "save", operator="ada", copies=ids, detail="to /srv") as act:
        act.part(ids)
        act.done = 2
    [line] = folds(vault)
    assert (list(line.copies), line.detail) == (ids, "to /srv; 2 of 3")


def test_a_part_that_is_rolled_back_and_done_again_counts_once(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = filled(vault, 250)
    delete = vault.delete

    def twice(*args: Any, buried: Any, **options: Any) -> Any:
        with pytest.raises(ZeroDivisionError), vault.write():
            buried(ids[:100])
            raise ZeroDivisionError
        return delete(*args, buried=buried, **options)

    monkeypatch.setattr(vault, "delete", twice)
    delete_copies(vault, ids, operator="ada", for_good=True)
    assert told(vault)[-1].detail == "250 of 250"
