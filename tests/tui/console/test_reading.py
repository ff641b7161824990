"""The console on a store that it can only read, temporarily or permanently."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from store.catalogue.catalogue import Catalogue
from store.database import connection
from store.database.modes import Use
from store.files.saving import SAVED_BY_SHOW
from store.opening.opening import Unlock, create_store, open_store
from store.vault.vault import Vault
from tests import small_disk
from tests.conftest import PASSPHRASE
from tests.tui.console.driven import TZ, lines, poll, settle, the_list
from tests.tui.console.fakes import NOW, sample
from tests.write_lock import write_lock_held
from tui.console import app as console_app
from tui.console.app import MailholdApp
from tui.console.dialogs.delete import DeleteDialog


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Callable[[Vault], MailholdApp]:
    """Make the console on a vault. It delivers nothing by itself."""
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)

    def make(vault: Vault) -> MailholdApp:
        catalogue = Catalogue(vault, snapshot=None, now=lambda: NOW)
        return MailholdApp(vault, catalogue=catalogue, operator="ada", clock=lambda: NOW, tz=TZ, host="mx1")

    return make


async def listed(pilot: Pilot[Any], count: int) -> None:
    """Wait until the list has this many copies."""
    app = pilot.app
    assert isinstance(app, MailholdApp)
    for _ in range(400):
        await poll(pilot)
        if the_list(app).count == count and app.catalogue.complete:
            return
    raise AssertionError(f"{the_list(app).count} copies are listed, not {count}")


@pytest.mark.integration
async def test_a_console_on_a_read_only_mount_says_so_and_changes_nothing(
    console: Callable[[Vault], MailholdApp],
) -> None:
    with small_disk.small_disk(12) as disk:
        location = str(disk / "mail.store")
        made, _recovery = create_store(location, passphrase=PASSPHRASE)
        made.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(3))
        made.close()
        with small_disk.read_only(disk):
            vault = open_store(location, Unlock.passphrase(PASSPHRASE), Use.EITHER)
            app = console(vault)
            async with app.run_test(size=(120, 30)) as pilot:
                await listed(pilot, 3)
                assert "Mailhold  READ-ONLY" in lines(app)[0]
                assert any(
                    "This store is open for reading only: its file system is read-only" in line for line in lines(app)
                )
                await pilot.press("h", "d")
                await settle(pilot)
                assert not isinstance(app.screen, DeleteDialog)
                shown = str(app.main.notice_line.line.render()).removeprefix("△ ")
                assert shown == "This store is open for reading only: its file system is read-only."
                assert app.cannot("delete") == shown and app.cannot("view") is None
                assert app.cannot("save") == app.cannot("view-save") == f"{shown} {SAVED_BY_SHOW}"
            vault.close()


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


async def test_a_console_whose_store_is_gone_says_so_until_it_is_back(
    vault: Vault, console: Callable[[Vault], MailholdApp]
) -> None:
    """An open file can be read even after it was removed or replaced: nothing on the screen would change any more."""
    vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(3))
    path = Path(vault.location)
    aside = path.with_name("aside")
    app = console(vault)
    async with app.run_test(size=(120, 30)) as pilot:

        async def shown(words: str) -> str:
            for _ in range(100):
                await poll(pilot)
                if words in str(app.main.notice_line.line.render()):
                    return " ".join(lines(app)[0].split())
            raise AssertionError(f"{words} is not in {lines(app)}")

        await listed(pilot, 3)
        path.rename(aside)
        assert (await shown("is not there any more")).startswith("Mailhold OUT OF DATE")
        shutil.copy(aside, path)
        assert (await shown("Another store was put in the place of")).startswith("Mailhold OUT OF DATE")
        await pilot.press("h")
        assert (await shown("")).startswith("Mailhold OUT OF DATE")
        aside.replace(path)
        assert "OUT OF DATE" not in await shown("The store is available again.")


async def test_a_console_whose_store_does_not_answer_says_so_until_it_does(
    vault: Vault, console: Callable[[Vault], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put(b"Subject: x\r\n\r\nx\r\n", sample(1), stored_at=NOW)
    monkeypatch.setattr(console_app, "SILENT", 0.0)
    answers = threading.Event()
    app = console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await listed(pilot, 1)
        poll_now = app._follower.poll
        monkeypatch.setattr(app._follower, "poll", lambda: answers.wait(60) and poll_now())
        while not app.main.status.out_of_date:
            app._poll()
            await pilot.pause(0.01)
        assert "has not answered" in str(app.main.notice_line.line.render())
        answers.set()
        while app.main.status.out_of_date:
            await pilot.pause(0.01)
        assert "available again" in str(app.main.notice_line.line.render())
