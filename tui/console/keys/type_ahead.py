"""Keys that come faster than the console follows: each waits until the one before it has had its effect.

Textual hands every key at once to the widget that has the focus then. On a slow line several keys come in one piece,
and those behind a key that moves the focus (`/`, `2`, Enter) would go to the widget that is about to lose it; and a
window that comes only after some work would get keys that were never meant for it. A window that acts counts nothing
before it was seen (`tui.console.keys.arming`): that is kept here, where everything that is pressed comes by.

What a key is bound to Textual looks up last, once the key has climbed from that widget to the app, and in the window
that is in front by then. A key that meets another one there than it was pressed in does nothing.
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

#: A widget that does not come to answer in this time (s) holds no key back.
_PATIENCE = 1.0
#: How often it is looked whether what a key opened is there (s).
_LOOK = 0.01
#: Typing that was meant for something else is over once no key came for this time (s).
_QUIET = 0.6

#: What a window that was not seen yet does not count. The mouse may move over it, and let go what it held before.
_PRESSED = (events.Key, events.Paste, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)


class _Front(NamedTuple):
    """The window in front, and which time it is there."""

    screen: Screen[Any]
    turn: int


class TypeAheadApp(OpenApp):
    """An app whose keys take effect one after the other. A key that comes alone is not delayed."""

    #: Seconds from a window's first frame until it counts what is pressed; None (in tests): it counts everything.
    arming_delay: float | None = DELAY

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: deque[events.Key | events.Paste] = deque()
        self._following: asyncio.Task[None] | None = None
        self._deaf_since: float | None = None
        #: Where each key that is on its way through the widgets was pressed.
        self._pressed_in: WeakKeyDictionary[events.Event, _Front] = WeakKeyDictionary()
        #: How many keys had an effect so far.
        self.typed = 0

    def changing(self) -> bool:
        """Return True until the window or view that a key asked for is there: later keys are meant for that."""
        return False

    def drop_typing(self) -> None:
        """Give no key an effect until there was a pause: a window came in the midst of typing."""
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
                self.forget_press()  # Letting go makes no click where pressing did not count.
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
        """Give a key to the widget that has the focus."""
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
        """Note that a window's first frame is on its way to the terminal."""
        arming.wanted = False
        name, delay, turn = type(screen).__name__, self.arming_delay or 0, arming.turn

        def written(at: float) -> None:
            arming.paint(at, turn)
            trace.note("painted", window=name, at=at, armed=at + delay)

        when_written(self.terminal_driver, written)

    def _reached(self) -> list[MessagePump]:
        """Whom a key reaches: the widget that has the focus, and its ancestors, to whom its messages bubble."""
        focused = self.focused
        return list(focused.ancestors_with_self) if focused is not None else [self.screen, self]

    async def _follow(self, reached: list[MessagePump]) -> None:
        """Hand on the keys that came meanwhile, each once the one before it was dealt with all the way up."""
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
        """Wait until what a key opened has come and has the focus, or for as long as patience lasts."""
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
