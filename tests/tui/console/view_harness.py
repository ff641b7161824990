"""Apps that show one dialog, or one view on a real store, and record the requests to the shell around them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from store.authority.settings import Settings
from tui.console.background import Background
from tui.console.context import ConsoleContext
from tui.console.theme import DARK, THEMES

NOTHING = object()
#: Seconds that a text may take to appear, on a busy machine.
PATIENCE = 30.0
NOW = int(datetime(2026, 11, 24, 7, 41, 5, tzinfo=UTC).timestamp() * 1000)
ZONE = timezone(timedelta(hours=2))


class FakeRecipient(NamedTuple):
    """An answer of `store.delivery.queue.recipients_of`, without a store."""

    address: str
    source: str = "envelope"
    bcc: bool = False


class ThemedApp(App[None]):
    """An app with the console's themes."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, theme: str = DARK.name) -> None:
        super().__init__()
        for one in THEMES:
            self.register_theme(one)
        self.theme = theme


class DialogApp(ThemedApp):
    """Opens a dialog at once; `answer` is what it returned."""

    def __init__(self, dialog: ModalScreen[Any], theme: str = DARK.name) -> None:
        super().__init__(theme)
        self.dialog = dialog
        self.answer: object = NOTHING

    def compose(self) -> ComposeResult:
        yield Static()

    def on_mount(self) -> None:
        self.push_screen(self.dialog, self._answered)

    def _answered(self, answer: object) -> None:
        self.answer = answer


class NoCatalogue:
    """An empty catalogue, for views that never use it."""

    complete = True
    loaded = total = 0

    def engine_counts(self) -> dict[Any, int]:
        return {}

    def day_counts(self, days: int, *, tz: Any = None) -> list[Any]:
        return []


class ViewApp(ThemedApp):
    """Shows one view, and is its shell: `asked` holds every notice, place and copy that the view requested."""

    def __init__(
        self,
        vault: Any,
        make: Callable[[ConsoleContext], Widget],
        *,
        catalogue: Any = None,
        settings: Settings | None = None,
        theme: str = DARK.name,
    ) -> None:
        super().__init__(theme)
        self.asked: list[tuple[Any, ...]] = []
        self.threads = Background(self.call_later)
        self.console_context = ConsoleContext(
            vault=vault,
            catalogue=catalogue or NoCatalogue(),
            shell=self,
            operator="root",
            clock=lambda: NOW,
            tz=ZONE,
            settings=settings or Settings(),
        )
        self.view = make(self.console_context)

    def compose(self) -> ComposeResult:
        yield self.view

    def on_mount(self) -> None:
        first = next((widget for widget in self.view.query("*") if widget.focusable), None)
        self.screen.set_focus(first)

    def on_unmount(self) -> None:
        self.threads.stop()

    def background(self, work: Any, on_done: Any, *, on_error: Any = None, group: str, wait: float = 0.0) -> None:
        self.threads.start(work, on_done, on_error or (lambda error: self.asked.append(("error", str(error)))), group)

    def notice(self, text: str, *, severity: str = "information") -> None:
        self.asked.append(("notice", text))

    def open_copy(self, copy_id: int, neighbour: Any = None) -> None:
        self.asked.append(("open", copy_id))

    def open_act(self, held: Any) -> None:
        self.asked.append(("act", held.act.act))

    def open_campaign(self, campaign_id: int, copy_id: int | None = None) -> None:
        self.asked.append(("campaign", campaign_id, copy_id))

    def open_compare(self, campaign_id: int, copy_id: int, neighbour: Any = None) -> None:
        self.asked.append(("compare", campaign_id, copy_id))

    def list_messages(self, flt: Any) -> None:
        self.asked.append(("list", flt))

    def close_page(self) -> None:
        self.asked.append(("close",))

    def go(self, place: str) -> None:
        self.asked.append(("go", place))

    def store_changed(self) -> None:
        self.asked.append(("changed",))

    def ask(self, dialog: ModalScreen[Any], answered: Callable[[Any], None]) -> None:
        self.push_screen(dialog, answered)

    def end(self) -> None:
        self.exit()

    typed = 0

    def drop_typing_since(self, typed: int) -> None: ...

    def cannot(self, action: str) -> str | None:
        return None

    @property
    def notices(self) -> list[str]:
        return [asked[1] for asked in self.asked if asked[0] in ("notice", "error")]


async def settle(pilot: Pilot[None]) -> None:
    """Wait until nothing runs in the background of a `ViewApp` and everything is painted."""
    app = pilot.app
    assert isinstance(app, ViewApp)
    quiet = 0
    for _ in range(2000):
        await pilot.pause()
        quiet = 0 if app.threads.busy() else quiet + 1
        if quiet == 2:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the view never came to rest")


async def until_shown(pilot: Pilot[Any], *texts: str) -> None:
    """Wait until the screen shows each of the texts and does not change any more.

    Widgets that appear, grow or shrink after a refresh are painted again later: two looks must be equal.
    """
    before, until = "", time.monotonic() + PATIENCE
    while time.monotonic() < until:
        await pilot.pause()
        now = screen_text(pilot.app)
        if now == before and all(text in now for text in texts):
            return
        if now == before:
            await pilot.pause(0.01)  # leave a busy machine's time to the console's threads
        before = now
    raise AssertionError(f"the screen never showed {texts}:\n{before}")


def screen_text(app: App[Any]) -> str:
    """Return the screen as text."""
    width, height = app.size
    lines = [strip.text for strip in app.screen._compositor.render_strips()]
    assert len(lines) == height
    return "\n".join(line[:width].rstrip() for line in lines)
