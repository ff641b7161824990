"""A `PickList` whose lines can be marked."""

from __future__ import annotations

from textual import events
from textual.message import Message

from tui.console.widgets.pick_list import PickList


class MarkingList(PickList):
    """Posts `Marked` on its key "mark", and on a click on a line's first two cells. The page keeps the marks."""

    turns = True

    class Marked(Message):
        """Toggle the mark of a line."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def action_mark(self) -> None:
        self.post_message(self.Marked(self.cursor))
        self.action_scroll_down()

    def on_click(self, event: events.Click) -> None:
        # Textual also calls the handler of `PickList`.
        if event.x <= 1 and event.y + round(self.scroll_y) < len(self.lines):
            self.post_message(self.Marked(event.y + round(self.scroll_y)))
