"""Snapshots of the Bin and its windows."""

from __future__ import annotations

import pytest

from store.authority.settings import Settings
from store.space.changing_settings import change_settings
from tests.tui.console.bin_data import fill_bin
from tests.tui.console.driven import make_console, settle
from tests.tui.console.view_harness import NOW
from tui.console.theme import LIGHT, SIXTEEN


@pytest.fixture
def console(vault, monkeypatch):
    monkeypatch.setattr("store.authority.deleting.now_ms", lambda: NOW)
    monkeypatch.setattr("store.vault.bin.now_ms", lambda: NOW)
    fill_bin(vault)
    app = make_console(vault)
    app.arming_delay = None
    return app


def pressing(*keys: str):
    async def run(pilot):
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return run


SHOWN = {
    "acts": ("9", "G"),
    "copies": ("9", "G", "enter", "space", "space"),
    "bring_back": ("9", "j", "u"),
    "for_good": ("9", "j", "d"),
    "deliver": ("9", "enter", "r"),
    "view": ("9", "enter", "enter"),
}


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 40)])
@pytest.mark.parametrize("name", SHOWN)
def test_bin(snap_compare, console, name, size):
    assert snap_compare(console, run_before=pressing(*SHOWN[name]), terminal_size=size)


@pytest.mark.parametrize("theme", [LIGHT.name, SIXTEEN.name])
def test_bin_in_other_themes(snap_compare, console, theme):
    console.theme = theme
    assert snap_compare(console, run_before=pressing("9", "G"), terminal_size=(80, 24))


def test_bin_without_colour(snap_compare, console, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(console, run_before=pressing("9", "G"), terminal_size=(80, 24))


def test_a_promise_that_will_not_hold(snap_compare, console, vault):
    change_settings(vault, Settings(max_size=vault.count().used_bytes, notify_below=0, bin_share=0))
    assert snap_compare(console, run_before=pressing("9", "j"), terminal_size=(160, 40))


@pytest.mark.parametrize("keys", [("1",), ("7",)])
def test_monitoring_and_settings_name_the_bin(snap_compare, console, keys):
    assert snap_compare(console, run_before=pressing(*keys), terminal_size=(80, 30))
