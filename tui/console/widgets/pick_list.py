"""Lines with a cursor, to pick one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tui.console.widgets.line_view import LineView
from tui.terminal.lines import Line


class PickList(LineView):
    """A `LineView` whose movement keys move a cursor. Posts `Moved` and, on Enter or a double click, `Picked`."""

    DEFAULT_CSS = """
    PickList {
        & > .pick--cursor { background: $cursor-blurred; }
        & > .pick--cursor-focus { background: $cursor; }
        &:ansi > .pick--cursor-focus, &:nocolor > .pick--cursor-focus { text-style: reverse; }
        &:ansi > .pick--cursor, &:nocolor > .pick--cursor { text-style: underline; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"pick--cursor", "pick--cursor-focus"}
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "pick", "View", show=False)]

    cursor: reactive[int] = reactive(0, init=False)
    #: True for long lists: a step over the edge scrolls half a page, so that one redraw serves many steps.
    turns: ClassVar[bool] = False

    class Moved(Message):
        """The cursor moved to another line."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    class Picked(Message):
        """A line was picked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def show(self, lines: Sequence[Line], *, line_width: int = 0, top: int | None = None) -> None:
        super().show(lines, line_width=line_width, top=top)
        self.cursor = max(0, min(self.cursor, len(lines) - 1))

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        if round(self.scroll_y) + y != self.cursor or not self.lines:
            return strip
        name = "pick--cursor-focus" if self.has_focus else "pick--cursor"
        cursor = self.get_component_rich_style(name, partial=True)
        return Strip([Segment(text, (style or Style()) + cursor) for text, style, _ in strip], strip.cell_length)

    def to_cursor(self) -> None:
        """Scroll to the cursor's line. With `turns`, a step over the edge scrolls half a page."""
        top, height = round(self.scroll_y), max(1, self.scrollable_content_region.height)
        turn = height // 2 if self.turns else 0
        if turn and self.cursor >= top + height:
            lowest = max(0, len(self.lines) - height)
            top = min(lowest, max(self.cursor - height + 1, min(top + turn, self.cursor)))
            self.scroll_to(y=top, animate=False, force=True)
        elif turn and self.cursor < top:
            top = max(0, min(self.cursor, max(top - turn, self.cursor - height + 1)))
            self.scroll_to(y=top, animate=False, force=True)
        else:
            self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    def watch_cursor(self, before: int, cursor: int) -> None:
        self.to_cursor()
        self.refresh_lines(before)
        self.refresh_lines(cursor)
        self.post_message(self.Moved(cursor))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _move(self, step: int) -> None:
        self.cursor = max(0, min(self.cursor + step, len(self.lines) - 1))

    def action_scroll_up(self) -> None:
        self._move(-1)

    def action_scroll_down(self) -> None:
        self._move(1)

    def action_page_up(self) -> None:
        self._move(1 - self.size.height)

    def action_page_down(self) -> None:
        self._move(self.size.height - 1)

    def action_half_page(self, direction: int) -> None:
        self._move(direction * max(1, self.size.height // 2))

    def action_edge(self, direction: int) -> None:
        self._move(direction * len(self.lines))

    def action_pick(self) -> None:
        if self.lines:
            self.post_message(self.Picked(self.cursor))

    def on_click(self, event: events.Click) -> None:
        index = event.y + round(self.scroll_y)
        if not 0 <= index < len(self.lines):
            return
        if index == self.cursor and event.chain == 2:
            self.action_pick()
        self.cursor = index
