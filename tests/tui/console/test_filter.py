"""The filter line: live, always visible, in step with tree and window; Esc clears it; stale results are dropped."""

from __future__ import annotations

import threading
import time

import pytest
from textual.geometry import Size
from textual.widget import Widget

from store.catalogue.selection import Selection
from store.catalogue.sort import NEWEST, Sort
from store.filters.line import MessageFilter, Term, parse
from store.terms.errors import FilterError
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine
from store.vault.vault import Vault
from tests.tui.console.driven import TZ, counts, lines, make_console, settle, the_list
from tests.tui.console.fakes import MINUTE, NOW, FakeCatalogue, copies
from tests.tui.console.test_marks import Found
from tui.console.marks import Frozen
from tui.console.screens import backup, main
from tui.console.screens.backup import _STANDS
from tui.console.screens.marking import Marking
from tui.console.textual_private import OpenCompositor, ReflowResult


async def test_typing_filters_at_once(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"subject:invoice")
        await settle(pilot)
        assert app.main.backup.filter == parse("subject:invoice")
        assert 0 < the_list(app).count < 40
        assert f"{the_list(app).count} shown of 40" in counts(app)
        await pilot.press("enter")
        assert the_list(app).has_focus
        assert "subject:invoice" in lines(app)[1]


async def test_a_letter_typed_is_painted_with_its_result(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_WITH_RESULT", 30.0)
    found: list[MessageFilter] = []

    class Slow(FakeCatalogue):
        def select(self, flt: MessageFilter, sort: Sort = NEWEST) -> Selection:
            time.sleep(0.05)
            found.append(flt)
            return super().select(flt, sort)

    app = make_console(vault, Slow(copies(40)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.main.backup.edit_filter("invoice")
        assert found[-1] == parse("invoice")
        await settle(pilot)


async def test_a_letter_and_its_result_make_no_new_layout(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[Size] = []
    reflow = OpenCompositor.reflow

    def counted(compositor: OpenCompositor, parent: Widget, size: Size) -> ReflowResult:
        laid_out.append(size)
        return reflow(compositor, parent, size)

    subjects = ["xy"] * 20 + ["x"] * 10 + ["z"] * 10
    some = [Copy(number, NOW, 0, CopyRecord(subject=subject)) for number, subject in enumerate(subjects, 1)]
    app = make_console(vault, FakeCatalogue(some))
    async with app.run_test(size=(120, 14)) as pilot:
        await settle(pilot)
        await pilot.press("slash", "x")
        await settle(pilot)
        assert "30 shown of 40" in counts(app)
        monkeypatch.setattr(OpenCompositor, "reflow", counted)
        await pilot.press("y")
        await settle(pilot)
        assert "20 shown of 40" in counts(app) and "xy" in lines(app)[1]
        assert not laid_out
        view = the_list(app)
        assert view.vertical_scrollbar.window_virtual_size == view.count == 20
        await pilot.press("enter", "G")
        await settle(pilot)
        assert view.scroll_y == view.max_scroll_y == 20 - view.size.height


async def test_text_longer_than_the_line_is_scrolled_to_its_end(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(60, 14)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *("a" * 60), "b", "c")
        await settle(pilot)
        assert "aabc" in lines(app)[1]


async def test_a_filter_longer_than_its_line_is_cut_with_an_ellipsis_unless_one_types_there(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = "from:no-reply@example.org delivered:no auth:none (campaign:none or odd:yes)"
        app.main.backup.set_filter(parse(text))
        await settle(pilot)
        line = lines(app)[1]
        assert line.startswith(" / from:no-reply@example.org del") and "…  " in line
        await pilot.press("slash")
        await settle(pilot)
        assert "or odd:yes)" in lines(app)[1]
        await pilot.press("enter")
        await settle(pilot)
        assert lines(app)[1] == line


async def test_what_is_still_typed_is_no_error(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"from:")
        await settle(pilot)
        assert the_list(app).count == 40 and "▲" not in counts(app)


async def test_a_wrong_word_says_so_and_keeps_the_list(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"size:many ")
        await settle(pilot)
        assert "▲" in counts(app)
        assert the_list(app).count == 40
        await pilot.press("escape")
        await settle(pilot)
        assert "▲" not in counts(app) and "40 copies" in counts(app)


@pytest.mark.parametrize("width", [60, 80, 160])
@pytest.mark.parametrize("line", ["frm:x", "status:grey", "since:2026-13-45", "nosuchfield_" + "x" * 60 + ":[red]a"])
async def test_what_is_wrong_with_the_filter_is_shown_whole(vault: Vault, width: int, line: str) -> None:
    app = make_console(vault)
    with pytest.raises(FilterError) as caught:
        parse(line, lenient=True)
    async with app.run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        await pilot.press("slash")
        app.main.backup.line.input.value = line
        await settle(pilot)
        region = app.main.backup.line.problem.region
        shown = " ".join("".join(row[region.x : region.right] for row in lines(app)[region.y : region.bottom]).split())
        assert shown.replace(" ", "") == f"▲ {caught.value} {_STANDS}".replace(" ", "")
        assert "not read" in counts(app) and "40 copies" in counts(app)
        assert the_list(app).count == 40 and "Spam" in "\n".join(lines(app))
        await pilot.press("escape")
        await settle(pilot)
        assert not app.main.backup.line.problem.display and "not read" not in counts(app)


@pytest.mark.parametrize("width", [60, 80, 160])
async def test_an_empty_list_does_not_say_that_nothing_matches_a_filter_that_cannot_be_read(
    vault: Vault, width: int
) -> None:
    app = make_console(vault)
    async with app.run_test(size=(width, 24)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"nosuchword")
        await settle(pilot)
        assert "No message copy matches the filter" in "\n".join(lines(app))
        await pilot.press("space", *"frm:x")
        await settle(pilot)
        assert "No message copy matches" not in "\n".join(lines(app))
        assert "The list is empty because the filter is invalid." in "\n".join(lines(app))
        await pilot.press(*["backspace"] * 6)
        await settle(pilot)
        assert "No message copy matches the filter" in "\n".join(lines(app))


async def test_escape_clears_the_filter_and_keeps_the_copy_at_the_cursor(vault: Vault) -> None:
    app = make_console(vault, count=100)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"cv", "enter", "j", "j")
        await settle(pilot)
        found = the_list(app).cursor_id
        await pilot.press("escape")
        await settle(pilot)
        assert app.main.backup.filter.is_empty and app.main.backup.line.text == ""
        assert the_list(app).cursor_id == found


async def test_a_filter_goes_to_its_first_row(vault: Vault) -> None:
    app = make_console(vault, count=100)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("G", "slash", "e")
        await settle(pilot)
        assert the_list(app).cursor == 0 and the_list(app).scroll_y == 0


async def test_the_tree_and_the_filter_are_one_thing(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("tab", "down", "down")
        await settle(pilot)
        assert app.main.backup.line.text == "scan:anti-spam"
        assert the_list(app).count == 10
        await pilot.press("enter")
        await pilot.pause()
        assert the_list(app).has_focus
        app.main.backup.set_filter(parse("scan:anti-virus invoice"))
        await settle(pilot)
        assert app.main.console_tree.here == "engine:anti-virus"
        assert app.main.backup.engine is Engine.ANTI_VIRUS
        await pilot.press("escape")
        await settle(pilot)
        assert app.main.console_tree.here == "all"


async def test_a_stale_result_is_never_shown(vault: Vault) -> None:
    gates = {"a": threading.Event()}
    shown: list[int] = []

    class Slow(FakeCatalogue):
        def select(self, flt: MessageFilter, sort: Sort = NEWEST) -> Selection:
            if flt == MessageFilter(words=(Term("in"),)):
                gates["a"].wait(5)
            return super().select(flt, sort)

    app = make_console(vault, Slow(copies(40)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        show = the_list(app).show
        the_list(app).show = lambda pages, keep: (shown.append(pages.result.count), show(pages, keep=keep))[1]
        await pilot.press("slash", "i", "n")
        await pilot.pause(0.05)
        await pilot.press("v", "o")
        await pilot.pause(0.05)
        shown.clear()
        gates["a"].set()
        await settle(pilot)
        assert app.main.backup.filter == parse("invo")
        assert shown == [the_list(app).count]
        asked = [flt.words[0].text for flt in app.catalogue.selects if flt.words]
        assert "inv" not in asked


async def test_sorting_by_a_column_and_turning_it_round(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("o", "z")
        await settle(pilot)
        sizes = [row.size for row in the_list(app).pages.result.rows(0, 40)]
        assert sizes == sorted(sizes, reverse=True)
        assert "Size▾" in lines(app)[3]
        await pilot.press("o", "z")
        await settle(pilot)
        sizes = [row.size for row in the_list(app).pages.result.rows(0, 40)]
        assert sizes == sorted(sizes)


async def test_a_click_on_a_title_sorts(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        place = next(one for one in the_list(app).painter.columns if one.name == "from")
        await pilot.click("#list-header", offset=(place.x + 1, 0))
        await settle(pilot)
        senders = [row.from_ for row in the_list(app).pages.result.rows(0, 40)]
        assert senders == sorted(senders)


async def test_marking_by_query_looks_at_all_of_backup(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        await pilot.press("T", *"scan:anti-phishing", "enter")
        await settle(pilot)
        assert the_list(app).marks.count == 11
        await pilot.press("T", *"scan:content", "enter")
        await settle(pilot)
        assert the_list(app).marks.count == 16


async def test_a_query_with_an_error_is_refused_once_until_it_is_changed(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("T", *"status:spm", "enter")
        await settle(pilot)
        assert "\n".join(lines(app)).count("status: takes clean") == 1
        await pilot.press("backspace", "backspace", "a")
        await settle(pilot)
        assert "\n".join(lines(app)).count("status: takes clean") == 1
        await pilot.press("backspace", *"pam")
        await settle(pilot)
        assert "status: takes clean" not in "\n".join(lines(app))


async def test_unmarking_by_query_leaves_the_other_marks(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("U", *"scan:content", "enter")
        await settle(pilot)
        assert "No message copy is marked." in "\n".join(lines(app)) and app.screen is not app.main
        await pilot.press("escape", "asterisk", "U", *"scan:anti-phishing or scan:content", "enter")
        await settle(pilot)
        catalogue, marks = app.context.catalogue, the_list(app).marks
        kept = set(catalogue.select(parse("-(scan:anti-phishing or scan:content)")).ids())
        assert set(marks.chosen().ids()) == kept and 0 < marks.count < 40
        await pilot.press("U", *"scan:content", "enter")
        await settle(pilot)
        assert "None of the matching copies was marked." in "\n".join(lines(app))
        assert set(marks.chosen().ids()) == kept
        await pilot.press("T", *"scan:content", "enter")
        await settle(pilot)
        assert set(marks.chosen().ids()) == kept | set(catalogue.select(parse("scan:content")).ids())


async def test_what_is_typed_behind_unmarking_waits_for_it(vault: Vault) -> None:
    """Delete is pressed before the query is answered: it deletes what is then left."""
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("asterisk", "U", *"scan:anti-phishing", "enter", "T", *"scan:content", "enter")
        app.main.backup.action_delete()
        await settle(pilot)
        count = 40 - app.context.catalogue.select(parse("scan:anti-phishing")).count
        assert the_list(app).marks.count == count
        assert f"{count} message copies" in "\n".join(lines(app)) and app.screen is not app.main


async def test_unmarking_while_copies_are_read_takes_out_those_that_are_read_later(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        every, some = Found(range(40, 0, -1)), Found([40, 39, 7, 6])
        rows, context = the_list(app), app.context
        rows.marks.add_all(Frozen(Found(range(40, 20, -1), partial=True), 40, lambda _wait: every))
        marking, partly = Marking(context, rows), Found([40, 39], partial=True)
        context.catalogue.select = lambda *_: some
        asked, gate = [], threading.Event()
        context.catalogue.wait_for = lambda _flt: (asked.append("wait"), gate.wait(10))
        marking.remove(parse("x"), NEWEST, partly)
        marking.act(lambda _context, chosen: asked.append(chosen.count))
        rows.marks.remove([30])  # By hand, while the search runs.
        gate.set()
        await settle(pilot)
        assert asked == ["wait", "wait", 35]
        assert set(rows.marks.chosen().ids()) == {*range(1, 41)} - {40, 39, 30, 7, 6}


@pytest.mark.parametrize("key", ["T", "U"])
@pytest.mark.parametrize("typed", ["size:many", "scan:anti-", "no-such-word-anywhere"])
async def test_a_query_that_finds_nothing_marks_nothing(vault: Vault, typed: str, key: str) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", key, *typed, "enter")
        await settle(pilot)
        assert app.screen is not app.main
        assert the_list(app).marks.count == 1


async def test_partial_results_say_so(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(40))
    catalogue.partial, catalogue.complete = True, False
    app = make_console(vault, catalogue)
    async with app.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"invoice")
        await settle(pilot)
        assert "+ shown of 40" in counts(app) and "reading 100 %" in counts(app)


async def test_times_show_their_zone(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert app.context.tz is TZ and "UTC+2" in counts(app)


async def test_a_period_moves_on_although_the_store_does_not_change(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list showed copies of the last hour, however long ago that was."""
    monkeypatch.setattr(main, "ANEW", 0.0)
    monkeypatch.setattr(main, "_LOOK", 1e6)
    catalogue = FakeCatalogue(copies(40))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.main.backup.set_filter(parse("period:hour"))
        await settle(pilot)
        assert the_list(app).count == 8
        await pilot.press("G", "space")
        catalogue.now += 30 * MINUTE
        app.main._look_at_saved()
        await settle(pilot)
        assert the_list(app).count == 4
        assert "1 marked, 1 not shown" in counts(app)
        queries = len(catalogue.selects)
        await pilot.press("enter")
        await settle(pilot)
        app.main._look_at_saved()  # another page is shown
        await pilot.press("escape")
        app.main.backup.set_filter(parse("subject:invoice since:2026-11-01"))
        await settle(pilot)
        app.main._look_at_saved()  # nothing moves
        await settle(pilot)
        assert len(catalogue.selects) == queries + 1


@pytest.mark.parametrize(
    ("line", "moves"),
    [
        ("", False),
        ("period:day", True),
        ("-(period:day)", True),
        ("(from:x or period:year)", True),
        ("since:2026-11-01 until:2026-11-20 from:x", False),
    ],
)
def test_which_filters_move_with_the_time(line: str, moves: bool) -> None:
    assert parse(line).moves is moves
