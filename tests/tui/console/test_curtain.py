"""The cover of a console that turns out not to lock goes away again, whatever came up meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from textual.pilot import Pilot

from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tui.console.app import MailholdApp
from tui.console.dialogs.delete import DeleteDialog
from tui.console.lock import locking
from tui.console.lock.lock_app import Curtain


@pytest.fixture
def go_on(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let no passphrase open the store, which the console finds out once the event is set."""
    event = threading.Event()

    def opens_with_passphrase(_vault: Vault) -> bool:
        event.wait(10)
        return False

    monkeypatch.setattr(locking, "opens_with_passphrase", opens_with_passphrase)
    return event


async def uncovered(app: MailholdApp, pilot: Pilot[Any]) -> None:
    for _ in range(200):
        await pilot.pause(0.01)
        if not isinstance(app.screen, Curtain):
            break
    await settle(pilot)


@pytest.mark.parametrize("suspended", [True, False])
async def test_a_window_that_comes_up_while_the_console_is_covered_opens_afterwards(
    vault: Vault, go_on: threading.Event, suspended: bool
) -> None:
    """A short look for the window does not count as a running task; with key files only, the console does not lock."""
    app = make_console(vault)
    answers: list[bool | None] = []
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.lock.possible = True
        (app.lock.suspended if suspended else app.lock.now)()
        await pilot.pause()
        assert isinstance(app.screen, Curtain)
        app.ask(DeleteDialog(3), answers.append)
        await pilot.pause()
        assert isinstance(app.screen, Curtain)
        go_on.set()
        await uncovered(app, pilot)
        assert isinstance(app.screen, DeleteDialog) and not answers
        await pilot.press("escape")
        await settle(pilot)
        assert app.screen is app.main and answers == [False]


async def test_a_window_that_is_answered_while_it_is_covered_closes_afterwards(
    vault: Vault, go_on: threading.Event
) -> None:
    """Save closes once the folder was checked, in a thread: it must not close the cover in its place."""
    app = make_console(vault)
    answers: list[bool | None] = []
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        app.lock.possible = True
        dialog = DeleteDialog(3)
        app.ask(dialog, answers.append)
        await pilot.pause()
        app.lock.suspended()
        await pilot.pause()
        dialog.dismiss(True)
        await pilot.pause()
        assert isinstance(app.screen, Curtain) and not answers
        go_on.set()
        await uncovered(app, pilot)
        assert app.screen is app.main and answers == [True]
