"""Each private part of Textual works as the console uses it, tested from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widgets import Static

from tests.tui.pseudo_terminal import Terminal
from tui.console.textual_private import (
    ChopsUpdate,
    OpenApp,
    OpenCompositor,
    OpenParser,
    Renders,
    own_scroll_bar,
    paint_with,
)


class Watched(OpenCompositor):
    """Records the changes of each update, and how often its content was requested."""

    def __init__(self) -> None:
        super().__init__()
        self.updates: list[list[Region]] = []
        self.asked = 0

    def render_partial_update(self) -> ChopsUpdate | None:
        self.updates.append(self.changed)
        return super().render_partial_update()

    def renders(self, crop: Region | None) -> Renders:
        self.asked += 1
        return super().renders(crop)


class Page(Screen[None]):
    def __init__(self) -> None:
        super().__init__()
        self.watched = Watched()
        paint_with(self, self.watched)

    def compose(self) -> ComposeResult:
        yield Static("above")
        yield Static("below", id="below")


class Shown(OpenApp):
    """Records what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self.drivers: list[object] = []
        self.frames: list[Screen[Any]] = []
        self.clicks = 0

    def get_default_screen(self) -> Page:
        return self.page

    def driver_made(self, driver: object) -> None:
        assert not self.is_running or not self.drivers
        self.drivers.append(driver)

    def frame_shown(self, screen: Screen[Any]) -> None:
        self.frames.append(screen)

    def on_click(self) -> None:
        self.clicks += 1


async def test_a_screen_paints_with_the_compositor_that_it_was_given() -> None:
    app = Shown()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        app.page.watched.updates.clear()
        asked = app.page.watched.asked
        below = app.query_one("#below", Static)
        below.update("fresh")
        await pilot.pause()
        assert "fresh" in app.export_screenshot()
        assert [changed for update in app.page.watched.updates for changed in update] == [below.region]
        assert app.page.watched.asked > asked


async def test_a_widget_is_told_of_its_first_layout_although_a_place_was_looked_up_before() -> None:
    told: list[str] = []

    class Told(Static):
        def on_resize(self, event: events.Resize) -> None:
            told.append(f"resize {event.size.width}")

        def on_show(self) -> None:
            told.append("show")

    app = Shown()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        await app.page.mount(widget := Told("new"))
        app.page.watched.update_widgets({widget})
        assert widget.region.width == 40  # the place that is looked up
        assert not told
        await pilot.pause()
        await pilot.pause()
        assert told == ["resize 40", "show"]
        app.page.refresh(layout=True)
        await pilot.pause()
        assert told == ["resize 40", "show"]


async def test_what_is_drawn_is_what_the_compositor_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Shown()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        whole = Region(0, 0, 40, 10)
        chosen = [(whole, whole, [Strip.blank(40) for _ in range(9)] + [Strip.blank(40)])]
        monkeypatch.setattr(app.page.watched, "renders", lambda crop: iter(chosen))
        picture = app.export_screenshot()
    assert "above" not in picture and "below" not in picture


async def test_an_app_is_told_of_its_driver_and_of_each_frame() -> None:
    app = Shown()
    assert app.terminal_driver is None
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.drivers == [app.terminal_driver]
        assert app.frames[0] is app.page
        del app.frames[:]
        with app.batch_update():
            await pilot.resize_terminal(60, 20)
            await pilot.pause(0.05)
            assert app.frames == []
        await pilot.pause(0.05)
        assert app.frames and {id(screen) for screen in app.frames} == {id(app.page)}


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_press_that_is_forgotten_makes_no_click(forgotten: bool) -> None:
    app = Shown()
    async with app.run_test() as pilot:
        at = app.query_one("#below").region
        app.post_message(events.MouseDown(None, at.x, at.y, 0, 0, 1, False, False, False))
        await pilot.pause()
        if forgotten:
            app.forget_press()
        app.post_message(events.MouseUp(None, at.x, at.y, 0, 0, 1, False, False, False))
        await pilot.pause()
        assert app.clicks == (0 if forgotten else 1)


class Scrolled(ScrollView):
    def on_mount(self) -> None:
        self.virtual_size = Size(20, 1000)

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        return own_scroll_bar(self, Bar)

    def render_line(self, y: int) -> Strip:
        return Strip.blank(20)


