"""A compositor that asks only the widgets that an update shows for lines, and only for those lines.

Textual's own takes the rectangle around all that changed and has every widget in it, those behind others too, draw all
its lines. `test_compositor.py` holds against each other what both put on the terminal.
"""

from __future__ import annotations

from textual.geometry import Region

from tui.console.textual_private import ChopsUpdate, OpenCompositor, Renders


class SparingCompositor(OpenCompositor):
    """Puts the same on the terminal as the one it extends, with less work."""

    def __init__(self) -> None:
        super().__init__()
        self._painting: list[Region] | None = None

    def render_partial_update(self) -> ChopsUpdate | None:
        self._painting = self.changed
        try:
            return super().render_partial_update()
        finally:
            self._painting = None

    def renders(self, crop: Region | None) -> Renders:
        if self._painting is None:
            yield from super().renders(crop)
            return
        open_regions = self._painting
        for widget, (region, clip) in self.visible_widgets.items():  # from front to back
            seen = region.intersection(clip)
            parts = [part for changed in open_regions if (part := seen.intersection(changed))]
            if not parts:
                continue
            top = min(part.y for part in parts)
            lines = Region(seen.x, top, seen.width, max(part.bottom for part in parts) - top)
            yield lines, lines, widget.render_lines(lines.translate(-region.offset))
            open_regions = [changed for changed in open_regions if not seen.contains_region(changed)]
            if not open_regions:
                return
