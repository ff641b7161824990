"""A compositor that asks only the widgets that an update shows for lines, and only for those lines.

Textual's own takes the rectangle around all that changed and has every widget in it, those behind others too, draw all
its lines. It is a private part of Textual, and pinned with it (constraints.txt): `test_compositor.py` holds against
each other what both put on the terminal.
"""

from __future__ import annotations

from collections.abc import Iterable

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class SparingCompositor(Compositor):
    """Puts the same on the terminal as the one it extends, with less work."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: list[Region] | None = None

    def render_partial_update(self) -> ChopsUpdate | None:
        self._changed = list(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = None

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if self._changed is None:
            yield from super()._get_renders(crop)
            return
        open_regions = self._changed
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
