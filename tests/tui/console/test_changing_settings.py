"""A smaller Backup maximum size in the console: the deletion is shown and confirmed, and nothing more goes."""

from __future__ import annotations

import os
from typing import Any

import pytest
from textual.pilot import Pilot

from store.authority.settings import Settings, read_settings
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tui.console.app import MailholdApp
from tui.console.dialogs.backup_settings import BackupSettingsDialog
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.widgets.controls import Field
from tui.console.widgets.typed_count import TypedCount

MIB = 1 << 20
#: 24 November 2026, 07:39:30 in the console's zone.
PLACED = 1_795_498_770_000


def fill(vault: Vault, count: int = 6) -> list[int]:
    """Put copies of a quarter of a megabyte, a minute apart, the third of them at PLACED."""
    return [
        vault.put(os.urandom(MIB // 4), CopyRecord(), stored_at=PLACED + (number - 2) * 60_000)
        for number in range(count)
    ]


async def choose_maximum(pilot: Pilot[Any], text: str) -> None:
    """Open Backup settings, enter the maximum, and accept."""
    await pilot.press("B")
    await settle(pilot)
    assert isinstance(pilot.app.screen, BackupSettingsDialog)
    pilot.app.screen.query_one("#max_size", Field).value = text
    await pilot.press("enter")
    await settle(pilot)


def question(app: MailholdApp) -> str:
    assert isinstance(app.screen, ConfirmDialog)
    return f"{app.screen.question} {app.screen.warning}"


async def answer(pilot: Pilot[Any], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


def notice(app: MailholdApp) -> str:
    line = app.main.notice_line
    return str(line.line.render()) if line.display else ""


async def test_what_would_go_is_said_and_typed(vault: Vault) -> None:
    ids = fill(vault)
    app = make_console(vault)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await choose_maximum(pilot, "0.9")
        said = question(app)
        assert "3 oldest of 6 copies, all placed before 24 Nov 2026 07:40" in said and "cannot be undone" in said
        assert "920 KB" in said
        await answer(pilot, "2", "enter")
        assert isinstance(app.screen, ConfirmDialog), "another number does nothing"
        await answer(pilot, "escape")
        assert vault.ids() == ids and read_settings(vault) == Settings()
        assert "not changed" in notice(app)
        await choose_maximum(pilot, "0.9")
        await answer(pilot, "3", "enter")
        assert vault.ids() == ids[3:]
        assert "have been changed" in notice(app)
        assert app.context.settings.max_size == 920 * 1024


async def test_where_nothing_goes_nothing_is_asked(vault: Vault) -> None:
    ids = fill(vault)
    app = make_console(vault)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await choose_maximum(pilot, "200")
        assert not isinstance(app.screen, ConfirmDialog)
        assert read_settings(vault).max_size == 200 * MIB and vault.ids() == ids
        await choose_maximum(pilot, "1 GB")
        assert read_settings(vault).max_size == 1024 * MIB


@pytest.mark.parametrize("then", ["again", "cancelled"])
async def test_what_came_in_meanwhile_is_asked_about_again(vault: Vault, then: str) -> None:
    ids = fill(vault)
    app = make_console(vault)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await choose_maximum(pilot, "0.9")
        assert "3 oldest of 6" in question(app)
        ids += [vault.put(os.urandom(MIB // 4), CopyRecord())]
        await answer(pilot, "3", "enter")
        assert "4 oldest of 7" in question(app) and "meanwhile" in question(app)
        assert app.screen.query_one(TypedCount).field.value == ""
        assert vault.ids() == ids
        await answer(pilot, *(["4", "enter"] if then == "again" else ["escape"]))
        assert vault.ids() == (ids[4:] if then == "again" else ids)
        assert (read_settings(vault) == Settings()) is (then == "cancelled")


async def test_what_another_operator_set_meanwhile_stays(vault: Vault) -> None:
    fill(vault)
    app = make_console(vault)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await choose_maximum(pilot, "0.9")
        change_settings(vault, Settings(administrator="boss@x.example"))
        await answer(pilot, "3", "enter")
        settings = read_settings(vault)
        assert settings.administrator == "boss@x.example" and settings.max_size < MIB
