"""Rewriting configuration that does not verify: what is known before, what is lost, and no older one verifies after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.authority import configuration
from store.authority.audit import events
from store.authority.configuration import check_configuration
from store.authority.resetting import look, write_anew
from store.authority.settings import FIRST, PART, Settings, read_settings
from store.judging.rules.address_lists import PART as LISTS
from store.judging.rules.address_lists import AddressLists, read_lists, write_lists
from store.judging.rules.rules import DEFAULT_ID, Rule, read_rules, write_rules
from store.judging.rules.rules import PART as RULES
from store.space.changing_settings import change_settings
from store.terms.errors import StoreError, TamperedError
from store.vault.vault import Vault

OLD, NEW = Settings(max_size=3 << 30), Settings(max_size=5 << 30, relay="smtp://relay.example:25")


def newest(vault: Vault, name: str) -> dict[str, Any]:
    table = vault.models.Configuration
    return dict(table.select().where(table.name == name).order_by(table.id.desc()).dicts().first())


def damage(vault: Vault, name: str, field: str = "sealed") -> dict[str, Any]:
    """Flip a bit of the newest row with this name; return the row as it was."""
    row = newest(vault, name)
    table = vault.models.Configuration
    blob = bytes(row[field])
    with vault.write():
        table.update({field: blob[:-1] + bytes([blob[-1] ^ 1])}).where(table.id == row["id"]).execute()
    return row


def problems(vault: Vault) -> dict[str, str]:
    return {name: why for name, why in check_configuration(vault) if why}


@pytest.fixture
def changed(any_vault: Vault) -> Vault:
    """Make a vault whose settings were changed twice."""
    change_settings(any_vault, OLD, operator="ann")
    change_settings(any_vault, NEW, operator="bob")
    return any_vault


def test_nothing_is_wrong_with_what_verifies(changed: Vault) -> None:
    assert look(changed, PART) is None and look(changed, RULES) is None


def test_damaged_settings_are_told_with_what_is_known_and_written_anew(
    changed: Vault, open_again: Callable[[], Vault]
) -> None:
    row = damage(changed, "settings")
    with pytest.raises(TamperedError, match="mailhold settings reset"):
        read_settings(changed)
    found = look(changed, PART)
    assert found is not None and "Settings is damaged" in found.salvage.problem
    assert found.salvage.former is not None and found.salvage.former[:2] == (OLD, 1) and found.salvage.held is None
    assert [(event.operator, event.action) for event in found.changes] == [
        ("bob", "settings changed"),
        ("ann", "settings changed"),
    ]
    write_anew(changed, PART, found, operator="eve")
    assert read_settings(changed) == read_settings(open_again()) == FIRST
    [event] = events(changed, 1)
    assert (event.operator, event.action) == ("eve", "settings reset") and "as in a new store" in event.detail
    assert not problems(changed)
    changed.models.Configuration.insert(**row | {"id": 999}).execute()
    assert read_settings(open_again()) == FIRST, "what was there before does not come back"


def test_a_former_version_is_put_in_force_again(changed: Vault) -> None:
    damage(changed, "settings")
    found = look(changed, PART)
    assert found is not None
    write_anew(changed, PART, found, former=True, operator="eve")
    assert read_settings(changed) == OLD
    assert "as version 1" in events(changed, 1)[0].detail


@pytest.mark.parametrize("field", ["signature", "sealed"])
def test_what_opens_is_shown_though_nobody_answers_for_it(changed: Vault, field: str) -> None:
    damage(changed, "settings", field)
    found = look(changed, PART)
    assert found is not None and found.salvage.held == (NEW if field == "signature" else None)


def test_no_former_version_is_there_to_be_put_in_force(any_vault: Vault) -> None:
    change_settings(any_vault, OLD)
    damage(any_vault, "settings")
    found = look(any_vault, PART)
    assert found is not None and found.salvage.former is None
    with pytest.raises(StoreError, match="No former version"):
        write_anew(any_vault, PART, found, former=True)
    with pytest.raises(TamperedError):
        read_settings(any_vault)


@pytest.mark.parametrize("version", [-5, 0, 1 << 40, (1 << 62) + 3, (1 << 63) - 1])
def test_a_version_that_cannot_be_does_not_stay(changed: Vault, version: int, open_again: Callable[[], Vault]) -> None:
    old = newest(changed, "settings")
    table = changed.models.Configuration
    with changed.write():
        table.update(version=version).where(table.id == old["id"]).execute()
    change = configuration.write(changed, "saved-filters", [], action="filter saved")  # an event that the memory knows
    assert change == 1
    again = open_again()
    found = look(again, PART)
    assert found is not None and found.salvage.problem and found.salvage.held == NEW
    write_anew(again, PART, found)
    assert read_settings(open_again()) == FIRST and not problems(open_again())
    change_settings(again, NEW)
    table = again.models.Configuration
    with again.write():
        table.delete().where(table.name == "settings").execute()
        table.insert(**old).execute()
    with pytest.raises(TamperedError, match="was written later"):
        read_settings(open_again())


def test_a_version_that_only_the_damaged_row_tells_is_not_given_again(
    changed: Vault, open_again: Callable[[], Vault]
) -> None:
    damage(changed, "settings")
    with changed.write():
        changed.models.Audit.update(sealed=b"x" * 90).execute()
    again = open_again()
    found = look(again, PART)
    assert found is not None and found.salvage.problem
    write_anew(again, PART, found)
    stored = configuration.read(again, "settings", Settings)
    assert stored is not None and stored.version == 3


def test_what_a_damaged_name_hides_is_found_and_cleared(changed: Vault, open_again: Callable[[], Vault]) -> None:
    table = changed.models.Configuration
    row = newest(changed, "settings")
    with changed.write():
        table.update(name="sfttings").where(table.id == row["id"]).execute()
    again = open_again()
    found = look(again, PART)
    assert found is not None and "version 2 was written later" in found.salvage.problem and found.salvage.held == NEW
    write_anew(again, PART, found)
    assert read_settings(again) == FIRST and not problems(again)


def test_a_row_that_is_taken_away_is_missed_after_later_events_too(
    changed: Vault, open_again: Callable[[], Vault]
) -> None:
    table = changed.models.Configuration
    old = dict(table.select().where(table.version == 1).dicts().first())
    table.delete().where(table.name == "settings").execute()
    write_lists(changed, AddressLists(black=("spam.example",)))
    table.insert(**old).execute()
    with pytest.raises(TamperedError, match="it has version 1, but version 2 was written later"):
        read_settings(open_again())


def test_a_damaged_former_version_hides_nothing_and_goes(changed: Vault, open_again: Callable[[], Vault]) -> None:
    table = changed.models.Configuration
    table.update(version=(1 << 41) + 1).where(table.version == 1).execute()
    again = open_again()
    assert read_settings(again) == NEW
    assert problems(again), "`check` names it"
    found = look(again, PART)
    assert found is not None and not found.salvage.problem and found.salvage.damaged == 1
    write_anew(again, PART, found)
    assert read_settings(again) == NEW and not problems(again)


def test_rules_that_are_reset_number_on(any_vault: Vault) -> None:
    write_rules(any_vault, [Rule(name="one"), Rule(name="two")])
    write_rules(any_vault, [Rule(name="three"), *read_rules(any_vault)])
    before = read_rules(any_vault)
    damage(any_vault, "rules", "signature")
    found = look(any_vault, RULES)
    assert found is not None
    write_anew(any_vault, RULES, found)
    assert [rule.id for rule in read_rules(any_vault)] == [DEFAULT_ID]
    after = write_rules(any_vault, [Rule(name="four"), *read_rules(any_vault)])
    assert max(rule.id for rule in after) > max(rule.id for rule in before)


def test_lists_that_are_reset_are_empty_or_as_they_were(any_vault: Vault) -> None:
    first = write_lists(any_vault, AddressLists(black=("spam.example",)))
    write_lists(any_vault, AddressLists(black=("spam.example", "worse.example")))
    damage(any_vault, "address-lists")
    found = look(any_vault, LISTS)
    assert found is not None and "spam.example" in LISTS.shown(found.salvage.former.value)  # type: ignore[union-attr]
    write_anew(any_vault, LISTS, found, former=True)
    assert read_lists(any_vault) == first
    damage(any_vault, "address-lists")
    found = look(any_vault, LISTS)
    assert found is not None
    write_anew(any_vault, LISTS, found)
    assert read_lists(any_vault) == AddressLists()


def test_no_more_former_versions_are_kept_than_needed(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "FORMER", 4)
    for number in range(1, 9):
        change_settings(any_vault, Settings(max_size=number << 30))
    assert any_vault.models.Configuration.select().count() == 1 + configuration.FORMER
    assert not problems(any_vault)
