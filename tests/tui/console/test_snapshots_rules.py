"""Snapshots of Rules and Address lists."""

from __future__ import annotations

import pytest

from store.judging.rules.rules import read_rules
from tests.tui.console.rule_data import fill
from tests.tui.console.test_snapshots_views import pressing
from tests.tui.console.view_harness import DialogApp, ViewApp, until_shown
from tui.console.dialogs.list_entries import AddEntriesDialog
from tui.console.dialogs.rule import RuleDialog
from tui.console.screens.address_lists import AddressListsView
from tui.console.screens.rules import RulesView
from tui.console.theme import LIGHT, SIXTEEN


@pytest.mark.parametrize("size", [(57, 20), (80, 24), (140, 40)])
def test_rules(snap_compare, vault, size):
    fill(vault)
    assert snap_compare(ViewApp(vault, RulesView), run_before=pressing(), terminal_size=size)


@pytest.mark.parametrize("theme", [LIGHT.name, SIXTEEN.name])
def test_rules_in_other_themes(snap_compare, vault, theme):
    fill(vault)
    assert snap_compare(ViewApp(vault, RulesView, theme=theme), run_before=pressing("j"), terminal_size=(80, 24))


def test_rules_without_colour(snap_compare, vault, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    fill(vault)
    assert snap_compare(ViewApp(vault, RulesView), run_before=pressing("j"), terminal_size=(80, 24))


@pytest.mark.parametrize(("size", "keys"), [((80, 24), ()), ((80, 24), ["tab"] * 25), ((100, 50), ())])
def test_rule_window(snap_compare, vault, size, keys):
    fill(vault)
    dialog = RuleDialog(read_rules(vault)[0])

    async def press(pilot):
        await pilot.press(*keys)
        await until_shown(pilot)

    assert snap_compare(DialogApp(dialog), run_before=press, terminal_size=size)


def test_default_window_with_an_error(snap_compare, vault):
    async def press(pilot):
        pilot.app.screen.query_one("#max_size").focus()
        await pilot.press(*"huge", "enter")
        await until_shown(pilot, "'huge' is not a size.")

    assert snap_compare(DialogApp(RuleDialog(read_rules(vault)[0])), run_before=press, terminal_size=(80, 24))


@pytest.mark.parametrize("size", [(57, 20), (80, 24)])
def test_address_lists(snap_compare, vault, size):
    fill(vault)
    assert snap_compare(ViewApp(vault, AddressListsView), run_before=pressing("j"), terminal_size=size)


@pytest.mark.parametrize("user", ["", "ceo@corp.example"])
def test_add_window(snap_compare, user):
    assert snap_compare(DialogApp(AddEntriesDialog("white", user)), terminal_size=(80, 24))
