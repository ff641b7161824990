"""The private parts of Textual that the console uses: all of them are in this file.

Each comment says what a part is, and why nothing public serves. All parts exist in Textual 8.2.5, the oldest version
with which the console opens, and in 8.2.8, to which constraints.txt pins it. To raise the pin run `make newest`:
`test_textual_private.py` tests each part by what is seen, and fails if Textual has changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TextIO

from rich.console import RenderableType
from textual import events
from textual._compositor import ChopsUpdate, Compositor, ReflowResult
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers import linux_driver

# The driver is not in Textual's reference. The console uses its `write`, `send_message` and `fileno`, and relies on
# `run_input_thread` reading until `exit_event` is set: nothing public reports a lost terminal.
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region, Size
from textual.message import Message
from textual.screen import Screen
from textual.scrollbar import ScrollBar
from textual.strip import Strip
from textual.widget import Widget

__all__ = [
    "BRACKETED_PASTE_END",
    "BRACKETED_PASTE_START",
    "ChopsUpdate",
    "LinuxDriver",
    "OpenApp",
    "OpenCompositor",
    "OpenParser",
    "ReflowResult",
    "Renders",
    "output_of",
    "own_scroll_bar",
    "paint_with",
    "parse_with",
    "set_output",
]

#: Lines of widgets, from front to back: the widget's region, the visible part of it, and the lines.
Renders = Iterable[tuple[Region, Region, list[Strip]]]


class OpenCompositor(Compositor):
    """A compositor that exposes the changed regions, and lets subclasses choose what is rendered for them.

    No other place decides which widgets render lines; hooks of widgets run later.

    It reports each new widget of a layout as shown. Textual's own takes a widget for an old one if a widget's place was
    looked up (to focus it, for example) before its first layout, and it gets neither `Resize` nor `Show`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._laid_out: set[Widget] = set()

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out all widgets again."""
        result = super().reflow(parent, size)
        before, self._laid_out = self._laid_out, set(self._full_map)
        return result._replace(shown=result.shown | (self._laid_out - before))

    @property
    def changed(self) -> list[Region]:
        """The regions of the screen that the next update paints."""
        return list(self._dirty_regions)

    def renders(self, crop: Region | None) -> Renders:
        """Return the lines to paint inside `crop` (None: the whole screen)."""
        return super()._get_renders(crop)

    def _get_renders(self, crop: Region | None = None) -> Renders:
        return self.renders(crop)


def paint_with(screen: Screen[Any], compositor: Compositor) -> None:
    """Make a screen paint with `compositor`, before it is first shown.

    Textual offers no choice: a screen makes its own.
    """
    screen._compositor = compositor


class OpenParser(XTermParser):
    """Textual's parser of terminal input, with a way to end its waiting.

    Only the finished keys are public, and they do not tell whether an Esc came alone.
    """

    def stop_waiting(self) -> Iterable[Message]:
        """Yield the keys of an unfinished sequence as if no more input came."""
        if self._timeout_time is not None:
            self._timeout_time = 0.0
            yield from self.tick()

    def keys_of(self, sequence: str, alt: bool) -> Iterable[events.Key]:
        """Yield the keys of `sequence`; `alt`: an Esc came before it."""
        return super()._sequence_to_key_events(sequence, alt)

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        return self.keys_of(sequence, alt)


def parse_with(parser: type[XTermParser]) -> None:
    """Make the terminal driver use the class `parser`.

    The driver takes no parser, but looks its class up by this name.
    """
    linux_driver.XTermParser = parser  # type: ignore[misc]  # puts ours in the place of a class


def output_of(driver: Driver | None) -> TextIO | None:
    """Return the file that a terminal driver's thread writes to; None for other drivers.

    That thread writes the text of the public `write` later: only the file knows when, and whether it succeeds.
    """
    return getattr(driver, "_file", None)


def set_output(driver: Driver, file: Any) -> None:
    """Give a terminal driver another file to write to, before it starts."""
    driver._file = file  # type: ignore[attr-defined]  # no declared attribute


class OpenApp(App[None]):
    """An app with hooks for its driver, for the frames it shows, and for a crash."""

    @property
    def terminal_driver(self) -> Driver | None:
        """The driver that draws the app; None before it runs. Textual has no public way to reach it."""
        return self._driver

    def driver_made(self, driver: Driver) -> None:
        """Set up the driver before it starts; all public hooks run later."""

    def _build_driver(self, headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None) -> Driver:
        driver = super()._build_driver(headless, inline, mouse, size)
        self.driver_made(driver)
        return driver

    def frame_shown(self, screen: Screen[Any]) -> None:
        """Note that a frame of `screen` was passed to the driver. `call_after_refresh` may run earlier."""

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if renderable is not None and not self._batch_count:
            self.frame_shown(screen)

    def forget_press(self) -> None:
        """Forget a pressed mouse button, so that its release makes no click: Textual did
        not get the event of the press.
        """
        self._mouse_down_widget = None

    def last_words(self, defect: str) -> str | None:
        """Return the text to show for a crash; None shows Textual's traceback, which contains values of variables."""
        return None

    def _fatal_error(self) -> None:
        words = self.last_words(type(self._exception).__name__ if self._exception else "unknown")
        if words is None:
            super()._fatal_error()
        else:
            self.panic(words)


def own_scroll_bar(widget: Widget, make: Callable[[], ScrollBar]) -> ScrollBar:
    """Make a widget's vertical scroll bar when it is first needed. Textual makes only its own class."""
    if widget._vertical_scrollbar is None:
        bar = widget._vertical_scrollbar = make()
        bar.display = False
        widget.app._start_widget(widget, bar)
    return widget._vertical_scrollbar
