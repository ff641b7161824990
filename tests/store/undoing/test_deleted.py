"""Undoing a deletion, and redoing it; what colleagues and rotation did meanwhile is reported before and after."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from store.authority.audit import events
from store.authority.deleting import bring_back, delete_copies, empty_bin
from store.authority.settings import read_settings
from store.check import check
from store.delivery.queue import release
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.undoing.plans import Told
from store.undoing.undoing import carry_out, next_plan, plans
from store.vault.vault import Vault
from tests.store.delivery.test_delivery_worker import use

ME, COLLEAGUE = "me", "a colleague"


def fill(vault: Vault, count: int) -> list[int]:
    return vault.put_many((b"x" * 50, CopyRecord(subject=str(number)), None) for number in range(count))


def z(vault: Vault, *, again: bool = False) -> Told:
    plan = next_plan(vault, ME, again=again)
    assert plan is not None
    return carry_out(vault, plan, operator=ME)


def test_twice_goes_one_further_and_it_is_done_again(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    ids = fill(any_vault, 300)
    delete_copies(any_vault, ids[:250], operator=ME)  # recorded in several parts
    delete_copies(any_vault, ids[250:260], operator=COLLEAGUE)
    delete_copies(any_vault, ids[260:], operator=ME)
    vault = open_again()
    assert z(vault) == Told(("40 copies brought back from the bin",))
    assert any_vault.ids() == ids[260:]
    assert z(vault) == Told(("250 copies brought back from the bin",))
    assert any_vault.ids() == ids[:250] + ids[260:]
    assert next_plan(vault, ME) is None
    assert z(vault, again=True) == Told(("250 copies moved to the bin again",))
    assert any_vault.ids() == ids[260:]
    assert z(vault) == Told(("250 copies brought back from the bin",))
    assert any_vault.ids() == ids[:250] + ids[260:]
    assert check(any_vault).broken == []


def test_what_does_not_come_back_is_told_before_and_after(any_vault: Vault) -> None:
    ids = fill(any_vault, 6)
    delete_copies(any_vault, ids, operator=ME)
    empty_bin(any_vault, ids[:1], operator=COLLEAGUE)
    bring_back(any_vault, ids[1:4], operator=COLLEAGUE)
    delete_copies(any_vault, ids[3:4], operator=COLLEAGUE)
    plan = next_plan(any_vault, ME)
    assert plan is not None and plan.what == "6 message copies deleted"
    assert plan.told == Told(
        ("2 copies brought back from the bin",),
        (
            "2 copies are in Backup already",
            "1 copy is deleted again by a later act",
            "1 copy is gone for good: rotated out, expired in the bin, or deleted from it",
        ),
    )
    empty_bin(any_vault, ids[4:5], operator=COLLEAGUE)
    told = carry_out(any_vault, plan, operator=ME)
    assert told.does == ("1 copy brought back from the bin",)
    assert any(each.startswith("2 copies are gone for good") for each in told.does_not)
    assert any_vault.ids() == [ids[1], ids[2], ids[5]]
    newest = events(any_vault, 1)[0]
    assert newest.undoes == plan.act.number and newest.detail.startswith("delete into the bin: 1 copy brought back")
    assert check(any_vault).broken == []


def test_what_is_gone_for_good_is_passed_over(any_vault: Vault) -> None:
    ids = fill(any_vault, 3)
    delete_copies(any_vault, ids[:1], operator=ME)
    delete_copies(any_vault, ids[1:2], operator=ME, for_good=True)
    delete_copies(any_vault, ids[2:], operator=ME)
    empty_bin(any_vault, ids[2:], operator=ME)
    assert z(any_vault) == Told(("1 copy brought back from the bin",))
    assert any_vault.ids() == ids[:1]
    assert next_plan(any_vault, ME) is None


def test_what_was_cancelled_goes_on_with_the_next(any_vault: Vault) -> None:
    ids = fill(any_vault, 1500)
    delete_copies(any_vault, ids, operator=ME)
    plan = next_plan(any_vault, ME)
    assert plan is not None
    told = carry_out(any_vault, plan, operator=ME, cancelled=lambda: bool(any_vault.ids()))
    came = len(any_vault.ids())
    assert 0 < came < 1500
    assert told.does_not == (f"{1500 - came:,} copies are left as before: the task was cancelled",)
    assert z(any_vault).does == (f"{1500 - came:,} copies brought back from the bin",)
    assert any_vault.ids() == ids


def test_without_a_bin_nothing_is_deleted_again_for_good(any_vault: Vault) -> None:
    [first] = fill(any_vault, 1)
    delete_copies(any_vault, [first], operator=ME)
    z(any_vault)
    plan = next_plan(any_vault, ME, again=True)
    assert plan is not None
    change_settings(any_vault, msgspec.structs.replace(read_settings(any_vault), bin_days=0), operator=COLLEAGUE)
    told = carry_out(any_vault, plan, operator=ME)
    assert told.does == () and told.does_not[0].startswith("there is no bin")
    assert next_plan(any_vault, ME, again=True) is None
    assert any_vault.ids() == [first]


def test_deleting_again_that_was_cancelled_goes_on_with_the_next(any_vault: Vault) -> None:
    ids = fill(any_vault, 1500)
    delete_copies(any_vault, ids, operator=ME)
    z(any_vault)
    plan = next_plan(any_vault, ME, again=True)
    assert plan is not None
    told = carry_out(any_vault, plan, operator=ME, cancelled=lambda: bool(any_vault.bin.ids()))
    went = len(any_vault.bin.ids())
    assert 0 < went < 1500
    assert told.does_not == (f"{1500 - went:,} copies are left as before: the task was cancelled",)
    assert z(any_vault, again=True).does == (f"{1500 - went:,} copies moved to the bin again",)
    assert any_vault.ids() == []
    assert z(any_vault).does


def test_two_consoles_at_the_same_moment(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    ids = fill(any_vault, 600)
    delete_copies(any_vault, ids, operator=ME)
    other = open_again()
    first, second = next_plan(any_vault, ME), next_plan(other, ME)
    assert first is not None and second is not None
    both: list[Told] = []

    def meanwhile(_done: int, _of: int) -> None:
        if not both:
            both.append(carry_out(other, second, operator=ME))

    both.append(carry_out(any_vault, first, operator=ME, progress=meanwhile))
    assert both[0] == Told(("350 copies brought back from the bin",), ("250 copies are in Backup already",))
    assert both[1] == Told(("250 copies brought back from the bin",), ("350 copies are in Backup already",))
    assert any_vault.ids() == ids and next_plan(other, ME) is None
    assert carry_out(other, second, operator=ME) == Told((), ("it was undone already",))
    assert check(any_vault).broken == []


def test_what_another_console_still_deletes_can_be_taken_back_further(
    any_vault: Vault, open_again: Callable[[], Vault]
) -> None:
    ids = fill(any_vault, 600)
    other = open_again()
    said: list[Told] = []

    def meanwhile(_done: int, _of: int) -> None:
        if not said:
            said.append(z(other))

    delete_copies(any_vault, ids, operator=ME, progress=meanwhile)
    assert said[0].does == ("250 copies brought back from the bin",)
    assert z(any_vault).does == ("350 copies brought back from the bin",)
    assert any_vault.ids() == ids and next_plan(any_vault, ME) is None
    assert check(any_vault).broken == []


def test_deleted_from_the_bin_in_the_midst_of_it(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    ids = fill(any_vault, 600)
    delete_copies(any_vault, ids, operator=ME)
    other, said = open_again(), []

    def meanwhile(_done: int, _of: int) -> None:
        if not said:
            said.append(empty_bin(other, other.bin.ids(), operator=COLLEAGUE))

    plan = next_plan(any_vault, ME)
    assert plan is not None
    told = carry_out(any_vault, plan, operator=ME, progress=meanwhile)
    assert told.does == ("250 copies brought back from the bin",)
    assert len(told.does_not) == 1 and told.does_not[0].startswith("350 copies are gone for good")
    assert any_vault.ids() == ids[:250]
    assert check(any_vault).broken == []


def test_what_a_delivery_keeps_is_not_deleted_again_and_that_is_told_before(any_vault: Vault) -> None:
    use(any_vault, 1, hold=60)
    record = CopyRecord(envelope_recipients=("a@x.example",))
    ids = any_vault.put_many([(b"Subject: x\r\n\r\n", record, None)] * 3)
    delete_copies(any_vault, ids, operator=ME)
    z(any_vault)
    release(any_vault, ids[:2], original=True, operator=COLLEAGUE)
    plan = next_plan(any_vault, ME, again=True)
    assert plan is not None
    assert plan.told == Told(
        ("1 copy moved to the bin again",), ("2 copies are kept in Backup because of an unfinished delivery",)
    )
    told = carry_out(any_vault, plan, operator=ME)
    assert told == Told(("1 copy moved to the bin again",), plan.told.does_not)
    assert any_vault.ids() == ids[:2]
    z(any_vault)
    release(any_vault, ids[2:], original=True, operator=COLLEAGUE)
    assert next_plan(any_vault, ME, again=True) is None


def fill_up_after(vault: Vault, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full after `number` copies were moved into the bin or back."""

    def in_batches(wanted: list[int], work: Callable[[list[int]], None], *_: object) -> tuple[list[int], bool]:
        work(wanted[:number])
        return wanted[number:], bool(wanted[number:])

    monkeypatch.setattr(vault.bin, "_in_batches", in_batches)


