"""A text in the filter line that is not complete is not read from Enter on: no act works on what it seems to list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot

from store.filters.line import FIELDS, parse
from store.filters.saved import read_saved_filters
from store.terms.errors import FilterError
from store.vault.vault import Vault
from tests.amounts import amount
from tests.tui.console.driven import counts, lines, make_console, settle, the_list
from tui.console.app import MailholdApp
from tui.console.lock.resuming import resume, view_of
from tui.console.screens.backup import _STANDS, _UNFINISHED
from tui.console.screens.main import _OF_FILTER

#: Unfinished words, with the filter that the list shows while they are typed.
UNFINISHED = {
    "status:infecte": "",
    "from:sales scan:anti-vir": "from:sales",
    "period:m": "",
    "since:2026": "",
    "size:<=": "",
    "known:": "",
    "rule:": "",
    "(": "",
    "-": "",
    "-(": "",
    "from:sales since:2026-11": "from:sales",
    'subject:"invoice': "subject:invoice",
    "invoice or": "invoice",
    "period:custom": "",
}
WRONG = ["frm:x", "size:many", "invoice )", "@nosuchfilter"]


def acts(app: MailholdApp) -> dict[str, Callable[[], object]]:
    """Return what marks, acts on or saves what the list shows."""
    backup, rows = app.main.backup, app.main.backup.list
    return {
        "deliver": backup.action_deliver,
        "delete": backup.action_delete,
        "save": backup.action_save,
        "save-filter": backup.action_save_filter,
        "mark": rows.action_mark,
        "mark-range": rows.action_mark_range,
        "mark-up": lambda: rows.action_mark_move(-1),
        "mark-down": lambda: rows.action_mark_move(1),
        "mark-all": backup.action_mark_all,
    }


async def nothing_works(app: MailholdApp, pilot: Pilot[Any]) -> None:
    """Check that each act is refused with the reason, by its key and in the footer and palette."""
    marked = the_list(app).marks.count
    tried = acts(app)
    assert tried.keys() == set(_OF_FILTER)
    for name, act in tried.items():
        app.main.notice_line.hide()
        act()
        assert app.main.notice_line.display, name
        assert str(app.main.cannot(name)).startswith("The filter line is not read. "), name
    await settle(pilot)
    assert app.screen is app.main and the_list(app).range_start is None
    assert the_list(app).marks.count == marked
    app.main.notice_line.hide()


@pytest.mark.parametrize("text", [*UNFINISHED, *WRONG])
async def test_enter_on_an_unfinished_word_says_so_and_no_act_works(vault: Vault, text: str) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        backup = app.main.backup
        await pilot.press("slash", *text)
        await settle(pilot)
        assert backup.filter == parse(UNFINISHED.get(text, "")) or text in WRONG
        assert ("▲" in counts(app)) is (text in WRONG)
        await pilot.press("enter")
        await settle(pilot)
        assert backup.line.input.has_focus and backup.line.text == text
        with pytest.raises(FilterError) as caught:
            parse(text) if text != "@nosuchfilter" else app.context.parse(text)
        region = backup.line.problem.region
        shown = "".join("".join(row[region.x : region.right] for row in lines(app)[region.y : region.bottom]).split())
        advice = _STANDS if text in WRONG else _UNFINISHED
        assert shown == "".join(f"▲{caught.value}{advice}".split())
        assert "▲ not read" in counts(app)
        await nothing_works(app, pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert backup.filter.is_empty and the_list(app).has_focus and "▲" not in counts(app)
        await pilot.press("asterisk")
        await settle(pilot)
        assert the_list(app).marks.count == 40


@pytest.mark.parametrize("text", ["frm:x", "period:m"])
async def test_the_footer_offers_to_leave_the_line_only_if_it_is_read(vault: Vault, text: str) -> None:
    app = make_console(vault)

    def offered() -> bool:
        assert "To the list" in lines(app)[-1]
        return "apply-filter" not in app.main.footer._off

    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"sales")
        await settle(pilot)
        assert offered()
        app.main.backup.line.input.value = ""
        await pilot.press(*text)
        await settle(pilot)
        assert not offered()
        app.main.backup.line.input.value = "sales"
        await settle(pilot)
        assert offered()


async def test_leaving_the_line_by_mouse_or_tab_says_so_too(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", "slash", *"status:infecte")
        await settle(pilot)
        await pilot.click("#messages", offset=(20, 3))
        await settle(pilot)
        assert the_list(app).has_focus and "▲ not read" in counts(app)
        await pilot.click("#messages", offset=(0, 5))
        await nothing_works(app, pilot)
        assert the_list(app).marks.count == 1
        await pilot.press("d")
        await settle(pilot)
        assert app.screen is app.main
        assert app.main.cannot("clear-filter") is None
        await pilot.press("escape")
        await settle(pilot)
        assert "▲" not in counts(app) and app.main.backup.line.text == ""
        await pilot.press("slash", *"status:infected")
        await settle(pilot)
        assert "▲" not in counts(app)
        await pilot.press("tab")
        await settle(pilot)
        assert "▲" not in counts(app) and app.main.backup.filter == parse("status:infected")
        assert app.main.cannot("delete") is None


async def test_a_filter_from_elsewhere_replaces_the_unread_text(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"period:m", "enter")
        await settle(pilot)
        app.main.backup.set_filter(parse(""))
        await settle(pilot)
        assert app.main.backup.line.text == "" and "▲" not in counts(app)
        assert app.main.cannot("mark-all") is None


async def test_an_unfinished_filter_is_unread_after_locking_too(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"from:sales scan:anti-vir")
        view, _marked = view_of(app.main)
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        resume(app.main, view)
        await settle(pilot)
        assert "▲ not read" in counts(app)
        await nothing_works(app, pilot)


_VALUES = ("", "a", "d", "3", "yes", "none", "infected", "spam", "hour", "week", "<=5", ">=7", "2026-11-01", "abcdef")
_word = st.builds("{}:{}".format, st.sampled_from(list(FIELDS)), st.sampled_from(_VALUES))
_piece = st.one_of(_word, st.sampled_from(["(", ")", "-", "or", '"', "invoice", " ", "-(", "@x", "\u00ad"]), st.text())
_cut = st.tuples(st.lists(_piece, max_size=4).map(" ".join), st.integers(0, 3))
texts = _cut.map(lambda made: made[0][: len(made[0]) - made[1]])


@settings(
    max_examples=amount(3, 15),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # Shrinking would take minutes.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(texts, min_size=10, max_size=20, unique=True))
def test_after_enter_the_line_is_in_force_or_said_not_to_be_read(vault: Vault, tried: list[str]) -> None:
    async def type_all() -> None:
        app = make_console(vault)
        async with app.run_test(size=(120, 30)) as pilot:
            await settle(pilot)
            backup = app.main.backup
            for text in tried:
                await pilot.press("slash")
                backup.line.input.value = text
                await settle(pilot)
                await pilot.press("enter")
                await settle(pilot)
                try:
                    strict = app.context.parse(backup.line.text)
                except FilterError:
                    assert "▲ not read" in counts(app) and backup.line.input.has_focus, text
                    await nothing_works(app, pilot)
                    assert not read_saved_filters(vault)
                else:
                    assert backup.filter == strict and the_list(app).has_focus, text
                    assert "▲" not in counts(app) and not backup.unread, text

    asyncio.run(type_all())
