"""A console that finds campaigns in the background: soon after mail arrives, without leaving a process behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from store.campaigns.standing import Standing
from store.vault.vault import Vault
from tests.store.campaigns.mail import letter, put, put_wave
from tests.tui.console.driven import TZ, poll
from tests.tui.console.fakes import NOW, FakeCatalogue, copies
from tui.console.app import MailholdApp


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Record the finders that were started."""
    import store.campaigns.finder as module

    made: list[subprocess.Popen[bytes]] = []
    start = module.started

    def started(task: module.Task) -> subprocess.Popen[bytes]:
        made.append(start(task))
        return made[-1]

    monkeypatch.setattr(module, "started", started)
    return made


async def until(pilot: Pilot[Any], wanted: Callable[[Standing], bool]) -> Standing:
    """Wait for campaigns that satisfy the condition."""
    app = pilot.app
    assert isinstance(app, MailholdApp)
    for _ in range(600):
        await poll(pilot)
        if wanted(app.catalogue.standing):
            return app.catalogue.standing
        await pilot.pause(0.05)
    raise AssertionError(f"not found: {app.catalogue.standing.campaigns}")


async def test_campaigns_come_by_themselves(
    vault: Vault, processes: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.console.follow.FINDER_REST", 0.0)
    first, second, _ = put_wave(vault)
    app = MailholdApp(vault, catalogue=FakeCatalogue(copies(3)), clock=lambda: NOW, tz=TZ, host="mx1", finds=True)
    async with app.run_test(size=(80, 24)) as pilot:
        standing = await until(pilot, lambda standing: len(standing.campaigns) == 2)
        assert [list(one.copies) for one in standing.campaigns] == [first, second]
        [more] = put(vault, [letter(0, 100)])
        standing = await until(pilot, lambda standing: standing.place(more) is not None)
        place = standing.place(more)
        assert place is not None and place.campaign == 1
        assert processes and processes[-1].poll() is None
    assert all(each.poll() is not None for each in processes)


async def test_no_console_starts_a_process_that_is_not_told_to(
    vault: Vault, processes: list[subprocess.Popen[bytes]]
) -> None:
    put_wave(vault)
    app = MailholdApp(vault, catalogue=FakeCatalogue(copies(3)), clock=lambda: NOW, tz=TZ, host="mx1")
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(5):
            await poll(pilot)
        assert app.catalogue.standing.waiting == 65
    assert not processes
