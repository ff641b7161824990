"""A key counts only where it was pressed: it does nothing in a window that opens before the key is handled.

Textual sends a key to the focused widget, from where it bubbles up to the app. Only the app looks up its binding, in
the window that is in front at that moment. Here the key is held at each place of its way, until each stage of the
window's opening; nothing waits for a time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from store.authority.settings import Settings
from store.catalogue.catalogue import Catalogue
from store.delivery.queue import cancel, deliveries, release
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tests.tui.console.fakes import NOW, sample
from tests.tui.console.view_harness import ThemedApp
from tui.console.app import MailholdApp
from tui.console.dialogs.base import Dialog
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.keys import type_ahead
from tui.console.keys.arming import DELAY, PAUSE
from tui.console.keys.type_ahead import TypeAheadApp
from tui.console.widgets.controls import PushButton


@pytest.fixture(autouse=True)
def as_for_a_user(windows_count_at_once, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TypeAheadApp, "arming_delay", DELAY)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine so slow that the wait of a key expires at once."""
    monkeypatch.setattr(type_ahead, "_PATIENCE", 0.001)


class Gate:
    """Holds a key at the given place."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()

    async def passes(self, event: events.Key) -> None:
        if event.key in ("enter", "space", "escape") and not self.open.is_set():
            self.reached.set()
            await self.open.wait()


class Widget(Static, can_focus=True):
    gate: Gate | None = None

    async def on_key(self, event: events.Key) -> None:
        if self.gate is not None:
            await self.gate.passes(event)


class Around(Vertical):
    on_key, gate = Widget.on_key, None


class Below(Screen[None]):
    on_key, gate = Widget.on_key, None

    def compose(self) -> ComposeResult:
        yield Around(Widget())


class Small(ThemedApp, TypeAheadApp):
    """An app whose screen a window opens over; `answers` holds the window's answers."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[object] = []
        self.below = Below()

    def get_default_screen(self) -> Screen[None]:
        return self.below


def pressed(key: str, at: float) -> events.Key:
    event = events.Key(key, None)
    event.time = at
    return event


def question() -> ConfirmDialog:
    dialog = ConfirmDialog("Delete", "Delete?", "Delete")
    dialog.first_focus = "#ok"
    return dialog


