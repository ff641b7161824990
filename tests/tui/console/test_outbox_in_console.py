"""Held releases in the console: the notice counts down; the queue shows the end of the hold, and `r` asks first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from store.authority.settings import Settings
from store.catalogue.catalogue import Catalogue
from store.delivery.access import StoreAccess
from store.delivery.outbox import call_back, held
from store.delivery.queue import delivery_of, release
from store.helpers.clock import now_ms
from store.mail.outcome import State
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, poll, settle
from tests.tui.console.fakes import NOW, sample
from tests.tui.console.view_harness import ViewApp, screen_text
from tests.tui.console.view_harness import settle as settle_view
from tui.console import outcome_notice
from tui.console.app import MailholdApp
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.dialogs.send_again import SendAgainDialog
from tui.console.screens.queue import QueueView
from tui.terminal.times import time_left

PLACED = "Message has been placed in queue for delivery"


@pytest.fixture
def ids(vault: Vault) -> list[int]:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9", allow_infected=True, hold=600, hold_many=900))
    return vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(1, 7))


@pytest.fixture
def clock() -> list[int]:
    """Fix the console's time (Unix ms), which a test sets."""
    return [NOW]


@pytest.fixture
def console(vault: Vault, ids: list[int], clock: list[int], monkeypatch: pytest.MonkeyPatch) -> MailholdApp:
    """Make a console that delivers nothing by itself, and refreshes the remaining time continuously."""
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)
    monkeypatch.setattr(outcome_notice, "_SECOND", 0.005)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    app = make_console(vault, catalogue)  # type: ignore[arg-type]
    app.main.context.clock = lambda: clock[0]
    return app


def released(vault: Vault, ids: list[int]) -> list[int]:
    return release(vault, ids, original=False, additional=["a@x.example"], operator="ada").queued


def notice(app: MailholdApp) -> str:
    return str(app.main.notice_line.line.render())


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError(notice(pilot.app))  # type: ignore[arg-type]


async def test_the_notice_counts_down_and_paints_only_what_changed(
    console: MailholdApp, vault: Vault, ids: list[int], clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[int] = []
    async with console.run_test(size=(160, 30)) as pilot:
        await poll(pilot)
        said, shown = [], console.main.notice_line.show_outcome
        monkeypatch.setattr(
            console.main.notice_line, "show_outcome", lambda *words: (said.append(words), shown(*words))
        )
        counting = console.main.outcome_notice
        monkeypatch.setattr(counting, "_tick", lambda: (ticks.append(1), type(counting)._tick(counting)))
        console.notice(PLACED)
        console.follow_deliveries(released(vault, ids[:1]), 15_000)
        await until(pilot, lambda: notice(console) == f"{PLACED}   · waiting for a@x.example, goes out in 15 s")
        clock[0] += 3_000
        await until(pilot, lambda: notice(console).endswith("goes out in 12 s"))
        many = len(ticks) + 20
        await until(pilot, lambda: len(ticks) > many)
        assert len(said) == 2, "the clock stood still, and nothing was to be painted"
        await pilot.resize_terminal(80, 30)
        await until(pilot, lambda: notice(console) == f"{PLACED}   · goes out in 12 s")
        clock[0] += 12_000
        await until(pilot, lambda: "goes out in" not in notice(console) and not counting.counting)


async def test_of_many_it_is_told_beside_their_number_and_ends_with_them(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    async with console.run_test(size=(160, 30)) as pilot:
        await poll(pilot)
        counting = console.main.outcome_notice
        queued = released(vault, ids)
        console.notice("Messages have been placed in queue for delivery")
        console.follow_deliveries(queued, 300_000)
        await until(pilot, lambda: notice(console).endswith("   6 waiting, goes out in 5 min"))
        call_back(vault, queued)
        await poll(pilot)
        await until(pilot, lambda: notice(console).endswith("   6 cancelled"))
        assert not counting.counting
        console.follow_deliveries(queued, 300_000)
        console.notice("Another")
        assert not counting.counting and notice(console) == "Another"
        console.follow_deliveries(queued)
        assert not counting.counting


async def test_delivering_in_the_console_holds_and_says_so(
    console: MailholdApp, vault: Vault, ids: list[int], clock: list[int]
) -> None:
    async with console.run_test(size=(160, 40)) as pilot:
        await poll(pilot)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(console.screen, DeliverDialog))
        await settle(pilot)
        await pilot.press("space", "enter")
        await until(pilot, lambda: "goes out in 10 min" in notice(console))
        assert notice(console).startswith(PLACED)
        await poll(pilot)
    assert list(held(vault, [1])) == [1]


@pytest.mark.parametrize("width", [80, 120])
async def test_the_queue_says_until_when_and_sends_now_where_that_is_confirmed(
    vault: Vault, ids: list[int], width: int
) -> None:
    [each] = released(vault, ids[:1])
    app = ViewApp(vault, QueueView)
    app.console_context.clock = now_ms
    async with app.run_test(size=(width, 30)) as pilot:
        await settle_view(pilot)
        row, text = screen_text(app).splitlines()[3], " ".join(screen_text(app).split())
        assert "◷ held" in row and "waits until " in text and "`r` sends it now, `c` cancels it" in text
        assert (" until " in row) == (width == 120)
        await pilot.press("r")
        await settle_view(pilot)
        dialog = app.screen
        assert isinstance(dialog, SendAgainDialog)
        assert dialog.question == f"Send delivery {each} now to 1 address?" and dialog.verb == "Send now"
        await pilot.press("enter")
        await settle_view(pilot)
        assert list(held(vault, [each])) == [each] and app.notices == []
        await pilot.press("r")
        await settle_view(pilot)
        await pilot.press("left", "enter")
        await settle_view(pilot)
        assert app.notices == [f"Delivery {each} is sent now"] and held(vault, [each]) == {}
        assert "held" not in screen_text(app)
    assert StoreAccess(vault).order(vault.models.Delivery[each]).not_before == 0
    assert delivery_of(vault, each).state is State.QUEUED


async def test_the_queue_draws_what_is_left_anew(vault: Vault, ids: list[int]) -> None:
    released(vault, ids[:1])
    times = [now_ms()]
    app = ViewApp(vault, QueueView)
    app.console_context.clock = lambda: times[0]
    view = app.view
    assert isinstance(view, QueueView)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle_view(pilot)
        assert "(10 min)" in screen_text(app)
        times[0] += 580_000
        view._tick()
        await settle_view(pilot)
        assert " s)" in screen_text(app).splitlines()[3]
        times[0] += 60_000
        view._tick()
        await settle_view(pilot)
        assert "held" not in screen_text(app)


def test_what_is_left_is_seconds_then_minutes() -> None:
    assert [time_left(each) for each in (-5, 0, 1, 89_000, 89_001, 3_600_000)] == [
        *("0 s", "0 s", "1 s", "89 s", "2 min", "60 min")
    ]
