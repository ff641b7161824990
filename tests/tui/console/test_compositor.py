"""The economical compositor puts the same on the terminal as Textual's own."""

from __future__ import annotations

import pyte
import pytest
from textual._compositor import ChopsUpdate, Compositor

from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tui.console.compositor import SparingCompositor

KEYS = (
    *("j", "j", "pagedown", "G", "g", "space", "v", "j", "escape", "2", "j", "/", "c", "a", "escape"),
    *("d", "escape", "t", "j", "t", "?", "escape", "k", "pageup"),
)


class Compared(SparingCompositor):
    """Paints each update on two terminals: by the compositor, and by Textual's."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__()
        self.updates = 0
        self.screens = pyte.Screen(columns, lines), pyte.Screen(columns, lines)
        self._terminals = [pyte.Stream(screen) for screen in self.screens]

    def render_partial_update(self) -> ChopsUpdate | None:
        changed = self._dirty_regions.copy()
        update = super().render_partial_update()
        self._dirty_regions = changed
        both = update, Compositor.render_partial_update(self)
        for terminal, painted in zip(self._terminals, both, strict=True):
            if painted is not None and self.root is not None:
                terminal.feed(painted.render_segments(self.root.app.console))
        self.updates += 1
        assert self.screens[0].buffer == self.screens[1].buffer
        return update


@pytest.mark.parametrize("size", [(80, 24), (160, 40)])
async def test_every_update_shows_what_textual_would_have_painted(vault: Vault, size: tuple[int, int]) -> None:
    app = make_console(vault, count=900)
    compositor = app.main._compositor = Compared(*size)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for key in KEYS:
            await pilot.press(key)
            await settle(pilot)
    assert compositor.updates > 20
    assert any(line.strip() for line in compositor.screens[0].display)


async def test_only_the_widgets_in_an_update_are_asked_for_lines(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_console(vault, count=900)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        asked: list[str] = []
        widget = type(app.main.console_tree)
        before = widget.render_lines
        monkeypatch.setattr(widget, "render_lines", lambda self, crop: asked.append("tree") or before(self, crop))
        await pilot.press("j", "j", "pagedown")
        await settle(pilot)
    assert asked == []