async def until(pilot: Pilot[Any], what: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not what():
            await asyncio.sleep(0.001)
    await pilot.pause()


#: The stage of the window's opening when the key continues.
STAGES: dict[str, Callable[[Dialog[Any]], object]] = {
    "pushed": lambda dialog: True,
    "whole": lambda dialog: dialog.is_mounted,
    "with the focus": lambda dialog: dialog.focused is not None,
    "painted": lambda dialog: dialog.arming is not None and dialog.arming.painted is not None,
}


@pytest.mark.parametrize("key", ["enter", "space", "escape"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("place", [Widget, Around, Below])
async def test_a_key_that_is_on_its_way_does_nothing_in_a_window_that_comes(place, stage, key):
    app, dialog = Small(), question()
    async with app.run_test() as pilot:
        held = app.below if place is Below else app.below.query_one(place)
        held.gate = gate = Gate()
        app.post_message(events.Key(key, None))
        await asyncio.wait_for(gate.reached.wait(), 20)
        app.push_screen(dialog, app.answers.append)
        while not STAGES[stage](dialog):
            await asyncio.sleep(0)
        gate.open.set()
        await until(pilot, lambda: (dialog.is_mounted and dialog.arming.painted is not None) or app.answers)
        assert not app.answers
        assert app.screen is dialog
        assert not app.answers
        app.post_message(pressed(key, dialog.arming.painted + DELAY + PAUSE))  # The window itself works.
        await until(pilot, lambda: app.answers)
        assert app.answers == [key != "escape"]


async def test_nor_in_the_window_that_was_in_front_before_and_is_again(monkeypatch):
    """A window must be seen again to count keys after another window was in front of it."""
    app, first = Small(), question()
    async with app.run_test() as pilot:
        app.push_screen(first, app.answers.append)
        await until(pilot, lambda: first.arming.painted is not None)
        await pilot.pause()
        gate = Gate()
        monkeypatch.setattr(PushButton, "on_key", lambda self, event: gate.passes(event), raising=False)
        app.post_message(pressed("enter", first.arming.painted + DELAY))
        await asyncio.wait_for(gate.reached.wait(), 20)
        app.push_screen(ModalScreen())
        app.pop_screen()
        gate.open.set()
        await until(pilot, lambda: first.arming.painted is not None or app.answers)
        assert not app.answers


async def test_a_window_that_is_in_front_again_counts_nothing_before_it_knows():
    """The time of its painting before another window was in front never counts."""
    app, first = Small(), question()
    async with app.run_test() as pilot:
        app.push_screen(first, app.answers.append)
        await until(pilot, lambda: first.arming.painted is not None)
        at = first.arming.painted + DELAY
        app.push_screen(ModalScreen())
        app.pop_screen()
        assert first.arming.refuses(at)
        await until(pilot, lambda: first.arming.painted is not None)
        assert first.arming.painted > at - DELAY


async def test_a_window_has_the_focus_where_it_belongs_from_the_first():
    """A question's action button never has it, not even before the first frame."""
    seen = set()
    app, dialog = Small(), ConfirmDialog("Delete", "Delete?", "Delete")
    async with app.run_test() as pilot:
        app.push_screen(dialog)
        while dialog.arming.painted is None:
            seen.add(dialog.focused and dialog.focused.id)
            await asyncio.sleep(0)
        await pilot.pause()
        assert seen <= {None, "cancel"}
        assert dialog.focused.id == "cancel"


@pytest.fixture
def console(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> MailholdApp:
    """Make a console that delivers nothing by itself, with copies, a cancelled delivery, and an act to undo."""
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9", allow_infected=True))
    ids = vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(1, 7))
    release(vault, ids[:1], original=False, additional=["a@x.example"], operator="ada")
    cancel(vault, deliveries(vault)[0].id, "ada")
    from store.judging.rules.address_lists import added, change_lists

    change_lists(vault, lambda lists: added(lists, "black", ("spammer.example",)), "ada")
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    return make_console(vault, catalogue)  # type: ignore[arg-type]


class Slow:
    """Holds the look-up before a window's question until the test releases it."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def start(self, started: Callable[..., None], work: Callable[[], Any], *others: Any) -> None:
        def later() -> Any:
            assert self.go.wait(30)
            return work()

        started(later, *others)


@pytest.fixture
def slow(console: MailholdApp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made, started = Slow(), console._threads.start

    def start(work, on_done, on_error, group, wait=0.0) -> None:
        if group.endswith("look"):
            made.start(started, work, on_done, on_error, group, wait)
        else:
            started(work, on_done, on_error, group, wait)

    monkeypatch.setattr(console._threads, "start", start)
    yield made
    made.go.set()


#: Where a window is opened from, the key, and its name.
WINDOWS = {
    "sent again": ("3", "r", "SendAgainDialog"),
    "undo": ("2", "z", "UndoDialog"),
    "deliver": ("2", "r", "DeliverDialog"),
    "delete": ("2", "d", "DeleteDialog"),
    "save": ("2", "s", "SaveDialog"),
}


@pytest.mark.parametrize("key", ["enter", "space"])
@pytest.mark.parametrize("name", WINDOWS)
async def test_enter_typed_ahead_of_a_slow_window(console, slow, monkeypatch, name, key):
    """The key's wait expired before the window opened: it went to the list, and bubbles up when the window is there."""
    where, opens, window = WINDOWS[name]
    app, gate, dismissed = console, Gate(), []
    monkeypatch.setattr(Dialog, "dismiss", lambda self, result=None: dismissed.append((self, result)))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press(where)
        await settle(pilot)
        focused = app.focused
        monkeypatch.setattr(type(focused), "on_key", lambda self, event: gate.passes(event), raising=False)
        app.post_message(events.Key(opens, opens))
        app.post_message(events.Key(key, None))
        await asyncio.wait_for(gate.reached.wait(), 20)
        slow.go.set()
        await until(pilot, lambda: type(app.screen).__name__ == window and app.screen.arming.painted)
        await pilot.pause()
        gate.open.set()
        await until(pilot, lambda: app._following is None)
        await pilot.pause()
        assert type(app.screen).__name__ == window
        assert not dismissed


async def test_what_is_typed_behind_r_in_the_queue_waits_for_its_window(console, slow, monkeypatch):
    """As in the list: the key is not for the list, and because the window was not visible yet, it is dropped."""
    monkeypatch.setattr(type_ahead, "_PATIENCE", 30.0)
    app = console
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("3")
        await settle(pilot)
        for key in ("r", "enter"):
            app.post_message(events.Key(key, None))
        await until(pilot, lambda: app._waiting)
        slow.go.set()
        await until(pilot, lambda: type(app.screen).__name__ == "SendAgainDialog" and app.screen.arming.painted)
        await until(pilot, lambda: app._following is None)
        await pilot.pause()
        assert type(app.screen).__name__ == "SendAgainDialog"
        assert app.main.places.opening is None
