"""The console on a store that it can only read, for now or at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from store.catalogue.catalogue import Catalogue
from store.database import connection
from store.opening.opening import Unlock, open_store
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.tui.console.driven import TZ, poll, the_list
from tests.tui.console.fakes import NOW, sample
from tests.write_lock import write_lock_held
from tui.console.app import MailholdApp


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Callable[[Vault], MailholdApp]:
    """Makes the console on a vault. It delivers nothing by itself."""
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)

    def make(vault: Vault) -> MailholdApp:
        catalogue = Catalogue(vault, snapshot=None, now=lambda: NOW)
        return MailholdApp(vault, catalogue=catalogue, operator="ada", clock=lambda: NOW, tz=TZ, host="mx1")

    return make


async def listed(pilot: Pilot[Any], count: int) -> None:
    """Wait until the list has so many copies."""
    app = pilot.app
    assert isinstance(app, MailholdApp)
    for _ in range(400):
        await poll(pilot)
        if the_list(app).count == count and app.catalogue.complete:
            return
    raise AssertionError(f"{the_list(app).count} copies are listed, not {count}")


async def test_the_console_opens_while_another_process_writes(
    vault: Vault, console: Callable[[Vault], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(3))
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    with write_lock_held(vault.location):
        opened = open_store(vault.location, Unlock.passphrase(PASSPHRASE))
        app = console(opened)
        async with app.run_test(size=(100, 30)) as pilot:
            await listed(pilot, 3)
        opened.close()
