"""Counts and buttons at every width: without room whole pieces are left out, and none is cut off."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import ComposeResult

from store.vault.vault import Vault
from tests.tui.console.driven import counts, lines, make_console, settle, the_list
from tests.tui.console.fakes import FakeCatalogue, copies
from tests.tui.console.view_data import RAW, record_of
from tests.tui.console.view_harness import NOW, ThemedApp, screen_text
from tui.console.screens.message import TABS
from tui.console.widgets.button_row import ButtonRow
from tui.console.widgets.controls import PushButton
from tui.console.widgets.counts import counts_line
from tui.console.widgets.filter_line import Counts, counts_room
from tui.console.widgets.tab_strip import TabStrip

NUMBERS = st.sampled_from([0, 1, 3, 64, 4_688, 35_311, 1_000_000])
#: What each piece may look like: nothing else may be in the counts.
PIECE = re.compile(
    r"▲ not read|[\d,]+\+? (?:shown )?of [\d,]+"
    r"|[\d,]+ cop(?:y|ies)|[\d,]+\+?|reading (?:senders )?5 %|[\d,]+ not indexed"
    r"|range of [\d,]+|● [\d,]+(?: marked)?(?:, [\d,]+ not shown)?|[\d,]+(?: marked (?:is|are))? gone|UTC\+2"
)


@given(
    number=st.tuples(*[NUMBERS] * 6),
    flags=st.tuples(*[st.booleans()] * 4),
    loading=st.sampled_from([("", ""), ("", "5 %"), ("senders", "5 %")]),
    room=st.integers(1, 120),
)
def test_counts_lose_whole_pieces_and_keep_the_marks(number: Any, flags: Any, loading: Any, room: int) -> None:
    total, unread, range_count, marked, outside, gone = number
    filtered, problem, wide, partial = flags
    result = SimpleNamespace(total=total, count=total // 2, partial=partial, unread=unread)

    def written(cells: int) -> str:
        return counts_line(
            result,
            filtered=filtered,
            problem=problem,
            loading=loading,
            range_count=range_count,
            marked=marked,
            outside=min(outside, marked),
            gone=gone,
            zone="UTC+2",
            wide=wide,
            room=cells,
        ).plain

    text, whole = written(room), written(10_000)
    rest = text
    while rest:
        ends = [end for end in range(len(rest), 0, -1) if rest[end : end + 1] in ("", " ")]
        end = next((end for end in ends if PIECE.fullmatch(rest, 0, end)), None)
        assert end is not None, text
        rest = rest[end:].lstrip()
    assert ("▲ not read" in text) == problem and (f"● {marked:,}" in text) == bool(marked)
    if len(whole) <= room:
        assert text == whole
    elif len(text) > room:
        assert text == " ".join(["▲ not read"] * problem + [f"● {marked:,}"] * bool(marked))


def shown_in_full(app: Any) -> bool:
    """Return True if the counts are not cut off, and are what was asked for."""
    widget = app.main.backup.line.query_one("#counts", Counts)
    return counts(app) in lines(app)[1] and widget.size.width >= len(counts(app))


@pytest.mark.parametrize("tree", [True, False], ids=["tree", "no-tree"])
@pytest.mark.parametrize("width", [60, 80, 100, 132])
async def test_no_count_is_cut_off(vault: Vault, tree: bool, width: int) -> None:
    app = make_console(vault, FakeCatalogue(copies(35_312)))
    async with app.run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        if app.main.console_tree.display != tree:
            await pilot.press("b")
        for key in ("x", "asterisk"):
            await pilot.press(key)
            await settle(pilot)
            assert shown_in_full(app)
        the_list(app).forget(range(1, 4_689), others=True)
        await settle(pilot)
        assert "● 30,624" in counts(app) and shown_in_full(app)
        assert "4,688" in counts(app) or width < 80


def test_the_room_for_counts_is_that_of_the_styles() -> None:
    assert "max-width: 60%" in Counts.DEFAULT_CSS and "padding: 0 0 0 2" in Counts.DEFAULT_CSS
    assert counts_room(52) == 28


@pytest.mark.parametrize("width", [40, 60, 70, 80, 81, 82, 100])
async def test_no_button_of_the_message_view_is_cut_off(vault: Vault, width: int) -> None:
    app = make_console(vault, FakeCatalogue(vault.get_many([vault.put(RAW, record_of(RAW), stored_at=NOW)])))
    async with app.run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        for tree in (True, False):
            if app.main.console_tree.display != tree:
                await pilot.press("b")
                await settle(pilot)
            row = lines(app)[1][app.main.places.page.region.x :]
            assert re.fullmatch(r"(\[ (To messages list|Deliver|Delete|Save) \] *)+", row.strip()), row
            assert "[ Deliver ]" in row
            if width >= 80:
                assert "[ To messages list ]" in row and "[ Save ]" in row


@pytest.mark.parametrize(("width", "shown"), [(60, 3), (40, 2), (20, 1)])
async def test_buttons_fit_although_a_place_was_looked_up_before_the_first_layout(width: int, shown: int) -> None:
    """Textual then sends no `Resize`: the message view now and then had cut buttons."""
    app = ThemedApp()
    async with app.run_test(size=(width, 5)) as pilot:
        await pilot.pause()
        buttons = [PushButton("To messages list", id="a"), PushButton("Deliver", id="b"), PushButton("Delete", id="c")]
        row = ButtonRow(buttons, ("a", "c"))
        await app.mount(row)
        app.screen._compositor.update_widgets({row})
        assert row.region.width == width
        await pilot.pause()
        assert [button.display for button in buttons].count(True) == shown


class Strip(ThemedApp):
    """Shows tabs."""

    def compose(self) -> ComposeResult:
        yield TabStrip(TABS)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (58, "Attachments 12  Links 12"),
        (57, "Attachments 12  Links"),
        (55, "Attachments 12  Links"),
        (54, "Attachments  Links"),
    ],
)
async def test_a_tab_leaves_out_its_count_without_room(width: int, shown: str) -> None:
    app = Strip()
    async with app.run_test(size=(width, 5)) as pilot:
        strip = app.query_one(TabStrip)
        strip.rename([*TABS[:-2], "Attachments 12", "Links 12"])
        await pilot.pause()
        assert screen_text(app).splitlines()[0].endswith(f"Source  {shown}")
        await pilot.click(TabStrip, offset=(screen_text(app).index("Links"), 0))
        assert TABS[strip.chosen] == "Links"
