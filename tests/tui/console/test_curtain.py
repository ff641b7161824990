"""The cover of a console that turns out not to lock goes away again, whatever came up meanwhile."""

from __future__ import annotations

import threading

import pytest

from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tui.console.dialogs.delete import DeleteDialog
from tui.console.lock import locking
from tui.console.lock.lock_app import Curtain


@pytest.mark.parametrize("suspended", [True, False])
async def test_a_window_that_comes_up_while_the_console_is_covered_opens_afterwards(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, suspended: bool
) -> None:
    """A short look for the window does not count as a running task; with key files only, the console does not lock."""
    go_on = threading.Event()

    def opens_with_passphrase(_vault: Vault) -> bool:
        go_on.wait(10)
        return False

    monkeypatch.setattr(locking, "opens_with_passphrase", opens_with_passphrase)
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
        for _ in range(200):
            await pilot.pause(0.01)
            if isinstance(app.screen, DeleteDialog):
                break
        assert isinstance(app.screen, DeleteDialog) and not answers
        await pilot.press("escape")
        await settle(pilot)
        assert app.screen is app.main and answers == [False]
