"""Settings: the values in force under the spec's names, and the window."""

from __future__ import annotations

import pytest

from store.authority.settings import Settings, Unavailable
from tests.tui.console.view_harness import ViewApp, screen_text, settle
from tui.console.context import ConsoleContext
from tui.console.screens.settings import SettingsView, setting_lines

FULL = Settings(
    allow_infected=True,
    if_unavailable=Unavailable.TEMPORARY_FAIL,
    relay="smtps://user:secret@mx1.example.org:465",
    administrator="postmaster@example.org",
    local_domains=("corp.example", ".corp.example"),
    lock_after=15,
    hold=20,
    hold_many=0,
)


@pytest.mark.parametrize("width", [57, 80, 120])
def test_every_setting_is_named_as_in_the_spec(width):
    text = " ".join("".join(span.text for span in line if span.kind == "label") for line in setting_lines(FULL, width))
    joined = " ".join(text.split())
    for name in (
        "Backup maximum size",
        "Free space threshold to notify about",
        "Allow delivery of infected messages",
        "Actions to take on messages if Backup is unavailable",
        "Relay",
        "Administrator",
        "Local domains",
        "A release waits",
        "Lock after so long without input",
    ):
        assert name in joined


def test_what_the_relay_does_is_shown_once_it_is_set():
    def shown(settings):
        return "\n".join("".join(span.text for span in line) for line in setting_lines(settings, 100))

    assert "leads back" not in shown(FULL) and "Header fields" not in shown(FULL)
    text = shown(Settings(release_loops=True, release_ignores=("X-Foo", "X-Bar")))
    assert "The relay leads back here" in text and "Yes: released messages carry a marker" in text
    assert "Header fields that the relay adds" in text and "X-Foo, X-Bar" in text


async def test_values_are_shown_without_the_password(vault):
    app = ViewApp(vault, SettingsView, settings=FULL)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        for words in (
            "7.32 GB",
            "500 MB",
            "Yes",
            "Temporary fail",
            "smtps://user:••••@mx1.example.org:465",
            "corp.example, .corp",
            "15 minutes",
            "20 s; off for more than 50 copies",
        ):
            assert words in text
        assert "secret" not in text


async def test_it_follows_changes_and_opens_the_window(vault, monkeypatch):
    opened: list[ConsoleContext] = []
    monkeypatch.setattr("tui.console.screens.settings.backup_settings", opened.append)
    app = ViewApp(vault, SettingsView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Not set: nothing can be delivered" in screen_text(app)
        app.console_context.settings = FULL
        app.view.refresh_data()
        await settle(pilot)
        assert "Not set" not in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert opened == [app.console_context]
        await pilot.press("escape")
        assert ("go", "backup") in app.asked
