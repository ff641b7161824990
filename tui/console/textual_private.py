"""What the console takes from Textual that Textual does not promise: here, and in no other file.

Of each part: what it is, and why nothing public does. All of them are so at Textual 8.2.5, before which the console
does not open, and at 8.2.8, to which constraints.txt pins it. Who raises that runs `make newest`:
`test_textual_private.py` has a test of each part, against what is seen, and fails where Textual has changed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TextIO

from rich.console import RenderableType
from textual import events
from textual._compositor import ChopsUpdate, Compositor
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers import linux_driver

# The driver is in no reference. Of it the console uses `write`, `send_message` and `fileno`, and that
# `run_input_thread` reads until `exit_event` is set: a terminal that is gone shows in nothing public.
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Region
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
    "Renders",
    "output_of",
    "own_scroll_bar",
    "paint_with",
    "parse_with",
    "set_output",
]

#: The lines of widgets, from front to back: where they belong, what is seen of that, and they themselves.
Renders = Iterable[tuple[Region, Region, list[Strip]]]


class OpenCompositor(Compositor):
    """Says what changed, and lets who extends it choose what is drawn for that.

    Which widgets are asked for lines is decided nowhere else; what a widget can do about it comes after that.
    """

    @property
    def changed(self) -> list[Region]:
        """The parts of the screen that the next update paints."""
        return list(self._dirty_regions)

    def renders(self, crop: Region | None) -> Renders:
        """Return what is painted inside `crop` (None: the whole screen)."""
        return super()._get_renders(crop)

    def _get_renders(self, crop: Region | None = None) -> Renders:
        return self.renders(crop)


def paint_with(screen: Screen[Any], compositor: Compositor) -> None:
    """Let a screen that was not shown yet paint with `compositor`. A screen makes its own, and asks nobody."""
    screen._compositor = compositor


class OpenParser(XTermParser):
    """Textual's parser of what a terminal sends, which can be told not to wait.

    Public are only the keys that it has made: whether an Esc came alone cannot be told from these.
    """

    def stop_waiting(self) -> Iterable[Message]:
        """Yield the keys of a sequence that was begun, if nothing more comes."""
        if self._timeout_time is not None:
            self._timeout_time = 0.0
            yield from self.tick()

    def keys_of(self, sequence: str, alt: bool) -> Iterable[events.Key]:
        """Yield the keys of `sequence`; with `alt`, an Esc came before it."""
        return super()._sequence_to_key_events(sequence, alt)

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        return self.keys_of(sequence, alt)


def parse_with(parser: type[XTermParser]) -> None:
    """Let the driver for terminals use `parser`: it makes its parser by this name, and takes none."""
    linux_driver.XTermParser = parser  # type: ignore[misc]  # puts ours in the place of a class


def output_of(driver: Driver | None) -> TextIO | None:
    """Return the file that a terminal driver's thread writes to; None for other drivers.

    What a driver's public `write` takes is written later, by that thread: only the file knows when, and whether.
    """
    return getattr(driver, "_file", None)


def set_output(driver: Driver, file: Any) -> None:
    """Give a driver for terminals another file to write to, before it starts."""
    driver._file = file  # type: ignore[attr-defined]  # no declared attribute


class OpenApp(App[None]):
    """An app that tells of its driver, of the frames it shows and of the defect it ends by."""

    @property
    def terminal_driver(self) -> Driver | None:
        """What the app draws with; None before it runs. Textual offers none of a driver's doings by itself."""
        return self._driver

    def driver_made(self, driver: Driver) -> None:
        """Set up the driver before it starts; the public hooks come after that."""

    def _build_driver(self, headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None) -> Driver:
        driver = super()._build_driver(headless, inline, mouse, size)
        self.driver_made(driver)
        return driver

    def frame_shown(self, screen: Screen[Any]) -> None:
        """Note that a frame of `screen` was given to the driver. `call_after_refresh` may come earlier."""

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        super()._display(screen, renderable)
        if renderable is not None and not self._batch_count:
            self.frame_shown(screen)

    def forget_press(self) -> None:
        """Let a mouse button that is down make no click: the event that would say so was kept from Textual."""
        self._mouse_down_widget = None

    def last_words(self, defect: str) -> str | None:
        """Return what the user sees of a defect; None shows Textual's traceback, which has values in it."""
        return None

    def _fatal_error(self) -> None:
        words = self.last_words(type(self._exception).__name__ if self._exception else "unknown")
        if words is None:
            super()._fatal_error()
        else:
            self.panic(words)


def own_scroll_bar(widget: Widget, make: Callable[[], ScrollBar]) -> ScrollBar:
    """Make a widget's vertical scroll bar when it is first asked for. Textual makes it of one class only."""
    if widget._vertical_scrollbar is None:
        bar = widget._vertical_scrollbar = make()
        bar.display = False
        widget.app._start_widget(widget, bar)
    return widget._vertical_scrollbar
