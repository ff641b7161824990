"""The console on a full disk: it says so, and deletes for good only after asking for the number of copies."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from store.catalogue.catalogue import Catalogue
from store.database.modes import Use
from store.opening.opening import Unlock, create_store, open_store
from store.vault.vault import Vault
from tests import small_disk
from tests.conftest import PASSPHRASE
from tests.tui.console.driven import TZ, lines, poll, settle, the_list
from tests.tui.console.fakes import NOW, sample
from tui.commands.cli import main
from tui.console.app import MailholdApp
from tui.console.dialogs.delete import DeleteDialog

COPIES = 109


@pytest.fixture(autouse=True)
def real_ballast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.vault.ballast.BALLAST_BYTES", 4 * 1024 * 1024)


@contextmanager
def full_store(*, free: int = 0) -> Iterator[Vault]:
    """Open a store on a disk that is full but for `free` bytes."""
    with small_disk.small_disk(12) as disk:
        location = str(disk / "mail.store")
        vault, _recovery = create_store(location, passphrase=PASSPHRASE)
        vault.put_many((os.urandom(4000), sample(number), NOW) for number in range(COPIES))
        vault.close()
        small_disk.fill(disk)
        filler = disk / "filler"
        os.truncate(filler, filler.stat().st_size - free)
        vault = open_store(location, Unlock.passphrase(PASSPHRASE), Use.EITHER)
        yield vault
        vault.close()


@asynccontextmanager
async def console(vault: Vault) -> AsyncIterator[tuple[MailholdApp, Pilot[Any]]]:
    catalogue = Catalogue(vault, snapshot=None, now=lambda: NOW)
    app = MailholdApp(vault, catalogue=catalogue, operator="ada", clock=lambda: NOW, tz=TZ, host="mx1")
    async with app.run_test(size=(120, 30)) as pilot:
        for _ in range(400):
            await poll(pilot)
            if the_list(app).count == COPIES and app.catalogue.complete:
                break
        yield app, pilot


async def window(app: MailholdApp, pilot: Pilot[Any]) -> DeleteDialog:
    for _ in range(400):
        await settle(pilot)
        if isinstance(app.screen, DeleteDialog):
            return app.screen
    raise AssertionError("no Delete window")


async def left(vault: Vault, app: MailholdApp, pilot: Pilot[Any], count: int) -> None:
    for _ in range(400):
        await poll(pilot)
        if not app.tasks.running and len(vault.ids()) == count:
            return
    raise AssertionError(f"{len(vault.ids())} copies are left, not {count}")


async def test_what_the_window_says_goes_into_the_bin_does() -> None:
    with full_store(free=700 * 1024) as vault:
        async with console(vault) as (app, pilot):
            assert "Mailhold  DISK FULL" in lines(app)[0]
            assert any("The disk of this store is full: no new copies can be placed" in line for line in lines(app))
            await pilot.press("asterisk", "d")
            asked = await window(app, pilot)
            assert "They go to the bin, which keeps them until" in asked.question and not asked.typed
            await pilot.pause(0.4)
            await pilot.press("enter")
            await left(vault, app, pilot, 0)
            assert len(vault.bin.ids()) == COPIES and vault.tombstones_since(0)[1] == []


async def test_without_room_for_the_bin_the_window_asks_for_the_number() -> None:
    with full_store() as vault:
        async with console(vault) as (app, pilot):
            await pilot.press("asterisk", "d")
            asked = await window(app, pilot)
            assert "The disk is full, and the bin has no room: this deletes permanently." in asked.question
            assert asked.typed == COPIES
            await pilot.pause(0.4)
            await pilot.press("enter")
            await settle(pilot)
            assert app.screen is asked and len(vault.ids()) == COPIES


async def test_where_the_bin_turns_out_to_have_no_room_nothing_is_deleted_and_the_number_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with full_store() as vault:
        monkeypatch.setattr(vault.room, "has_some", lambda: True)
        make: Callable[..., bool] = vault.room.make
        monkeypatch.setattr(vault.room, "make", lambda *, frees=True: frees and make())
        async with console(vault) as (app, pilot):
            await pilot.press("asterisk", "d")
            first = await window(app, pilot)
            assert "They go to the bin" in first.question
            await pilot.pause(0.4)
            await pilot.press("enter")
            for _ in range(400):
                await poll(pilot)
                if isinstance(app.screen, DeleteDialog) and app.screen is not first:
                    break
            second = await window(app, pilot)
            assert second is not first and second.typed == COPIES - len(vault.bin.ids()) == len(vault.ids())
            assert "this deletes permanently" in second.question and vault.tombstones_since(0)[1] == []
            await pilot.pause(0.4)
            await pilot.press(*str(second.typed), "enter")
            await left(vault, app, pilot, 0)
            assert len(vault.tombstones_since(0)[1]) == second.typed


async def test_the_top_line_follows_the_disk(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    short = False
    monkeypatch.setattr(vault.room, "is_short", lambda: short)
    vault.put_many((b"x", sample(number), NOW) for number in range(COPIES))
    async with console(vault) as (app, pilot):
        assert "DISK FULL" not in lines(app)[0]
        short = True
        await poll(pilot)
        assert "DISK FULL" in lines(app)[0]
        short = False
        await poll(pilot)
        assert "DISK FULL" not in lines(app)[0]


@pytest.mark.parametrize("yes", [["--yes"], []])
def test_the_command_deletes_nothing_where_the_bin_has_no_room(
    yes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with small_disk.small_disk(12) as disk:
        monkeypatch.setenv("MAILHOLD_STORE", str(disk / "mail.store"))
        monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
        assert main(["init"]) == 0
        vault = open_store(str(disk / "mail.store"), Unlock.key_file(tmp_path / "key"))
        vault.put_many((os.urandom(4000), sample(number), NOW) for number in range(20))
        vault.close()
        with (disk / "mail.store.ballast").open("r+b") as file:
            file.truncate(300_000)
        small_disk.fill(disk)
        assert main(["delete", "1-3", *yes]) == 1
        err = capfd.readouterr().err
        assert "Nothing was deleted: the disk is full: the bin has no room." in err and "add --for-good" in err
        assert main(["delete", "1-3", "--for-good", "--yes"]) == 0
        assert "3 deleted\n" in capfd.readouterr().out
