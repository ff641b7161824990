"""The console in a test: on a real vault, with a catalogue of plain lists and a fixed clock."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

from textual.pilot import Pilot

from store.vault.vault import Vault
from tests.tui.console.fakes import NOW, FakeCatalogue, copies
from tui.console.app import MailholdApp
from tui.console.theme import DARK
from tui.console.widgets.message_list import MessageList

TZ = timezone(timedelta(hours=2))


def make_console(vault: Vault, catalogue: FakeCatalogue | None = None, count: int = 40) -> MailholdApp:
    """Make a console for an operator named ada, at a fixed time and place."""
    catalogue = FakeCatalogue(copies(count)) if catalogue is None else catalogue
    app = MailholdApp(
        vault,
        catalogue=catalogue,
        operator="ada",
        clock=lambda: NOW,
        tz=TZ,
        host="mx1.example.org",
    )
    app.theme = DARK.name
    return app


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until no thread works for the console and everything is painted."""
    app = pilot.app
    assert isinstance(app, MailholdApp)
    for _ in range(400):
        await pilot.pause(0.01)
        if app.idle():
            await pilot.pause()
            if app.idle():
                return
    raise AssertionError("the console is still working after four seconds")


async def poll(pilot: Pilot[Any]) -> None:
    """Let the console poll the store for changes now."""
    pilot.app.store_changed()
    await settle(pilot)


def the_list(app: MailholdApp) -> MessageList:
    """Return the console's message list."""
    return app.main.backup.list


def lines(app: MailholdApp) -> list[str]:
    """Return the screen as text."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip)[:width] for strip in strips[:height]]


def counts(app: MailholdApp) -> str:
    """Return the counts shown in the filter line."""
    return str(app.main.backup.line.query_one("#counts").render())
