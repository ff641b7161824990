"""The list of a campaign's copies. Lines are made when drawn, and rows are fetched page by page."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import BindingType
from textual.strip import Strip

from tui.console.keys.keymap import Scope, bindings
from tui.console.text.campaign_copies import CopyLines
from tui.console.widgets.marking_list import MarkingList


class CopyList(MarkingList):
    """Copies with a cursor. Calls `seen` with the id of each odd copy that is drawn."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CAMPAIGN, only={"mark"})

    def __init__(self, seen: Callable[[int], None], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._seen = seen

    def render_line(self, y: int) -> Strip:
        lines, index = self.lines, round(self.scroll_y) + y
        if isinstance(lines, CopyLines) and index < lines.order.odd:
            self._seen(lines.order.ids[index])
        return super().render_line(y)
