"""Snapshots of the views: at the smallest terminal, wide, and in the terminal's own colours."""

from __future__ import annotations

import pytest

from store.authority.settings import Settings, Unavailable
from store.delivery.leases import claim as claim_due
from store.delivery.leases import settle as settle_claim
from store.delivery.queue import release
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from tests.tui.console.test_monitoring import COUNTS, days
from tests.tui.console.view_data import DAY, HOSTILE, RAW, fill_queue, record_of
from tests.tui.console.view_harness import NOW, NoCatalogue, ViewApp, settle
from tui.console.screens.events import EventsView
from tui.console.screens.message import TABS, MessageView
from tui.console.screens.monitoring import MonitoringView
from tui.console.screens.queue import QueueView
from tui.console.screens.settings import SettingsView
from tui.console.theme import DARK, LIGHT, SIXTEEN

MIB = 1 << 20


def pressing(*keys: str):
    async def run(pilot):
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)

    return run


def release_it(vault, copy_id: int) -> None:
    """Release a copy at `NOW` to two recipients, one of whom already has it."""
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1"))
    release(vault, [copy_id], original=False, additional=["ap@corp.example", "x@away.example"], operator="root")
    with vault.write():
        [claim] = claim_due(vault, 1, "w", 1, now_ms(), 60_000)
        ends = (Outcome(State.SENT, "250 2.0.0 Ok: queued as 4xY"), Outcome(State.FAILED, "550 5.1.1 no such user"))
        settle_claim(vault, claim, dict(zip(claim.live, ends, strict=True)), NOW)
        vault.models.Delivery.update(created_at=NOW - 60_000).execute()


def message_app(vault, raw: bytes = RAW, theme: str = DARK.name, *, released: bool = False) -> ViewApp:
    copy_id = vault.put(raw, record_of(raw), stored_at=NOW)
    app = ViewApp(vault, lambda context: MessageView(context, copy_id), theme=theme)
    if released:
        release_it(vault, copy_id)
    return app


@pytest.mark.parametrize("tab", TABS)
def test_message(snap_compare, vault, tab):
    keys = ["right_square_bracket"] * TABS.index(tab)
    assert snap_compare(message_app(vault), run_before=pressing(*keys), terminal_size=(80, 24))


@pytest.mark.parametrize("tab", ["Message", "Text", "Source"])
def test_hostile_message(snap_compare, vault, tab):
    keys = ["right_square_bracket"] * TABS.index(tab)
    assert snap_compare(message_app(vault, HOSTILE), run_before=pressing(*keys), terminal_size=(80, 24))


def test_message_released_and_wide(snap_compare, vault):
    assert snap_compare(message_app(vault, released=True), run_before=pressing(), terminal_size=(120, 36))


@pytest.mark.parametrize("theme", [LIGHT.name, SIXTEEN.name])
def test_message_in_other_themes(snap_compare, vault, theme):
    assert snap_compare(message_app(vault, theme=theme), run_before=pressing(), terminal_size=(80, 24))


def test_message_without_colour(snap_compare, vault, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(message_app(vault), run_before=pressing(), terminal_size=(80, 24))


def test_message_gone(snap_compare, vault):
    app = message_app(vault)
    vault.delete([1])
    assert snap_compare(app, run_before=pressing(), terminal_size=(80, 24))


class FullCatalogue(NoCatalogue):
    loaded = total = 83_310

    def engine_counts(self):
        return COUNTS

    def day_counts(self, number: int, *, tz=None):
        return days(number)


def monitoring_app(vault, monkeypatch, theme: str = DARK.name) -> ViewApp:
    from store.space.limits import Usage
    from store.space.rotation import Forecast

    usage = Usage(83_310, 6053 * MIB, 7500 * MIB, 1447 * MIB, NOW - 11 * DAY)
    monkeypatch.setattr("tui.console.screens.monitoring.usage", lambda vault: usage)
    forecast = Forecast(NOW - 11 * DAY, 412 * MIB, NOW + 3 * DAY)
    monkeypatch.setattr("tui.console.screens.monitoring.forecast", lambda vault, now: forecast)
    return ViewApp(vault, MonitoringView, catalogue=FullCatalogue(), theme=theme)


@pytest.mark.parametrize("size", [(58, 20), (80, 24), (140, 44)])
def test_monitoring(snap_compare, vault, monkeypatch, size):
    assert snap_compare(monitoring_app(vault, monkeypatch), run_before=pressing(), terminal_size=size)


def test_monitoring_in_sixteen_colours(snap_compare, vault, monkeypatch):
    app = monitoring_app(vault, monkeypatch, SIXTEEN.name)
    assert snap_compare(app, run_before=pressing(), terminal_size=(80, 24))


def test_monitoring_of_an_empty_store(snap_compare, vault):
    assert snap_compare(ViewApp(vault, MonitoringView), run_before=pressing(), terminal_size=(80, 24))


@pytest.mark.parametrize(("size", "keys"), [((80, 24), ("G",)), ((80, 24), ("j", "j")), ((120, 30), ("G",))])
def test_queue(snap_compare, vault, monkeypatch, size, keys):
    fill_queue(vault, monkeypatch)
    assert snap_compare(ViewApp(vault, QueueView), run_before=pressing(*keys), terminal_size=size)


def test_queue_retry_of_unknown(snap_compare, vault, monkeypatch):
    fill_queue(vault, monkeypatch)
    assert snap_compare(ViewApp(vault, QueueView), run_before=pressing("j", "r"), terminal_size=(80, 24))


@pytest.mark.parametrize("size", [(58, 20), (100, 24)])
def test_events(snap_compare, vault, monkeypatch, size):
    from store.authority.audit import record_event

    fill_queue(vault, monkeypatch)
    record_event(vault, "delete", operator="root", copies=[2, 3, 4], at=NOW)
    record_event(vault, "save", operator="ann", copies=[9], detail="to /srv/quarantine/[red]x\x1b[0m", at=NOW + 1000)
    assert snap_compare(ViewApp(vault, EventsView), run_before=pressing(), terminal_size=size)


@pytest.mark.parametrize("size", [(58, 20), (80, 24)])
def test_settings(snap_compare, vault, size):
    settings = Settings(
        allow_infected=True,
        if_unavailable=Unavailable.TEMPORARY_FAIL,
        relay="smtps://user:secret@mx1.example.org:465",
        hold=15,
        hold_many=300,
    )
    assert snap_compare(ViewApp(vault, SettingsView, settings=settings), run_before=pressing(), terminal_size=size)
