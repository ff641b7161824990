"""The line above the workspace that shows notices, with Hide."""

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

#: Cells below which an outcome does not fit behind a notice.
_ROOM = 8
_SIGNS = {"information": "", "passing": "", "warning": "△ ", "refusal": "△ ", "error": "▲ "}


class NoticeLine(Horizontal):
    """Shows the newest notice until it is hidden. Long notices take up to three lines."""

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
        #: True if the notice is of no use on another page.
        self.passing = False

    def show(self, text: str, severity: str = "information") -> None:
        """Show a notice in place of the one before."""
        self.passing = severity in ("refusal", "passing")
        self.set_class(severity in ("warning", "refusal"), "-warning")
        self.set_class(severity == "error", "-error")
        self._text, self._outcome = _SIGNS[severity] + safe(text), ("", "")
        self._draw()
        self.display = True

    def show_outcome(self, long: str, short: str) -> None:
        """Show the outcome so far behind the notice, in the long form if it fits. Both forms are safe to show."""
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
        if room < _ROOM:  # the notice fills its line: put the outcome on the next one
            room, apart = room + cell_len(self._text), "\n"
        said = long if cell_len(long) <= room else short
        self.line.update(Content.assemble(self._text, apart, (fit(said, room).rstrip(), "not bold $muted")))

    def hide(self) -> None:
        """Hide the line."""
        self.display = False

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id == "notice-hide":
            self.post_message(self.Hide())
