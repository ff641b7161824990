"""The base of the workspace's pages: their context, and how they follow the store."""

from __future__ import annotations

from typing import ClassVar

from textual.widget import Widget

from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope
from tui.console.widgets.line_view import LineView


class Page(Widget):
    """A page of the workspace. Subclasses read the store in `follow_store`, which is called often."""

    DEFAULT_CSS = """
    Page {
        width: 1fr; height: 1fr; layout: vertical;
        & > Rule.-horizontal { height: 1; margin: 0; color: $border-blurred; }
    }
    """
    #: The scope of the page's keys.
    scope: ClassVar[Scope] = Scope.PAGE

    def __init__(self, context: ConsoleContext, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.context = context

    def on_mount(self) -> None:
        # Runs after a subclass's own `on_mount`: Textual calls both.
        self.follow_store()

    def refresh_data(self) -> None:
        """Read the store again, once the page is mounted."""
        if self.is_mounted and self.is_attached:
            self.follow_store()

    def follow_store(self) -> None:
        """Show the present state of the store. A hook, called while the page is mounted."""

    def entered(self) -> None:
        """Handle that the user came to this page; a new page is not mounted yet. A hook."""

    def focus_main(self) -> None:
        """Focus the page's first focusable widget."""
        self.screen.set_focus(next((widget for widget in (self, *self.query("*")) if widget.focusable), None))

    @property
    def reading(self) -> bool:
        """True until a new page has read the store for the first time; keys typed ahead wait for that."""
        return False

    def reason_against(self, action: str) -> str | None:
        """Return why an action of the page's own keys is not possible now, or None."""
        return None

    def refused(self, action: str) -> bool:
        """Return True if an action is not possible now, after a notice with the reason."""
        reason = self.reason_against(action)
        if reason is not None:
            self.context.shell.notice(reason, severity="refusal")
        return reason is not None

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        event.stop()
        self.build_lines(event)

    def build_lines(self, event: LineView.Wanted) -> None:
        """Build the lines that a view wants, on the event loop: for few lines, or lines made when drawn."""
        event.view.show(event.builder(event.width))

    def action_to_list(self) -> None:
        self.context.shell.go("backup")
