"""Lines are built for the visible width, with and without a scroll bar."""

from __future__ import annotations

import pytest
from textual.app import ComposeResult

from tests.tui.console.view_harness import ThemedApp
from tui.console.widgets.line_view import LineView
from tui.terminal.lines import Line, Span


class LinesApp(ThemedApp):
    """Shows `count` lines of the requested width, each ending in ``>``."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def compose(self) -> ComposeResult:
        yield LineView()

    def on_mount(self) -> None:
        self.again()

    def again(self) -> None:
        self.query_one(LineView).build(lambda width: [(Span("x" * (width - 1) + ">"),)] * self.count)

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        lines: list[Line] = list(event.builder(event.width))
        event.view.show(lines)


@pytest.mark.parametrize("count", [3, 300])
async def test_no_line_runs_under_the_scroll_bar(count: int) -> None:
    app = LinesApp(count)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.again()
        await pilot.pause()
        view = app.query_one(LineView)
        assert view.show_vertical_scrollbar == (count > 20)
        assert view.render_line(0).text.rstrip() == "x" * 58 + ">"


async def test_lines_are_built_although_a_place_was_looked_up_before_the_first_layout() -> None:
    """Textual then sends neither `Resize` nor `Show`."""
    app = LinesApp(3)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await app.query_one(LineView).remove()
        view = LineView()
        view.build(lambda width: [(Span("built"),)])
        await app.mount(view)
        app.screen._compositor.update_widgets({view})
        assert view.region.width == 60
        await pilot.pause()
        await pilot.pause()
        assert view.render_line(0).text.rstrip() == "built"