def test_what_a_full_disk_kept_from_coming_back_can_be_undone_further(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(vault, 150)
    delete_copies(vault, ids, operator=ME)
    fill_up_after(vault, 100, monkeypatch)
    assert z(vault) == Told(
        ("100 copies brought back from the bin",), (f"50 copies ({ids[100]}-{ids[-1]}): the disk is full",)
    )
    assert events(vault, 1)[0].detail == "100 of 150; the disk is full"
    assert z(vault) == Told(("50 copies brought back from the bin",), ("100 copies are in Backup already",))
    assert vault.ids() == ids and next_plan(vault, ME) is None
    assert z(vault, again=True).does == ("100 copies moved to the bin again",)
    assert events(vault, 1)[0].detail == "100 of 150; the disk is full"
    told = z(vault, again=True)
    assert told.does == ("50 copies moved to the bin again",) and not told.does_not
    assert vault.ids() == [] and check(vault).broken == []


def test_a_deletion_that_was_redone_is_listed_once(any_vault: Vault) -> None:
    ids = fill(any_vault, 3)
    delete_copies(any_vault, ids[:1], operator=ME)
    delete_copies(any_vault, ids[1:], operator=ME)
    for _ in range(2):
        z(any_vault)
        assert [plan.what for plan in plans(any_vault, ME)] == ["1 message copy deleted"]
        assert [plan.what for plan in plans(any_vault, ME, again=True)] == ["2 message copies deleted"]
        z(any_vault, again=True)
        assert [plan.what for plan in plans(any_vault, ME)] == ["2 message copies deleted", "1 message copy deleted"]
        assert plans(any_vault, ME, again=True) == []
    assert z(any_vault) == Told(("2 copies brought back from the bin",))
    assert z(any_vault) == Told(("1 copy brought back from the bin",))
    assert any_vault.ids() == ids and next_plan(any_vault, ME) is None
