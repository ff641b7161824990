"""The message list's header: column titles, the sort order, and sorting by a click."""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui.console.text.columns import columns


class Line(Widget):
    """A horizontal line, in the one weight that the console uses."""

    DEFAULT_CSS = """
    Line { height: 1; color: $faint; }
    """

    def render(self) -> Content:
        return Content("─" * self.size.width)


def header_line(width: int, sort: str, descending: bool) -> str:
    """Write the column titles in `width` cells. If the sorted column is not shown, Subject's title names it."""
    sign = "▾" if descending else "▴"
    fitted = columns(width)
    hidden = all(column.sort != sort for column in fitted)
    line = ""
    for column in fitted:
        title = f"{column.title}{sign}" if column.sort == sort and column.title else column.title
        if hidden and column.sort == "subject":
            said = f"{sort.capitalize()}{sign}"
            room = column.width - len(title) - len(said)
            said = f"by {said}" if room > 3 else said
            title = title[: column.width - len(said) - 1].ljust(column.width - len(said)) + said
        line = line.ljust(column.x + (column.width - len(title) if column.right else 0)) + title
    return line


class ListHeader(Widget):
    """One line above the list. Its last cell stays free, above the list's scroll bar."""

    DEFAULT_CSS = """
    ListHeader { height: 1; color: $muted; background: $background; }
    """

    sort: reactive[tuple[str, bool]] = reactive(("placed", True))

    class SortBy(Message):
        """A column's title was clicked; `name` is the name of its sort key."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def render(self) -> Content:
        return Content(header_line(self.size.width - 1, *self.sort))

    def on_click(self, event: events.Click) -> None:
        for column in columns(self.size.width - 1):
            if column.x <= event.x < column.x + column.width and column.sort:
                self.post_message(self.SortBy(column.sort))
                return
