"""Undoing changes of the configuration, in all consoles of an operator, among the changes of others."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from store.authority import configuration
from store.authority.audit import events
from store.authority.settings import read_settings
from store.check import check
from store.enrolment.enrolment import enroll
from store.enrolment.revocation import revoke
from store.filters.saved import read_saved_filters, remove_filter, save_filter
from store.judging.rules.address_lists import added, change_lists, read_lists, removed
from store.judging.rules.model import Rule
from store.judging.rules.rules import change_rules, read_rules
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.terms.sizes import MIB
from store.undoing.undoing import acts_of, carry_out, next_plan
from store.vault.vault import Vault

ME, COLLEAGUE = "me", "a colleague"


def set_settings(vault: Vault, operator: str = ME, **changes: object) -> None:
    settings = read_settings(vault)
    change_settings(vault, msgspec.structs.replace(settings, **changes), operator=operator)


def block(vault: Vault, *entries: str, operator: str = ME) -> None:
    change_lists(vault, lambda lists: added(lists, "black", entries), operator)


def z(vault: Vault, *, again: bool = False, operator: str = ME) -> tuple[tuple[str, ...], tuple[str, ...]]:
    plan = next_plan(vault, operator, again=again)
    assert plan is not None
    told = carry_out(vault, plan, operator=operator)
    assert told == plan.told
    return told


def test_twice_goes_one_further_and_each_can_be_done_again(any_vault: Vault) -> None:
    before = read_settings(any_vault)
    block(any_vault, "spammer.example")
    set_settings(any_vault, administrator="a@corp.example")
    set_settings(any_vault, administrator="b@corp.example")
    assert z(any_vault) == (("administrator: b@corp.example -> a@corp.example",), ())
    assert z(any_vault) == (("administrator: a@corp.example -> -",), ())
    assert read_settings(any_vault) == before
    assert z(any_vault) == (("black list of the organisation: removed spammer.example",), ())
    assert read_lists(any_vault).black == ()
    assert next_plan(any_vault, ME) is None
    assert z(any_vault, again=True) == (("black list of the organisation: added spammer.example",), ())
    assert z(any_vault, again=True) == (("administrator: - -> a@corp.example",), ())
    assert z(any_vault, again=True) == (("administrator: a@corp.example -> b@corp.example",), ())
    assert next_plan(any_vault, ME, again=True) is None
    assert read_settings(any_vault).administrator == "b@corp.example"
    assert z(any_vault)[0] == ("administrator: b@corp.example -> a@corp.example",)
    assert check(any_vault).broken == []


def test_only_ones_own_acts(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    block(any_vault, "mine.example")
    block(any_vault, "theirs.example", operator=COLLEAGUE)
    other = open_again()  # another session of the same operator
    assert z(other) == (("black list of the organisation: removed mine.example",), ())
    assert read_lists(any_vault).black == ("theirs.example",)
    assert next_plan(any_vault, ME) is None
    plan = next_plan(any_vault, COLLEAGUE)
    assert plan is not None and plan.told.does == ("black list of the organisation: removed theirs.example",)


def test_an_act_that_somebody_took_back_meanwhile(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    block(any_vault, "mine.example")
    set_settings(any_vault, administrator="a@corp.example")
    plan = next_plan(any_vault, ME)
    assert plan is not None
    z(open_again())
    assert carry_out(any_vault, plan, operator=ME) == ((), ("it was undone already",))
    assert read_lists(any_vault).black == ("mine.example",)


def test_what_others_changed_since_stays_and_is_named(any_vault: Vault) -> None:
    set_settings(any_vault, administrator="a@corp.example", lock_after=5)
    set_settings(any_vault, COLLEAGUE, administrator="b@corp.example")
    assert z(any_vault) == (
        ("lock_after: 5 minutes -> off",),
        ("administrator stays as it is: it was changed again later",),
    )
    assert read_settings(any_vault).administrator == "b@corp.example"


def test_what_is_as_it_was_already_is_passed_over(any_vault: Vault) -> None:
    block(any_vault, "first.example")
    block(any_vault, "second.example")
    change_lists(any_vault, lambda lists: removed(lists, "black", ["second.example"]), COLLEAGUE)
    assert z(any_vault) == (("black list of the organisation: removed first.example",), ())


def test_a_larger_maximum_is_taken_back_and_done_again_if_all_copies_fit(any_vault: Vault) -> None:
    any_vault.put(b"Subject: x\r\n\r\nx\r\n", CopyRecord())
    former = read_settings(any_vault).max_size
    set_settings(any_vault, max_size=9000 * MIB)
    assert z(any_vault)[1] == ()
    assert read_settings(any_vault).max_size == former and any_vault.count().messages == 1
    set_settings(any_vault, max_size=8 * MIB)
    assert z(any_vault)[1] == () and z(any_vault, again=True)[1] == ()
    assert read_settings(any_vault).max_size == 8 * MIB and any_vault.count().messages == 1


def test_a_larger_maximum_is_not_taken_back_if_copies_would_go(any_vault: Vault) -> None:
    set_settings(any_vault, max_size=MIB)
    set_settings(any_vault, max_size=9000 * MIB, lock_after=5)
    for _ in range(2):
        any_vault.put(b"Subject: x\r\n\r\n" + os.urandom(MIB), CopyRecord())
    does, does_not = z(any_vault)
    assert does == ("lock_after: 5 minutes -> off",)
    assert len(does_not) == 1 and does_not[0].startswith("max_size stays")
    assert read_settings(any_vault).max_size == 9000 * MIB


def test_rules_come_back_in_their_place(any_vault: Vault) -> None:
    def insert(present: tuple[Rule, ...]) -> list[Rule]:
        return [Rule(id=0, name="One"), Rule(id=0, name="Two"), Rule(id=0, name="Three"), *present]

    change_rules(any_vault, insert, COLLEAGUE)
    names = [rule.name for rule in read_rules(any_vault)]
    change_rules(any_vault, lambda present: [rule for rule in present if rule.name != "Two"], ME)
    change_rules(any_vault, lambda present: [present[1], present[0], *present[2:]], ME)
    change_rules(any_vault, lambda present: [Rule(id=0, name="Their own"), *present], COLLEAGUE)
    does, does_not = z(any_vault)
    assert does_not == () and does[0].startswith("order: ")
    assert [rule.name for rule in read_rules(any_vault)] == ["Their own", *(name for name in names if name != "Two")]
    z(any_vault)
    assert [rule.name for rule in read_rules(any_vault)] == ["Their own", *names]
    assert check(any_vault).broken == []


def test_a_rule_that_was_changed_again_stays(any_vault: Vault) -> None:
    change_rules(any_vault, lambda present: [Rule(id=0, name="Mine"), *present], ME)
    number = read_rules(any_vault)[0].id

    def rename(present: tuple[Rule, ...]) -> list[Rule]:
        return [msgspec.structs.replace(rule, name="Ours") if rule.id == number else rule for rule in present]

    change_rules(any_vault, rename, COLLEAGUE)
    assert next_plan(any_vault, ME) is None
    assert read_rules(any_vault)[0].name == "Ours"


def test_saved_filters(any_vault: Vault) -> None:
    save_filter(any_vault, "Big", "subject:one", operator=ME)
    save_filter(any_vault, "big", "subject:two", operator=ME)
    remove_filter(any_vault, "BIG", operator=ME)
    save_filter(any_vault, "Theirs", "from:a", operator=COLLEAGUE)
    for expected in (["subject:two"], ["subject:one"], []):
        z(any_vault)
        assert [each.line for each in read_saved_filters(any_vault) if each.name != "Theirs"] == expected


def test_across_a_new_configuration_key(any_vault: Vault, tmp_path: Path) -> None:
    enroll(any_vault, "mx1", tmp_path / "mx1.credentials")
    set_settings(any_vault, administrator="a@corp.example")
    revoke(any_vault, "mx1", operator=COLLEAGUE)
    assert z(any_vault) == (("administrator: a@corp.example -> -",), ())
    assert check(any_vault).broken == []


def test_what_is_no_longer_kept_says_so(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    block(any_vault, "mine.example")
    monkeypatch.setattr(configuration, "FORMER", 2)
    for number in range(3):
        block(any_vault, f"{number}.example", operator=COLLEAGUE)
    assert next_plan(any_vault, ME) is None
    [act] = acts_of(any_vault, ME).done
    assert act.event.detail == "black list of the organisation: added mine.example"


def test_the_trail_names_what_was_taken_back(any_vault: Vault) -> None:
    block(any_vault, "mine.example")
    [act] = acts_of(any_vault, ME).done
    z(any_vault)
    newest = events(any_vault, 1)[0]
    assert (newest.undoes, newest.operator) == (act.number, ME)
    assert newest.detail == "undone: black list of the organisation: removed mine.example"
    z(any_vault, again=True)
    newest = events(any_vault, 1)[0]
    assert newest.undoes == -act.number
    assert newest.detail == "redone: black list of the organisation: added mine.example"
