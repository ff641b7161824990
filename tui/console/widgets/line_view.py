"""A scrolling view of lines that draws only the visible ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.console.text.places import Place
from tui.console.widgets.found import split_found
from tui.terminal.lines import KINDS, Line
from tui.terminal.widths import cell_len

#: Makes the lines for a width (cells). Pages run it in a worker thread, or on the event loop if it is fast.
Builder = Callable[[int], Sequence[Line]]


class LineView(ScrollView, can_focus=True):
    """Shows lines. `build` sets a `Builder`, which is called again whenever the width changes.

    The parent runs the builder: it handles `Wanted` and calls `show`.
    """

    DEFAULT_CSS = """
    LineView {
        height: 1fr; width: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
        & > .line--label { color: $text-muted; }
        & > .line--muted { color: $text-muted; }
        & > .line--strong { text-style: bold; }
        & > .line--danger { color: $text-error; }
        & > .line--risk { color: $text-warning; }
        & > .line--accent { color: $accent; }
        & > .line--found { text-style: underline; }
        & > .line--place { background: $cursor; }
        &:ansi > .line--place, &:nocolor > .line--place { text-style: reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line--{kind}" for kind in (*KINDS, "found", "place")}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False),
        Binding("down,j", "scroll_down", "Down", show=False),
        Binding("left", "scroll_left", "Left", show=False),
        Binding("right", "scroll_right", "Right", show=False),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False),
        Binding("pagedown,ctrl+f,space", "page_down", "Page down", show=False),
        Binding("ctrl+u", "half_page(-1)", "Half a page up", show=False),
        Binding("ctrl+d", "half_page(1)", "Half a page down", show=False),
        Binding("home,g", "edge(-1)", "Top", show=False),
        Binding("end,G", "edge(1)", "Bottom", show=False),
    ]

    class Wanted(Message):
        """Ask for lines built for `width` (cells)."""

        def __init__(self, view: LineView, builder: Builder, width: int) -> None:
            super().__init__()
            self.view = view
            self.builder = builder
            self.width = width

        @property
        def control(self) -> LineView:
            return self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: Sequence[Line] = ()
        self._builder: Builder | None = None
        self._built_for = 0
        self._sideways = False
        #: Folded texts that are underlined.
        self._needles: Sequence[str] = ()
        #: The place shown last, in these lines.
        self.place: Place | None = None
        #: Style of plain text, cached: computing it takes longer than drawing a line.
        self._style: Style | None = None

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._style = None

    def build(self, builder: Builder | None) -> None:
        """Use another builder; None empties the view. The old lines stay until the new ones are built."""
        self._builder = builder
        self._built_for = 0
        if builder is None:
            self.show(())
        else:
            self._want()

    def _want(self) -> None:
        width = self.content_size.width - 1  # without the scroll bar's column, even if there is no scroll bar yet
        if self._builder is None or width <= 0 or width == self._built_for:
            return
        self._built_for = width
        self.post_message(self.Wanted(self, self._builder, width))

    def on_resize(self) -> None:
        self._want()

    def on_show(self) -> None:
        self._want()

    def show(self, lines: Sequence[Line], *, line_width: int = 0, top: int | None = None) -> None:
        """Show these lines, with line `top` first (None: keep the position).

        If `line_width` is above 0 the lines have that width whatever the view's, and scroll sideways. The width
        grows if a drawn line is wider.
        """
        self.lines, self.place = lines, None
        self._sideways = line_width > 0
        self.virtual_size = Size(line_width or 1, len(lines))
        if top is not None:
            self.scroll_to(0, top, animate=False, force=True)
        self.refresh()

    def underline(self, needles: Sequence[str]) -> None:
        """Underline these folded texts wherever a line has them whole."""
        self._needles, self.place = needles, None
        self.refresh()

    def show_place(self, place: Place) -> None:
        """Colour the lines of a place, and scroll to it if it is out of sight."""
        self.place = place
        top, height = round(self.scroll_y), max(1, self.size.height)
        if not top <= place.first <= place.last < top + height:
            self.scroll_to(y=max(0, place.first - height // 3), animate=False, force=True)
        if self._sideways:
            self._scroll_sideways_to(self.lines[place.first])
        self.refresh()

    def _scroll_sideways_to(self, line: Line) -> None:
        """Bring the first underlined text of a line into sight."""
        pieces = [piece for text, _ in line for piece in split_found(text, self._needles)]
        at = next((number for number, (_, found) in enumerate(pieces) if found), None)
        if at is None:
            return
        left, width = self.scroll_offset.x, self.scrollable_content_region.width
        column = sum(cell_len(text) for text, _ in pieces[:at])
        if not left <= column <= column + cell_len(pieces[at][0]) <= left + width:
            self.scroll_to(x=max(0, column - width // 3), animate=False, force=True)

    def to_top(self) -> None:
        """Scroll to the first line."""
        self.scroll_to(0, 0, animate=False, force=True)

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        width = self.scrollable_content_region.width
        style = self._style = self._style or self.rich_style
        index = top + y
        if self._builder is not None and not self._built_for:
            # Textual sends a new view no `Resize` if a widget's place was looked up before the first layout.
            self.call_later(self._want)
        if index >= len(self.lines):
            return Strip.blank(width, style)
        strip = Strip(list(self._segments(self.lines[index], style)))
        if self._sideways and strip.cell_length > self.virtual_size.width:
            self.call_later(self._widen, strip.cell_length)
        strip = strip.crop_extend(left, left + width, style)
        if self.place is not None and self.place.first <= index <= self.place.last:
            return strip.apply_style(self.get_component_rich_style("line--place", partial=True))
        return strip

    def _segments(self, line: Line, plain: Style) -> Iterator[Segment]:
        for text, kind in line:
            style = plain if kind == "text" else self.get_component_rich_style(f"line--{kind}")
            for piece, found in split_found(text, self._needles) if self._needles else ((text, False),):
                yield Segment(
                    piece, style + self.get_component_rich_style("line--found", partial=True) if found else style
                )

    def _widen(self, width: int) -> None:
        if self._sideways and width > self.virtual_size.width:
            self.virtual_size = Size(width, self.virtual_size.height)

    def action_scroll_up(self) -> None:
        self.scroll_relative(y=-1, animate=False, force=True)

    def action_scroll_down(self) -> None:
        self.scroll_relative(y=1, animate=False, force=True)

    def action_scroll_left(self) -> None:
        self.scroll_relative(x=-8, animate=False, force=True)

    def action_scroll_right(self) -> None:
        self.scroll_relative(x=8, animate=False, force=True)

    def action_page_up(self) -> None:
        self.scroll_relative(y=1 - self.size.height, animate=False, force=True)

    def action_page_down(self) -> None:
        self.scroll_relative(y=self.size.height - 1, animate=False, force=True)

    def action_half_page(self, direction: int) -> None:
        self.scroll_relative(y=direction * max(1, self.size.height // 2), animate=False, force=True)

    def action_edge(self, direction: int) -> None:
        self.scroll_to(y=0 if direction < 0 else self.max_scroll_y, animate=False, force=True)
