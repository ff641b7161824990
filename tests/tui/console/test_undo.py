"""`z` and `Z` in the console: they name the act, ask, and report what did not come back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from textual.widgets import Static

from store.authority.deleting import delete_copies
from store.authority.settings import Settings
from store.catalogue.catalogue import Catalogue
from store.judging.rules.address_lists import added, change_lists, read_lists, removed
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.driven import lines, make_console, settle
from tests.tui.console.view_data import RAW, record_of
from tests.tui.console.view_harness import NOW
from tui.console.app import MailholdApp
from tui.console.dialogs.undo import UndoDialog, UndoneDialog


@pytest.fixture
def console(vault: Vault) -> MailholdApp:
    vault.put(RAW, record_of(RAW), stored_at=NOW - 60_000)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    return make_console(vault, catalogue)


def block(vault: Vault, *entries: str, operator: str = "") -> None:
    change_lists(vault, lambda lists: added(lists, "black", entries), operator)


async def until(pilot: Any, what: Any) -> None:
    for _ in range(1000):
        await settle(pilot)
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("\n".join(lines(pilot.app)))


def said(app: MailholdApp, part: str) -> str:
    return str(app.screen.query_one(part, Static).visual)


def shown(app: MailholdApp) -> str:
    return "\n".join(lines(app))


async def test_it_names_the_act_asks_and_can_be_done_again(console: MailholdApp, vault: Vault) -> None:
    operator = console.context.operator
    block(vault, "spammer.example", operator=operator)
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Your account" in shown(console))
        await pilot.press("z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        assert said(console, "#does") == "✓ black list of the organisation: removed spammer.example"
        await pilot.press("escape")
        await settle(pilot)
        assert read_lists(vault).black == ("spammer.example",)
        await pilot.press("z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "Undone: black list of the organisation: removed" in shown(console))
        assert read_lists(vault).black == ()
        await pilot.press("z")
        await until(pilot, lambda: "There is nothing to undo" in shown(console))
        await pilot.press("Z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "Redone: black list of" in shown(console))
        assert read_lists(vault).black == ("spammer.example",)
        await pilot.press("Z")
        await until(pilot, lambda: "There is nothing to redo" in shown(console))


async def test_settings_are_named_as_the_console_names_them(console: MailholdApp, vault: Vault) -> None:
    operator = console.context.operator
    change_settings(vault, Settings(relay="smtp://127.0.0.1:2525"), operator=operator)
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Your account" in shown(console))
        await pilot.press("z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        assert said(console, "#does") == "✓ Relay: smtp://127.0.0.1:2525 → -"
        assert "settings changed: Relay: - → smtp://127.0.0.1:2525" in shown(console)
        await pilot.press("enter")
        await until(pilot, lambda: "Undone: Relay: smtp://127.0.0.1:2525 → -" in shown(console))


async def test_what_changed_between_the_question_and_the_answer_is_told(console: MailholdApp, vault: Vault) -> None:
    block(vault, "one.example", "two.example", operator=console.context.operator)
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Your account" in shown(console))
        await pilot.press("z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        change_lists(vault, lambda lists: removed(lists, "black", ["two.example"]), "a colleague")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(console.screen, UndoneDialog))
        assert said(console, "#does") == "✓ black list of the organisation: removed one.example"
        await pilot.press("enter")
        await settle(pilot)
        assert read_lists(vault).black == ()


async def test_a_deletion_comes_back_and_a_line_says_so(console: MailholdApp, vault: Vault) -> None:
    delete_copies(vault, vault.ids(), operator=console.context.operator)
    async with console.run_test(size=(80, 24)) as pilot:
        await pilot.press("z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        assert said(console, "#does") == "✓ 1 copy brought back from the bin"
        await pilot.press("enter")
        await until(pilot, lambda: "Undone: 1 copy brought back from the bin" in shown(console))
        await until(pilot, lambda: "Your account" in shown(console))
        assert len(vault.ids()) == 1


async def test_keys_pressed_too_fast_take_nothing_back(console: MailholdApp, vault: Vault) -> None:
    block(vault, "spammer.example", operator=console.context.operator)
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Your account" in shown(console))
        await pilot.press("z", "z", "Z", "y")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        await pilot.press("z", "y", "t", "Z")
        await settle(pilot)
        assert read_lists(vault).black == ("spammer.example",)


async def test_marks_of_copies_that_one_deletes_again_are_not_lost_to_others(
    console: MailholdApp, vault: Vault
) -> None:
    delete_copies(vault, vault.ids(), operator=console.context.operator)
    async with console.run_test(size=(80, 24)) as pilot:
        rows = console.main.backup.list
        await pilot.press("z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "Your account" in shown(console))
        await pilot.press("asterisk")
        await until(pilot, lambda: rows.marks.count == 1)
        await pilot.press("Z")
        await until(pilot, lambda: isinstance(console.screen, UndoDialog))
        await pilot.press("enter")
        await until(pilot, lambda: "Redone: 1 copy moved to the bin again" in shown(console))
        await until(pilot, lambda: not rows.count)
        assert not rows.marks and rows.lost == 0 and not console.context.deleting
