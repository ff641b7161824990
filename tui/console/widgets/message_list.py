"""The message list: a virtual list that fetches and draws only the rows in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, tzinfo
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from store.mail.outcome import Delivered
from store.terms.records import Row
from tui.console.keys.keymap import Scope, bindings
from tui.console.textual_private import own_scroll_bar
from tui.console.widgets.marked_rows import MarkedRows
from tui.console.widgets.pages import Pages, Result
from tui.console.widgets.quiet_scroll_bar import QuietScrollBar
from tui.console.widgets.row_painter import RowPainter

#: Columns that open the copy when clicked, like the links in the spec.
LINKS = frozenset({"from", "to", "subject"})
#: Actions that the list handles itself; its parent handles the others.
MOVES = frozenset(
    {"cursor", "page", "half_page", "top", "bottom", "mark", "mark_move", "mark_range", "unmark_all", "view"}
)


class MessageList(MarkedRows, can_focus=True):
    """The rows of a result, a cursor that stays on its copy, and marks. It never accesses the store.

    `show` sets the result; `selection` returns what an action works on. Times are shown in `tz`, relative to `clock`.
    """

    DEFAULT_CSS = """
    MessageList {
        background: $background; scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll;
        & > .message-list--text { color: $foreground; }
        & > .message-list--muted { color: $muted; }
        & > .message-list--mark { color: $accent; text-style: bold; }
        & > .message-list--danger { color: $danger; text-style: bold; }
        & > .message-list--risk { color: $risk; }
        & > .message-list--policy { color: $policy; }
        & > .message-list--bulk { color: $muted; }
        & > .message-list--found { text-style: underline; }
        & > .message-list--cursor { background: $cursor-blurred; }
        & > .message-list--cursor-focus { background: $cursor; }
        &:ansi > .message-list--cursor-focus, &:nocolor > .message-list--cursor-focus { text-style: reverse; }
        &:ansi > .message-list--cursor, &:nocolor > .message-list--cursor { text-style: underline; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"message-list--{name}"
        for name in ("text", "muted", "mark", "danger", "risk", "policy", "bulk", "found", "cursor", "cursor-focus")
    }
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.LIST, only=MOVES)

    scope = Scope.LIST
    #: Without a new layout for each result: the scroll bar is always there.
    virtual_size = Reactive(Size(0, 0))

    class Opened(Message):
        """View a copy."""

        def __init__(self, copy_id: int) -> None:
            super().__init__()
            self.copy_id = copy_id

    def __init__(
        self, *, clock: Callable[[], int], tz: tzinfo = UTC, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.clock = clock
        self.painter = RowPainter(self._component, tz)
        self.empty_text = ""
        self._placeholders = False
        self._pool = ThreadPoolExecutor(1, "message-list")

    def new_pages(self, result: Result) -> Pages:
        """Make pages for a result. The worker thread that made the result loads them, then `show` shows them."""
        return Pages(result, self._pool, self._page_arrived)

    def window(self) -> tuple[int, int]:
        """Return the range of rows in sight (start, stop), extended by one screenful each way."""
        height = max(1, self.size.height)
        top = round(self.scroll_y)
        return max(0, top - height), top + 2 * height

    def show(self, pages: Pages, *, keep: bool) -> None:
        """Show a result. `keep`: it is the same list after a change, so the cursor stays on its copy and screen line.

        Without `keep` the cursor goes to the first row. A list scrolled to its top stays there while the
        cursor's copy is in sight, so that new mail is seen. If the mouse wheel moved the cursor out of sight,
        the visible rows stay where they are.
        """
        before, self.pages = self.pages, pages
        count = pages.result.count
        in_sight = True
        if not keep or self.cursor_id is None or before is None:
            cursor, top = 0, 0
            self.range_start = None
        else:
            top = round(self.scroll_y)
            line = self.cursor - top
            in_sight = 0 <= line < self._height
            position = pages.result.position(self.cursor_id)
            cursor = min(self.cursor, max(0, count - 1)) if position is None else position
            if not in_sight:
                row = before.row(top)
                first = pages.result.position(row.id) if row else None
                top = top if first is None else first
            elif top > 0 or cursor >= self._height:
                top = cursor - line
            if self.range_start is not None:
                self.range_start = max(0, min(count - 1, self.range_start + cursor - self.cursor))
        self.painter.now = self.clock()
        self.painter.forget()
        self.virtual_size = Size(0, count)
        self.vertical_scrollbar.window_virtual_size = count
        self.set_reactive(MessageList.cursor, cursor)
        self._scroll_rows(max(0, min(top, count - self._height)))
        self._note_cursor()
        if in_sight:
            self._keep_in_sight()
        self.refresh()
        self.post_message(self.Changed())

    @property
    def current(self) -> Row | None:
        """The row at the cursor; None while it is being fetched, or in an empty list."""
        return self.pages.row(self.cursor) if self.pages and self.cursor < self.count else None

    def set_outcomes(self, outcomes: Mapping[int, Delivered]) -> bool:
        """Show the outcomes of released copies, by id. Returns False if it is the same mapping as before."""
        if outcomes is self.painter.outcomes:
            return False
        self.painter.outcomes = outcomes
        self.painter.forget()
        self.refresh()
        return True

    def _page_arrived(self, pages: Pages) -> None:
        try:
            self.app.call_later(self._repaint, pages)
        except RuntimeError:  # the console is closing
            pass

    def _repaint(self, pages: Pages) -> None:
        if pages is self.pages:
            if self.cursor_id is None:
                self._note_cursor()
            if self._placeholders:
                self._placeholders = False
                self.refresh()

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        return own_scroll_bar(self, lambda: QuietScrollBar(name="vertical", thickness=self.scrollbar_size_vertical))

    @property
    def _height(self) -> int:
        return max(1, self.size.height)

    def _scroll_rows(self, top: int) -> None:
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _keep_in_sight(self) -> None:
        """Scroll to the cursor. A step over the edge scrolls half a page: one redraw then serves many steps."""
        top, height = round(self.scroll_y), self._height
        turn = max(1, height // 2)
        if self.cursor < top:
            self._scroll_rows(max(0, min(self.cursor, max(top - turn, self.cursor - height + 1))))
        elif self.cursor >= top + height:
            self._scroll_rows(
                min(max(0, self.count - height), max(self.cursor - height + 1, min(top + turn, self.cursor)))
            )

    def _note_cursor(self) -> None:
        row = self.current
        self.cursor_id = row.id if row else None

    def watch_cursor(self, old: int, new: int) -> None:
        self._note_cursor()
        self.settle_lost()
        if self.pages is not None:
            reach = 3 * self._height
            self.pages.expect(new - reach, new + reach)
        if self.range_start is not None:
            self.refresh()
        else:
            self.refresh_line(old)
            self.refresh_line(new)
        self._keep_in_sight()
        self.post_message(self.Changed())

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, self.count - 1))

    def _move_to(self, row: int) -> None:
        """Move the cursor to a row and scroll to it, even if the cursor is there but was scrolled out of sight."""
        self.cursor = row
        self._keep_in_sight()

    def action_cursor(self, step: int) -> None:
        self._move_to(self.cursor + step)

    def action_page(self, pages: int) -> None:
        self._move_page(pages * max(1, self._height - 1))

    def action_half_page(self, pages: int) -> None:
        self._move_page(pages * max(1, self._height // 2))

    def _move_page(self, rows: int) -> None:
        top = max(0, min(round(self.scroll_y) + rows, self.count - self._height))
        self._scroll_rows(top)
        self._move_to(self.cursor + rows)

    def action_top(self) -> None:
        self._move_to(0)

    def action_bottom(self) -> None:
        self._move_to(self.count - 1)

    def on_click(self, event: events.Click) -> None:
        index = event.y + round(self.scroll_y)
        if index >= self.count:
            return
        self.cursor = index
        column = next((one for one in self.painter.columns if one.x <= event.x < one.x + one.width), None)
        if (event.shift or event.x <= 1) and self.refused():
            return
        if event.shift and self.cursor_id is not None:
            self.settle_lost()
            self.marks.add((self.cursor_id,))
            self.marks_changed()
        elif event.x <= 1 and self.cursor_id is not None:
            self.settle_lost()
            self.marks.toggle(self.cursor_id)
            self.marks_changed()
        elif column is not None and column.name in LINKS:
            self._open(self.cursor_id)

    def action_view(self) -> None:
        self._open(self.marks.single if self.views_mark else self.cursor_id)

    def _open(self, copy_id: int | None) -> None:
        if copy_id is not None:
            self.viewed = copy_id
            self.post_message(self.Opened(copy_id))
            self.post_message(self.Changed())

    def neighbour(self, copy_id: int, step: int) -> int | None:
        """Move the cursor to the copy `step` places after `copy_id`, and return its id; None at the end of the list."""
        if self.pages is None:
            return None
        result = self.pages.result
        position = result.position(copy_id)
        place = self.cursor if position is None else position + step
        if not 0 <= place < result.count:
            return None
        self.cursor = place
        ids = result.ids(place, place + 1)
        self.viewed = ids[0] if ids else None
        return self.viewed

    def on_resize(self) -> None:
        self._keep_in_sight()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.painter.forget(styles=True)

    def _component(self, name: str, partial: bool) -> Style:
        return self.get_component_rich_style(f"message-list--{name}", partial=partial)

    def watch_has_focus(self, focus: bool) -> None:
        super().watch_has_focus(focus)
        self.refresh_line(self.cursor)

    def refresh_line(self, y: int) -> None:
        """Repaint a row, but not the scroll bar, which would take more bytes than the row."""
        self.refresh(Region(0, y - round(self.scroll_y), self.scrollable_content_region.width, 1))

    def _in_range(self, index: int) -> bool:
        if self.range_start is None:
            return False
        first, last = sorted((self.range_start, self.cursor))
        return first <= index <= last

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the lines of a region. Skips Textual's border, padding and opacity, which the list does not have."""
        if not self.is_attached:  # the page was removed, but the screen has no new layout yet
            return [Strip.blank(crop.width)] * crop.height
        self.painter.set_width(self.scrollable_content_region.width)
        _, background = self.background_colors
        top, filters = round(self.scroll_y), self.app.get_line_filters()
        strips = [self._line(top + y) for y in crop.line_range]
        for line_filter in filters:
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        start, end = crop.column_span
        if (start, end) == (0, self.painter.width):
            return strips
        return [strip.crop(start, end) for strip in strips]

    def render_line(self, y: int) -> Strip:
        return self.render_lines(Region(0, y, self.scrollable_content_region.width, 1))[0]

    def _line(self, index: int) -> Strip:
        state = "" if index != self.cursor else "cursor-focus" if self.has_focus else "cursor"
        if self.pages is None or index >= self.count:
            hint = self.pages is not None and not self.count and index == 1
            return self.painter.text(self.empty_text) if hint else self.painter.blank()
        row = self.pages.row(index)
        if row is None:
            self._placeholders = True
            return self.painter.text("…", state)
        frozen = self.marks.frozen
        if frozen is not None and not frozen.knows(row.id):
            frozen.learn([row.id, *(one.id for one in self.pages.around(index))])
        return self.painter.row(row, marked=row.id in self.marks or self._in_range(index), state=state)

    def on_unmount(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
