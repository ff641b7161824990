"""What the places of the workspace share: the store around them, and how they follow it."""

from __future__ import annotations

from typing import ClassVar

from textual.widget import Widget

from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope
from tui.console.widgets.line_view import LineView


class Page(Widget):
    """What the workspace shows of one place. Subclasses read the store in `follow_store`, which is called often."""

    DEFAULT_CSS = """
    Page {
        width: 1fr; height: 1fr; layout: vertical;
        & > Rule.-horizontal { height: 1; margin: 0; color: $border-blurred; }
    }
    """
    #: Whose keys work here.
    scope: ClassVar[Scope] = Scope.PAGE

    def __init__(self, context: ConsoleContext, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context

    def on_mount(self) -> None:
        # A subclass's own `on_mount` runs before this one: Textual calls both.
        self.follow_store()

    def refresh_data(self) -> None:
        """Take up what changed in the store, once the page is there."""
        if self.is_mounted and self.is_attached:
            self.follow_store()

    def follow_store(self) -> None:
        """Show what is in the store now. A hook; the page is mounted."""

    def entered(self) -> None:
        """Act when the user came here; a new page is not mounted yet. A hook."""

    def focus_main(self) -> None:
        """Give the focus to what takes it first."""
        self.screen.set_focus(next((widget for widget in (self, *self.query("*")) if widget.focusable), None))

    def reason_against(self, action: str) -> str | None:
        """Why an action of the page's own keys is not possible now, or None."""
        return None

    def refused(self, action: str) -> bool:
        """Return True if an action is not possible now; say why."""
        reason = self.reason_against(action)
        if reason is not None:
            self.context.shell.notice(reason, severity="warning")
        return reason is not None

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        event.stop()
        self.build_lines(event)

    def build_lines(self, event: LineView.Wanted) -> None:
        """Build the lines that a view wants, at once: few, or made when they are drawn."""
        event.view.show(event.builder(event.width))

    def action_to_list(self) -> None:
        self.context.shell.go("backup")
