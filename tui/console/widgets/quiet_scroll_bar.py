"""A scroll bar that repaints only when it looks different: in a long list, a page often
moves it by less than 1/8 cell.
"""

from __future__ import annotations

from typing import cast

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

#: Visible positions of a scroll bar's end within a cell.
_STEPS = 8


class QuietScrollBar(ScrollBar):
    """A vertical scroll bar that rounds positions to visible steps. The first and the last position are exact."""

    #: The unrounded position. Rounding depends on the lengths of list and bar, so it is repeated when they change.
    _exact: float = 0

    def validate_position(self, position: float) -> float:
        self._exact = position
        height, hidden = self.size.height, self.window_virtual_size - self.window_size
        if height <= 0 or hidden <= 0 or not 0 < position < hidden:
            return super().validate_position(position)
        thumb = max(1.0, self.window_size * height / self.window_virtual_size)
        step = hidden / max(1.0, (height - thumb) * _STEPS)
        return super().validate_position(position if step <= 1 else int(position / step) * step)

    def watch_window_virtual_size(self) -> None:
        self.position = self._exact

    def watch_window_size(self) -> None:
        self.position = self._exact

    def on_resize(self) -> None:
        self.position = self._exact

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the lines of a region.

        At most five kinds of lines occur; each is made once (Textual makes every line).
        """
        if self.parent is None:  # the page was removed, but the screen has no new layout yet
            return [Strip.blank(crop.width)] * crop.height
        bar = cast("ScrollBarRender", self.render())
        style = cast("Style", bar.style)
        assert style.bgcolor is not None
        assert style.color is not None
        segments: list[Segment] = bar.render_bar(
            size=self.size.height,
            virtual_size=bar.virtual_size,
            window_size=bar.window_size,
            position=bar.position,
            thickness=bar.thickness,
            back_color=style.bgcolor,
            bar_color=style.color,
        ).segments
        _, background = self.background_colors
        kinds: dict[int, Strip] = {}
        for segment in segments[crop.y : crop.bottom]:
            if id(segment) not in kinds:
                strip = Strip([segment], bar.thickness)
                for line_filter in self.app.get_line_filters():
                    strip = strip.apply_filter(line_filter, background)
                kinds[id(segment)] = strip
        start, end = crop.column_span
        whole = (start, end) == (0, bar.thickness)
        strips = [kinds[id(segment)] for segment in segments[crop.y : crop.bottom]]
        return strips if whole else [strip.crop(start, end) for strip in strips]