class Bar(ScrollBar):
    """A custom scroll bar."""


async def test_a_widget_scrolls_with_its_own_bar() -> None:
    class Scrolling(App[None]):
        def compose(self) -> ComposeResult:
            yield Scrolled()

    app = Scrolling()
    async with app.run_test(size=(30, 10)) as pilot:
        await pilot.pause()
        scrolled = app.query_one(Scrolled)
        bar = scrolled.vertical_scrollbar
        assert type(bar) is Bar and bar.is_running and bar.display and bar.region.height == 10
        scrolled.scroll_to(y=500, animate=False, immediate=True)
        await pilot.pause()
        assert bar.position == 500
        await pilot.click(offset=(bar.region.x, 0))
        await pilot.pause()
        assert scrolled.scroll_y < 500
        assert app.get_widget_at(bar.region.x, 5)[0] is bar


def test_the_parser_waits_until_told_not_to() -> None:
    parser = OpenParser()
    assert [*parser.feed("\x1b"), *parser.tick()] == []
    assert [event.key for event in parser.stop_waiting() if isinstance(event, events.Key)] == ["escape"]
    assert list(parser.stop_waiting()) == []


def test_the_parser_makes_the_keys_that_it_is_told() -> None:
    class Odd(OpenParser):
        def keys_of(self, sequence: str, alt: bool) -> list[events.Key]:
            return [*([events.Key("odd", None)] if alt else []), *super().keys_of(sequence, alt)]

    odd = Odd()
    made = [*odd.feed("a\x1bx"), *odd.stop_waiting()]
    assert [event.key for event in made if isinstance(event, events.Key)] == ["a", "odd", "alt+x"]


#: An app that records what it was handed, how often, and by whom.
PROBE = """
import json, sys, time
from textual.widgets import Static
from tui.console.textual_private import LinuxDriver, OpenApp, OpenParser, output_of, parse_with, set_output

class Parser(OpenParser):
    def keys_of(self, sequence, alt):
        said["parsed"].append(sequence)
        return super().keys_of(sequence, alt)

class File:
    def __init__(self, file): self.file = file
    def write(self, text): said["written"] += len(text); return self.file.write(text)
    def __getattr__(self, name): return getattr(self.file, name)

class Driver(LinuxDriver):
    def run_input_thread(self):
        super().run_input_thread()
        said["reading ended"] = self.exit_event.is_set()

class Probe(OpenApp):
    def get_driver_class(self): return Driver
    def driver_made(self, driver):
        parse_with(Parser)
        set_output(driver, File(output_of(driver)))
        said["terminal"] = driver.fileno == sys.stdin.fileno()
    def compose(self): yield Static("here")
    def on_key(self, event):
        said["keys"].append(event.key)
        if event.key == "x":
            self.exit()

said = {"parsed": [], "written": 0, "keys": []}
Probe().run()
json.dump(said, open(sys.argv[1], "w"))
"""


def test_a_driver_for_terminals_uses_our_parser_and_our_file(tmp_path: Path) -> None:
    told = tmp_path / "told"
    terminal = Terminal(tmp_path, tmp_path, command=[sys.executable, "-c", PROBE, str(told)])
    try:
        terminal.wait_for("here")
        terminal.type(b"ax")
        terminal.read(1.0)
        assert terminal.ended() == 0
    finally:
        terminal.close()
    said = json.loads(told.read_text())
    assert said["keys"] == said["parsed"] == ["a", "x"]
    assert said["written"] > 100 and said["terminal"] and said["reading ended"]


DEFECT = """
import sys
from tui.console.textual_private import OpenApp

class Broken(OpenApp):
    def on_ready(self):
        secret = "hunter2"
        raise ZeroDivisionError(secret)
    def last_words(self, defect):
        return f"It broke: {defect}." if sys.argv[1] == "words" else super().last_words(defect)

Broken().run(headless=True)
"""


@pytest.mark.parametrize(("said", "traceback"), [("words", False), ("nothing", True)])
def test_a_defect_ends_in_a_sentence(said: str, traceback: bool) -> None:
    done = subprocess.run([sys.executable, "-c", DEFECT, said], capture_output=True, text=True, timeout=60, check=False)
    assert ("It broke: ZeroDivisionError." in done.stderr) is not traceback
    assert ("hunter2" in done.stderr + done.stdout) is traceback
