"""Snapshots of the console: list, filter, marks, tree, windows; narrow and wide, light, 16 colours and none."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from textual.pilot import Pilot

from store.authority.settings import Settings
from store.delivery.releases import Releases
from store.mail.outcome import Delivered
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tests.tui.console.fakes import FakeCatalogue, copies
from tui.console.app import MailholdApp

SIZES = [(80, 24), (160, 40)]
Shown = Callable[..., bool]


def prepared(vault: Vault, *, empty: bool = False) -> MailholdApp:
    change_settings(vault, Settings(relay="smtp://mx2.example.org"))
    catalogue = FakeCatalogue([] if empty else copies(1204))
    return make_console(vault, catalogue)


@pytest.fixture(autouse=True)
def some_were_released(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = dict(zip((1202, 1199, 1198, 1196, 1195), list(Delivered)[1:], strict=True))

    def read(self: Releases) -> None:
        self.outcomes = outcomes

    monkeypatch.setattr(Releases, "read", read)


def pressing(*keys: str) -> Callable[[Pilot[Any]], Any]:
    async def before(pilot: Pilot[Any]) -> None:
        await settle(pilot)
        for _, run in groupby(keys, key=lambda key: len(key) == 1):
            await pilot.press(*run)
            await settle(pilot)

    return before


LONG_FILTER = "from:exa -status:spam since:2026-11-01T08:00 scan:anti-spam size:<=512"
PICTURES: dict[str, tuple[str, ...]] = {
    "list": ("j", "j"),
    "marked": ("j", "space", "space", "j", "space", "v", "j", "j"),
    "filter": ("slash", *"subject:invoice period:3days"),
    "filtered": ("slash", *"subject:invoice -scan:content", "enter", "j", "asterisk"),
    "nothing_found": ("slash", *"no-such-word", "enter"),
    "tree": ("tab", "down", "down"),
    "search_filter": ("f",),
    "search_filter_custom": ("slash", *LONG_FILTER, "enter", "f"),
    "sort": ("o",),
    "copy": ("y",),
    "mark_query": ("T", *"scan:anti-phishing"),
    "help": ("question_mark",),
    "palette": ("colon",),
    "notice": ("y", "f"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PICTURES)
def test_picture(snap_compare: Shown, vault: Vault, name: str, size: tuple[int, int]) -> None:
    app = prepared(vault)
    keys = pressing(*PICTURES[name])
    assert snap_compare(app, terminal_size=size, run_before=keys)


@pytest.mark.parametrize("theme", ["mailhold-light", "mailhold-16"])
def test_theme(snap_compare: Shown, vault: Vault, theme: str) -> None:
    app = prepared(vault)
    app.theme = theme
    keys = pressing("j", "space", "space")
    assert snap_compare(app, terminal_size=(100, 24), run_before=keys)


def test_without_colour(snap_compare: Shown, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = prepared(vault)
    assert app.no_color
    assert snap_compare(app, terminal_size=(100, 24), run_before=pressing("j", "space", "space"))


def test_an_empty_backup(snap_compare: Shown, vault: Vault) -> None:
    assert snap_compare(prepared(vault, empty=True), terminal_size=(80, 24), run_before=pressing())


def test_a_very_narrow_terminal(snap_compare: Shown, vault: Vault) -> None:
    assert snap_compare(prepared(vault), terminal_size=(40, 14), run_before=pressing("j"))
