"""The line above the workspace that says what happened, with Hide."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from store.terms.notices import HIDE
from tui.terminal.safe import fit, safe
from tui.terminal.widths import cell_len

#: Cells in which nothing can be said behind a notice.
_ROOM = 8
_SIGNS = {"information": "", "warning": "△ ", "error": "▲ "}


class NoticeLine(Horizontal):
    """Shows the newest notice until it is hidden. An error may take a second and third line."""

    DEFAULT_CSS = """
    NoticeLine {
        height: auto; max-height: 3; padding: 0 1 0 0; display: none; background: $background;
        & > #notice-text { width: 1fr; height: auto; color: $foreground; text-style: bold; }
        & > #notice-hide { width: auto; padding: 0 0 0 2; color: $accent; text-style: underline; pointer: pointer; }
        &.-warning > #notice-text { color: $risk; }
        &.-error > #notice-text { color: $danger; }
    }
    """

    class Hide(Message):
        """The user clicked Hide."""

    def compose(self) -> ComposeResult:
        self.line = Static("", id="notice-text", markup=False)
        yield self.line
        yield Static(HIDE, id="notice-hide", markup=False)

    def on_mount(self) -> None:
        self._text, self._outcome = "", ("", "")

    def show(self, text: str, severity: str = "information") -> None:
        """Show a notice instead of the one before."""
        self.set_class(severity == "warning", "-warning")
        self.set_class(severity == "error", "-error")
        self._text, self._outcome = _SIGNS[severity] + safe(text), ("", "")
        self._draw()
        self.display = True

    def show_outcome(self, long: str, short: str) -> None:
        """Show behind the notice what came of it so far, in the longer form where it fits. Both are safe to show."""
        self._outcome = (long, short)
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        long, short = self._outcome
        if not long:
            self.line.update(self._text)
            return
        room = self.app.size.width if not self.size.width else self.size.width
        room -= cell_len(self._text) + len(HIDE) + 6
        apart = "   "
        if room < _ROOM:  # A notice of two lines: a third one says what came of it.
            room, apart = room + cell_len(self._text), "\n"
        said = long if cell_len(long) <= room else short
        self.line.update(Content.assemble(self._text, apart, (fit(said, room).rstrip(), "not bold $muted")))

    def hide(self) -> None:
        """Take the line away."""
        self.display = False

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id == "notice-hide":
            self.post_message(self.Hide())
