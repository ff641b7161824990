"""Fixtures of the console's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import textual.app
import textual.pilot
from textual.app import App, active_app
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot

from tui.console.background import Background
from tui.console.keys.type_ahead import TypeAheadApp

#: Seconds that a key waits at most for the console's threads and workers, which a test may block itself.
THREADS = 0.03


@pytest.fixture(autouse=True)
def windows_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let windows count keys as soon as they can: `test_arming.py` tests the delay.

    Consoles in their own terminal keep the delay of a user's console.
    """
    monkeypatch.setattr(TypeAheadApp, "arming_delay", None)


def _works(app: App[Any]) -> bool:
    """Return True while a thread or a worker works for the app, or something moves."""
    threads: Background | None = getattr(app, "_threads", None) or getattr(app, "threads", None)
    moves = not app.animator._idle_event.is_set()
    return moves or (threads is not None and threads.busy()) or any(not worker.is_finished for worker in app.workers)


def _paints(app: App[Any]) -> bool:
    """Paint pending updates, as a timer does 60 times a second. Return True if there were any."""
    if app._exception is not None or not app._running or not app._screen_stack or app._batch_count:
        return False
    screen = app.screen
    waits = (screen._layout_required, screen._scroll_required, screen._repaint_required, screen._recompose_required)
    if not (any(waits) or screen._dirty_widgets or screen._callbacks) or not screen.is_running:
        return False
    screen._on_timer_update()
    return True


async def at_rest(app: App[Any]) -> None:
    """Wait until the event loop is idle, nothing moves and everything is painted.

    Textual's pilot only checks whether the process uses the CPU, which it also does not while other processes do.
    """
    loop = asyncio.get_running_loop()
    ready = loop._ready  # type: ignore[attr-defined]  # what is to run, without the timers
    until = loop.time() + THREADS
    while True:
        for _ in range(100_000):
            await asyncio.sleep(0)
            if not ready and not _paints(app):
                break
        if not _works(app) or loop.time() > until:
            return
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True, scope="session")
def style_sheets_are_parsed_once() -> Iterator[None]:
    """Parse the style sheets once: each app parses all of them anew, and the result depends only on the theme."""
    parse, parsed = Stylesheet._parse_rules, dict[tuple[Any, ...], list[RuleSet]]()
    themes: dict[frozenset[tuple[str, str]], dict[str, str]] = {}

    def parse_once(self: Stylesheet, *arguments: Any, **named: Any) -> list[RuleSet]:
        theme = themes.setdefault(frozenset(self._variables.items()), self._variables)
        key = (id(theme), arguments, *sorted(named.items()))
        if key not in parsed:
            parsed[key] = parse(self, *arguments, **named)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@pytest.fixture(autouse=True)
def the_pilot_waits_for_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the waits of Textual's pilot: twice per key for an idle process, and at the end for each widget."""

    async def idle(min_sleep: float = 0, max_sleep: float = 1) -> None:
        await at_rest(active_app.get())

    async def turn(self: Pilot[Any], timeout: float = 30.0) -> bool:
        await at_rest(self.app)
        return self.app._exception is None

    monkeypatch.setattr(textual.app, "wait_for_idle", idle)
    monkeypatch.setattr(textual.pilot, "wait_for_idle", idle)
    monkeypatch.setattr(Pilot, "_wait_for_screen", turn)
