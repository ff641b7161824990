"""A window that acts ignores keys pressed before it was visible, and for a moment after."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from tests.tui.console.view_harness import ThemedApp
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.sort import SortDialog
from tui.console.keys.arming import DELAY, PAUSE, Arming, Output, Written
from tui.console.keys.type_ahead import TypeAheadApp


class Window(ThemedApp, TypeAheadApp):
    """An app with a window in front; `answers` holds the window's answers."""

    def __init__(self, dialog) -> None:
        super().__init__()
        self.dialog = dialog
        self.answers: list[object] = []

    def compose(self) -> ComposeResult:
        yield Static()

    def on_mount(self) -> None:
        self.push_screen(self.dialog, self.answers.append)


def pressed(kind: str, at: float) -> events.Event:
    """Make a key press with a given time."""
    if kind == "click":
        event: events.Event = events.MouseDown(None, 1, 1, 0, 0, 1, False, False, False)
    elif kind == "paste":
        event = events.Paste("3")
    else:
        event = events.Key(kind, None)
    event.time = at
    return event


async def press(pilot, *whats: tuple[str, float]) -> None:
    """Press all of these at once, each at its number of seconds after the window was painted."""
    for kind, after in whats:
        pilot.app.post_message(pressed(kind, pilot.app.dialog.arming.painted + after))
    for _ in range(3):
        await pilot.pause()


def question() -> ConfirmDialog:
    dialog = ConfirmDialog("Delete", "Delete?", "Delete")
    dialog.first_focus = "#ok"
    return dialog


@pytest.fixture(autouse=True)
def as_for_a_user(windows_count_at_once, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TypeAheadApp, "arming_delay", DELAY)


@pytest.mark.parametrize("key", ["enter", "space", "escape"])
@pytest.mark.parametrize("after", [-1.0, 0.0, DELAY - 0.01])
async def test_what_is_pressed_before_is_dropped_whole(key, after):
    app = Window(question())
    async with app.run_test() as pilot:
        await pilot.pause()
        await press(pilot, (key, after))
        assert app.screen is app.dialog and not app.answers
        await press(pilot, (key, DELAY + PAUSE))
        assert app.answers == [key != "escape"]


async def test_a_burst_that_straddles_is_dropped_whole():
    app = Window(question())
    async with app.run_test() as pilot:
        await pilot.pause()
        await press(pilot, *[("enter", -0.2 + 0.05 * n) for n in range(30)])
        assert app.screen is app.dialog and not app.answers


async def test_a_window_that_only_looks_counts_at_once():
    from store.catalogue.sort import NEWEST, SortKey

    app = Window(SortDialog(NEWEST))
    async with app.run_test() as pilot:
        await pilot.pause()
        await pilot.press("z")
        await pilot.pause()
        assert app.answers == [SortKey.SIZE]


async def test_a_window_counts_anew_when_another_one_in_front_of_it_goes():
    app = Window(question())
    async with app.run_test() as pilot:
        await pilot.pause()
        first = app.dialog.arming.painted
        await app.push_screen(question())
        await pilot.pause()
        assert app.dialog.arming.painted is None
        app.pop_screen()
        await pilot.pause()
        assert app.dialog.arming.painted > first


async def test_the_mouse_is_held_back_too():
    app = Window(question())
    async with app.run_test() as pilot:
        await pilot.pause()
        button = app.dialog.query_one("#ok").region
        for kind, after in ((events.MouseDown, 0.0), (events.MouseUp, 1.0)):
            event = kind(None, button.x + 1, button.y, 0, 0, 1, False, False, False, button.x + 1, button.y)
            event.time = app.dialog.arming.painted + after
            app.post_message(event)
        await pilot.pause()
        await pilot.pause()
        assert not app.answers


@given(st.lists(st.floats(0, 5, allow_nan=False), max_size=40))
def test_nothing_counts_before_its_time_nor_in_a_burst(gaps):
    arming, at, dropped = Arming(), 9.0, float("-inf")
    arming.begin()
    arming.painted = 10.0
    for gap in gaps:
        at += gap
        refused = arming.refuses(at)
        assert refused == (at < 10.0 + DELAY or at < dropped + PAUSE)
        dropped = at if refused else dropped


def test_a_window_is_painted_once_its_frame_was_handed_to_the_terminal():
    class Slow(io.StringIO):
        flushed = 0.0

        def flush(self) -> None:
            time.sleep(0.02)
            self.flushed = time.monotonic()

    file, painted = Slow(), []
    output = Output(file)
    output.write("the frame")
    output.write(Written(painted.append))
    assert file.getvalue() == "the frame" and painted and painted[0] >= file.flushed > 0


def test_a_frame_that_is_written_late_does_not_count_for_the_next_time_in_front():
    arming = Arming()
    arming.come()
    arming.begin()
    turn = arming.turn
    arming.come()  # Another window was in front of it in between.
    arming.paint(10.0, turn)
    assert arming.painted is None and arming.refuses(99.0)
    arming.paint(11.0, arming.turn)
    assert arming.painted == 11.0
