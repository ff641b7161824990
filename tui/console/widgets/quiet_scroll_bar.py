"""A scroll bar that is painted only when it looks different: in a long list a page moves it by less than is seen."""

from __future__ import annotations

from typing import cast

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

#: In how many steps a scroll bar's end moves through a cell.
_STEPS = 8


class QuietScrollBar(ScrollBar):
    """A vertical scroll bar. It takes only positions that it shows differently; its ends are exact."""

    #: Where it is, exactly: what it shows of that changes with the length of the list and its own.
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
        """Render a region's lines: of five kinds at most, each made once, while Textual makes every line."""
        if self.parent is None:  # Its page was taken away, and the screen is not laid out anew yet.
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
