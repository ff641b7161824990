"""The list's scroll bar looks like Textual's, and does not repaint for a position that looks the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip

from tui.console.widgets.quiet_scroll_bar import QuietScrollBar

WINDOW = 30


class Bars(App[None]):
    """Both bars next to each other."""

    CSS = f"ScrollBar {{ width: 1; height: {WINDOW}; }}"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield ScrollBar(vertical=True)
            yield QuietScrollBar(vertical=True)


def seen(strip: Strip) -> list[object]:
    """Return the visible cells of a line and their click actions, without the colour of blank text."""
    cells: list[object] = []
    for text, style, _ in strip:
        assert style is not None
        front = style.color if text.strip() or style.reverse else None
        back = style.bgcolor if text.strip() or not style.reverse else None
        cells.append((text, front, back, style.reverse, style.meta))
    return cells


def look(virtual: int, position: float) -> list[tuple[str, str]]:
    segments = ScrollBarRender.render_bar(WINDOW, virtual, WINDOW, position).segments
    return [(segment.text, str(segment.style)) for segment in segments]


async def test_it_draws_every_position_as_textual_does() -> None:
    app = Bars()
    async with app.run_test(size=(20, WINDOW)):
        plain, quiet = app.query_one(ScrollBar), app.query_one(QuietScrollBar)
        for virtual in (10, 31, 200, 5_000, 1_000_000):
            for share in (0, 0.1, 0.5, 0.99, 1):
                for bar in (plain, quiet):
                    bar.window_virtual_size, bar.window_size = virtual, WINDOW
                quiet.position = share * max(0, virtual - WINDOW)
                plain.position = quiet.position
                for crop in (Region(0, 0, 1, WINDOW), Region(0, 7, 1, 3)):
                    drawn, expected = quiet.render_lines(crop), plain.render_lines(crop)
                    assert [seen(strip) for strip in drawn] == [seen(strip) for strip in expected]


async def test_a_page_of_a_million_does_not_move_it_and_the_ends_do() -> None:
    app = Bars()
    async with app.run_test(size=(20, WINDOW)):
        bar = app.query_one(QuietScrollBar)
        bar.window_virtual_size, bar.window_size = 1_000_000, WINDOW

        @given(st.integers(1, 1_000_000 - WINDOW - 1))
        def property_of(position: int) -> None:
            taken = bar.validate_position(position)
            assert taken <= position
            # At most an eighth of a cell away from the exact position.
            assert position - taken <= (1_000_000 - WINDOW) / ((WINDOW - 1) * 8) + 1

        property_of()
        assert bar.validate_position(500_000) == bar.validate_position(500_000 + WINDOW)
        for end in (0, 1_000_000 - WINDOW):
            assert bar.validate_position(end) == end
            assert look(1_000_000, bar.validate_position(end)) == look(1_000_000, end)


async def test_where_the_list_gets_shorter_it_shows_where_the_list_is() -> None:
    app = Bars()
    async with app.run_test(size=(20, WINDOW)):
        bar = app.query_one(QuietScrollBar)
        bar.window_virtual_size, bar.window_size = 1_000_000, WINDOW
        bar.position = 400
        assert bar.position == 0
        bar.window_virtual_size = 600
        assert look(600, bar.position) == look(600, 400) != look(600, 0)
        bar.window_virtual_size = 1_000_000
        assert bar.position == 0


async def test_one_whose_page_was_taken_away_is_painted_blank_until_the_screen_is_laid_out_anew() -> None:
    app = Bars()
    async with app.run_test(size=(20, WINDOW)):
        quiet = app.query_one(QuietScrollBar)
        quiet.window_virtual_size, quiet.window_size = 200, WINDOW
        await quiet.remove()
        assert [strip.text for strip in quiet.render_lines(Region(0, 2, 1, 3))] == [" "] * 3
