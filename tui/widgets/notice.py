"""The line above the workspace that says what happened, with Hide."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from store.notices import HIDE
from tui.safe import safe

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

    def show(self, text: str, severity: str = "information") -> None:
        """Show a notice instead of the one before."""
        self.set_class(severity == "warning", "-warning")
        self.set_class(severity == "error", "-error")
        self.line.update(_SIGNS[severity] + safe(text))
        self.display = True

    def hide(self) -> None:
        """Take the line away."""
        self.display = False

    def on_click(self, event: events.Click) -> None:
        if event.widget is not None and event.widget.id == "notice-hide":
            self.post_message(self.Hide())
