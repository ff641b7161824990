"""The message list's docked header: the columns' titles, the sort order, and sorting by a click."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.widgets.columns import columns


class Line(Widget):
    """One line of the one weight that the console draws."""

    DEFAULT_CSS = """
    Line { height: 1; color: $faint; }
    """

    def render(self) -> Content:
        return Content("─" * self.size.width)


class ListHeader(Widget):
    """One line above the list. The last cell stays free: below it lies the list's scroll bar."""

    DEFAULT_CSS = """
    ListHeader { height: 1; color: $muted; background: $background; }
    """

    sort: reactive[tuple[str, bool]] = reactive(("placed", True))

    class SortBy(Message):
        """A column's title was clicked; `name` is the sort key's."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def render(self) -> Content:
        name, descending = self.sort
        line = ""
        for column in columns(self.size.width - 1):
            title = column.title
            if column.sort == name and title:
                title = f"{title}{'▾' if descending else '▴'}"
            line = line.ljust(column.x + (column.width - len(title) if column.right else 0)) + title
        return Content(line)

    def on_click(self, event: events.Click) -> None:
        for column in columns(self.size.width - 1):
            if column.x <= event.x < column.x + column.width and column.sort:
                self.post_message(self.SortBy(column.sort))
                return
