"""The list of a campaign's copies. Lines are made when drawn, and rows are fetched page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip

from tui.console.keys.keymap import Scope, bindings
from tui.console.text.campaign_copies import CopyLines
from tui.console.widgets.pick_list import PickList


class CopyList(PickList):
    """Copies with a cursor. Posts `Marked` to toggle a mark; calls `seen` with the id
    of each odd copy that is drawn.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CAMPAIGN, only={"mark"})
    turns = True

    class Marked(Message):
        """Toggle the mark of a line."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, seen: Callable[[int], None], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._seen = seen

    def render_line(self, y: int) -> Strip:
        lines, index = self.lines, round(self.scroll_y) + y
        if isinstance(lines, CopyLines) and index < lines.order.odd:
            self._seen(lines.order.ids[index])
        return super().render_line(y)

    def action_mark(self) -> None:
        self.post_message(self.Marked(self.cursor))
        self.action_scroll_down()

    def on_click(self, event: events.Click) -> None:
        if event.x <= 1 and event.y + round(self.scroll_y) < len(self.lines):
            self.post_message(self.Marked(event.y + round(self.scroll_y)))
