"""Handles keys that arrive faster than the console follows: each waits until the one before has taken effect.

Textual sends every key at once to the focused widget. On a slow line several keys arrive together. Those after a key
that moves the focus (`/`, `2`, Enter) would then go to the widget that is about to lose it, and a window that opens
after some work would get keys that were not meant for it. Windows that act also ignore input until they were seen
(`tui.console.keys.arming`); this class applies that too, since all input passes it.

Textual looks up a key's binding last, after the key has bubbled from the widget to the app, and in the window that is
in front by then. If that is not the window in which the key was pressed, the key does nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from textual import events
from textual.driver import Driver
from textual.message_pump import MessagePump
from textual.screen import Screen

from tui.console import trace
from tui.console.keys.arming import DELAY, Arming, watch_output, when_written
from tui.console.keys.key_parser import KeyParser
from tui.console.textual_private import OpenApp, parse_with

#: Longest wait (s) for a widget to handle a key, or for what the key opens.
_PATIENCE = 1.0
#: Interval (s) between checks whether the window or view that a key opened is there.
_LOOK = 0.01
#: Seconds without a key after which ignored typing is over.
_QUIET = 0.6

#: Input that a window ignores before it was seen. Mouse moves and releases still count.
_PRESSED = (events.Key, events.Paste, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)


class _Front(NamedTuple):
    """The window in front, and how often it came to the front."""

    screen: Screen[Any]
    turn: int


class TypeAheadApp(OpenApp):
    """An app in which each key takes effect before the next one. A single key is not delayed."""

    #: Seconds from a window's first frame until input counts; None (in tests): all input counts.
    arming_delay: float | None = DELAY

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._following: asyncio.Task[None] | None = None
        self._deaf_since: float | None = None
        #: The window in which each key was pressed that is still bubbling.
        self._pressed_in: WeakKeyDictionary[events.Event, _Front] = WeakKeyDictionary()
        #: Number of keys that had an effect.
        self.typed = 0

    def changing(self) -> bool:
        """Return True until the window or view that a key asked for is there; later keys wait for it."""
        return False

    def drop_typing_since(self, typed: int) -> None:
        """Ignore keys until there is a pause if any had an effect since the count was `typed`."""
        if self.typed != typed:
            self._deaf_since = time.monotonic()
            self._waiting.clear()

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and event.is_forwarded:
            if self._pressed_in.pop(event, self._front()) == self._front():
                await super().on_event(event)
            else:
                trace.note("late", name=event.key, window=type(self.screen).__name__)
        elif not isinstance(event, _PRESSED) or event.is_forwarded:
            await super().on_event(event)
        elif not isinstance(event, events.Key | events.Paste):
            if self._counts(event):
                await super().on_event(event)
            elif isinstance(event, events.MouseDown):
                self.forget_press()  # a release after an ignored press must not become a click
        elif self._deaf():
            self._deaf_since = time.monotonic()
            self._note(event, counts=False)
        elif self._following is not None:
            self._waiting.append(event)
        elif self._counts(event):
            reached = self._reached()
            await self._hand_on(event)
            self._following = asyncio.create_task(self._follow(reached))

    async def _hand_on(self, event: events.Key | events.Paste) -> None:
        """Send a key to the focused widget."""
        self.typed += 1
        self._pressed_in[event] = self._front()
        await super().on_event(event)

    def _front(self) -> _Front:
        arming: Arming | None = getattr(self.screen, "arming", None)
        return _Front(self.screen, arming.turn if arming is not None else 0)

    def _deaf(self) -> bool:
        if self._deaf_since is not None and time.monotonic() - self._deaf_since > _QUIET:
            self._deaf_since = None
        return self._deaf_since is not None

    def on_mount(self) -> None:
        self.screen_change_signal.subscribe(self, self._comes, immediate=True)

    def _comes(self, screen: Screen[Any]) -> None:
        arming: Arming | None = getattr(screen, "arming", None)
        if arming is not None:
            arming.come()

    def _counts(self, event: events.Event) -> bool:
        arming: Arming | None = getattr(self.screen, "arming", None)
        counts = arming is None or self.arming_delay is None or not arming.refuses(event.time, self.arming_delay)
        self._note(event, counts=counts)
        return counts

    def _note(self, event: events.Event, *, counts: bool) -> None:
        if trace.wanted():
            trace.pressed(event, self.focused, type(self.screen).__name__, counts)

    def driver_made(self, driver: Driver) -> None:
        parse_with(KeyParser)
        watch_output(driver)

    def frame_shown(self, screen: Screen[Any]) -> None:
        arming: Arming | None = getattr(screen, "arming", None)
        if arming is not None and arming.wanted:
            self._painted(screen, arming)

    def _painted(self, screen: Screen[Any], arming: Arming) -> None:
        """Let a window that shows its first frame learn when that was written to the terminal."""
        arming.wanted = False
        name, delay, turn = type(screen).__name__, self.arming_delay or 0, arming.turn

        def written(at: float) -> None:
            arming.paint(at, turn)
            trace.note("painted", window=name, at=at, armed=at + delay)

        when_written(self.terminal_driver, written)

    def _reached(self) -> list[MessagePump]:
        """Return the widgets that a key reaches: the focused one and its ancestors, to which messages bubble."""
        focused = self.focused
        return list(focused.ancestors_with_self) if focused is not None else [self.screen, self]

    async def _follow(self, reached: list[MessagePump]) -> None:
        """Send the waiting keys, each after all reached widgets have handled the one before."""
        try:
            while True:
                for pump in reached:
                    await self._dealt_with(pump)
                if self.changing():
                    await self._there()
                while self._waiting and not self._counts(self._waiting[0]):
                    self._waiting.popleft()
                if not self._waiting:
                    return
                reached = self._reached()
                await self._hand_on(self._waiting.popleft())
        finally:
            self._following = None

    async def _there(self) -> None:
        """Wait until what a key opened is there and focused, at most `_PATIENCE` seconds."""
        end = time.monotonic() + _PATIENCE
        while self.changing() and time.monotonic() < end:
            await asyncio.sleep(_LOOK)
        await self._dealt_with(self.screen)
        await self._dealt_with(self)

    @staticmethod
    async def _dealt_with(pump: MessagePump) -> None:
        done = asyncio.Event()
        if pump.call_later(done.set):
            try:
                await asyncio.wait_for(done.wait(), _PATIENCE)
            except TimeoutError:
                return
