"""A compositor that renders only the widgets and lines that an update changes.

Textual's compositor takes the rectangle around all changes, and renders all lines of all widgets in it, hidden ones
included. `test_compositor.py` checks that both put the same on the terminal.
"""

from __future__ import annotations

from textual.geometry import Region

from tui.console.textual_private import ChopsUpdate, OpenCompositor, Renders


class SparingCompositor(OpenCompositor):
    """Writes the same to the terminal as Textual's compositor, but renders less."""

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
