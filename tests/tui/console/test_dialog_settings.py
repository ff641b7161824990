"""The Backup settings window: every setting in and out, validation and warnings inline."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.widgets import Static

from store.authority.settings import Settings, Unavailable
from tests.tui.console.view_harness import NOTHING, DialogApp
from tui.console.dialogs.backup_settings import BackupSettingsDialog
from tui.console.widgets.controls import Choice, Field, PushButton

MIB = 1 << 20
FULL = Settings(
    max_size=7500 * MIB + 1,
    notify_below=123 * MIB + 7,
    allow_infected=True,
    if_unavailable=Unavailable.TEMPORARY_FAIL,
    relay="smtps://user:se:cr%2Fet@mx.example.org:465",
    administrator="postmaster@example.org",
)


def says(app: DialogApp, name: str) -> str:
    line = app.screen.query_one(f"#{name}-says", Static)
    return str(line.visual) if line.display else ""


@pytest.mark.parametrize("stored", [Settings(), FULL])
async def test_untouched_settings_come_back_to_the_byte(stored):
    app = DialogApp(BackupSettingsDialog(stored))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        assert app.answer == stored


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 2**50), st.integers(0, 2**50))
async def test_any_untouched_size_comes_back(max_size, notify_below):
    stored = Settings(max_size=max_size, notify_below=notify_below)
    app = DialogApp(BackupSettingsDialog(stored))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        assert app.answer == stored


async def test_every_setting_can_be_changed():
    app = DialogApp(BackupSettingsDialog(Settings()))
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#max_size", Field).value = "200 MB"
        app.screen.query_one("#notify_below", Field).value = "10MB"
        app.screen.query_one("#relay", Field).value = "smtp://127.0.0.1:10025"
        app.screen.query_one("#administrator", Field).value = "root@example.org"
        app.screen.query_one("#allow_infected", Choice).focus()
        await pilot.press("left", "tab", "right", "right", "enter")
        assert app.answer == Settings(
            max_size=200 * MIB,
            notify_below=10 * MIB,
            allow_infected=True,
            if_unavailable=Unavailable.REJECT,
            relay="smtp://127.0.0.1:10025",
            administrator="root@example.org",
        )


@pytest.mark.parametrize("width", [60, 50, 40])
async def test_every_field_can_be_read_in_a_narrow_terminal(width):
    app = DialogApp(BackupSettingsDialog(Settings()))
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        for field in app.screen.query(Field):
            assert field.content_size.width >= 5, field.id


async def test_the_size_fields_say_mb_and_mean_it():
    """200 in Backup maximum size once meant 200 bytes."""
    app = DialogApp(BackupSettingsDialog(Settings()))
    async with app.run_test(size=(80, 24)) as pilot:
        maximum, threshold = (app.screen.query_one(f"#{name}", Field) for name in ("max_size", "notify_below"))
        units = [app.screen.query_one(f"#{name}-unit", Static) for name in ("max_size", "notify_below")]
        assert (maximum.value, threshold.value) == ("7500", "500")
        assert [str(unit.visual) for unit in units] == ["MB", "MB"]
        maximum.value, threshold.value = "7,5 GB", "0.5 gb"
        await pilot.pause()
        assert [str(unit.visual) for unit in units] == ["= 7,680 MB", "= 512 MB"]
        assert all(app.screen.region.contains_region(unit.region) for unit in units)
        maximum.value, threshold.value = "200", "20.5"
        await pilot.pause()
        assert [str(unit.visual) for unit in units] == ["MB", "MB"]
        await pilot.press("enter")
        assert app.answer == Settings(max_size=200 * MIB, notify_below=20 * MIB + MIB // 2)


async def test_escape_changes_nothing():
    app = DialogApp(BackupSettingsDialog(FULL))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("1", "escape")
        assert app.answer is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_size", "much", "not a size"),
        ("max_size", "0", "cannot be 0"),
        ("notify_below", "-1", "not a size"),
        ("relay", "ftp://x", "smtp://"),
        ("administrator", "<x", "not an email address"),
    ],
)
async def test_what_is_wrong_is_said_under_its_field(name, value, words):
    app = DialogApp(BackupSettingsDialog(Settings()))
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one(f"#{name}", Field).value = value
        await pilot.press("enter")
        await pilot.pause()
        assert app.answer is NOTHING
        assert words in says(app, name).replace("\n", " ")
        assert app.focused is app.screen.query_one(f"#{name}")


async def test_warnings_do_not_stop():
    app = DialogApp(BackupSettingsDialog(Settings(notify_below=0), used_bytes=600 * MIB))
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#max_size", Field).value = "99 MB"
        await pilot.pause()
        warning = says(app, "max_size").replace("\n", " ")
        assert "100 MB is not recommended" in warning
        assert "deletes the oldest copies (501 MB) for good" in warning
        await pilot.press("enter")
        assert app.answer == Settings(max_size=99 * MIB, notify_below=0)


async def test_the_threshold_is_judged_beside_the_maximum_as_it_is_entered():
    app = DialogApp(BackupSettingsDialog(Settings()))
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#max_size", Field).value = "400 MB"
        await pilot.pause()
        assert says(app, "max_size") == ""
        assert "smaller than the maximum" in says(app, "notify_below").replace("\n", " ")
        app.screen.query_one("#notify_below", Field).value = "40 MB"
        await pilot.pause()
        assert says(app, "notify_below") == ""


@pytest.mark.parametrize("option", Unavailable)
async def test_what_an_option_means_is_indented_on_every_line(option):
    app = DialogApp(BackupSettingsDialog(Settings(if_unavailable=option)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        said = app.screen.query_one("#unavailable-explained", Static)
        choice = app.screen.query_one("#if_unavailable", Choice)
        assert not str(said.visual).startswith(" ")
        assert said.content_region.x == choice.content_region.x


async def test_the_relays_password_is_not_drawn():
    app = DialogApp(BackupSettingsDialog(FULL))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "se:cr" not in app.export_screenshot()


async def test_buttons_stay_in_sight_with_every_line_said():
    stored = Settings(max_size=50 * MIB, allow_infected=True)
    app = DialogApp(BackupSettingsDialog(stored, used_bytes=5 << 30))
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#relay", Field).value = "x"
        app.screen.query_one("#administrator", Field).value = "x"
        await pilot.press("enter")
        await pilot.pause()
        for button in app.screen.query(PushButton):
            assert button.region.height == 1
            assert app.screen.region.contains_region(button.region)
