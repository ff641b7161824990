"""The message list: loads visible rows, keeps its cursor on its copy, marks and ranges, and the mouse."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from unittest.mock import ANY

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region

from store.authority.deleting import bring_back as bring_back_copies
from store.authority.deleting import delete_copies
from store.authority.settings import Settings
from store.catalogue.catalogue import Catalogue
from store.delivery.releases import Releases
from store.filters.line import fold
from store.mail.outcome import Delivered
from store.space.changing_settings import change_settings
from store.terms.records import Copy, CopyRecord, Row
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.tui.console.driven import counts, lines, make_console, poll, settle, the_list
from tests.tui.console.fakes import NOW, FakeCatalogue, copies, sample
from tui.console.app import MailholdApp
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.marks import Chosen
from tui.console.text.columns import DIFFERS
from tui.console.widgets.found import split_found
from tui.console.widgets.pages import PAGE, Pages


def cursor_line(app: MailholdApp) -> int:
    the = the_list(app)
    return the.cursor - round(the.scroll_y)


async def test_only_pages_in_sight_are_fetched(vault: Vault) -> None:
    app = make_console(vault, count=5000)
    fetched: list[tuple[int, int]] = []
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        pages = the_list(app).pages
        assert pages is not None
        rows = pages.result.rows

        def watched(start: int, stop: int, *, identifiers: bool) -> Sequence[Row]:
            fetched.append((start, stop))
            return rows(start, stop, identifiers=identifiers)

        pages.result.rows = watched
        await pilot.press("G")
        await settle(pilot)
        assert the_list(app).cursor == 4999
        assert "24 Nov" not in lines(app)[10] and "Oct" in lines(app)[10]
        assert fetched == [(4800, 5000)]
        for _ in range(7):
            await pilot.press("pageup")
        await settle(pilot)
        assert fetched[1:] == [(4600, 4800)], "the next page is fetched before it is wanted"
        assert the_list(app).cursor > 4800


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (["j", "j", "k"], 1),
        (["down", "down"], 2),
        (["G"], 199),
        (["end", "k"], 198),
        (["G", "g"], 0),
        (["pagedown"], 24),
        (["pagedown", "pageup"], 0),
        (["ctrl+d", "ctrl+d", "ctrl+u"], 12),
        (["k"], 0),
    ],
)
async def test_moving(vault: Vault, keys: list[str], row: int) -> None:
    app = make_console(vault, count=200)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press(*keys)
        the = the_list(app)
        assert the.cursor == row
        assert the.cursor_id == 200 - row
        assert 0 <= cursor_line(app) < the.size.height


async def test_the_cursor_stays_on_its_copy_and_line_when_copies_arrive(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(300))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("pagedown", "pagedown", "j")
        the = the_list(app)
        before, line = the.cursor_id, cursor_line(app)
        catalogue.add(copies(17, first=301, now=NOW + 5))
        await poll(pilot)
        assert the.count == 317
        assert (the.cursor_id, cursor_line(app)) == (before, line)


async def test_at_the_top_new_mail_is_seen_and_the_cursor_stays_on_its_copy(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(50))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        catalogue.add(copies(2, first=51))
        await poll(pilot)
        the = the_list(app)
        assert the.cursor_id == 50 and the.cursor == 2
        assert the.scroll_y == 0


async def test_rows_that_are_read_stay_where_the_wheel_took_them(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(300))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        for _ in range(40):
            await pilot._post_mouse_events([MouseScrollDown], "#messages", offset=(5, 5))
        await settle(pilot)
        the, before = the_list(app), [line[26:90] for line in lines(app)[5:20]]
        assert the.scroll_y > 30 and the.cursor == 0
        catalogue.add(copies(3, first=301, now=NOW + 5))
        await poll(pilot)
        assert [line[26:90] for line in lines(app)[5:20]] == before
        assert the.cursor_id == 300
        await pilot.press("j")
        assert the.cursor_id == 299 and 0 <= cursor_line(app) < the.size.height


@pytest.mark.parametrize(
    ("key", "wheel", "row"),
    [("g", MouseScrollDown, 0), ("k", MouseScrollDown, 0), ("pageup", MouseScrollDown, 0), ("G", MouseScrollUp, 299)],
)
async def test_a_key_shows_the_cursor_that_the_wheel_took_out_of_sight_and_that_cannot_move(
    vault: Vault, key: str, wheel: type[MouseScrollDown | MouseScrollUp], row: int
) -> None:
    app = make_console(vault, count=300)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("G" if row else "g")
        for _ in range(40):
            await pilot._post_mouse_events([wheel], "#messages", offset=(5, 5))
        await settle(pilot)
        the = the_list(app)
        assert the.cursor == row and not 0 <= cursor_line(app) < the.size.height
        await pilot.press(key)
        assert the.cursor == row and 0 <= cursor_line(app) < the.size.height


async def test_the_cursor_stays_near_when_its_copy_vanishes(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(50))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("j", "j")
        catalogue.remove([48])
        await poll(pilot)
        assert the_list(app).cursor_id == 47


async def test_deleting_everything_leaves_an_empty_list(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(5))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        catalogue.remove([1, 2, 3, 4, 5])
        await poll(pilot)
        the = the_list(app)
        assert the.count == 0 and the.cursor_id is None
        await pilot.press("j", "G", "space", "enter", "v", "asterisk", "d")
        await settle(pilot)
        assert not the.selection().count


async def test_space_marks_and_goes_on(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", "t")
        the = the_list(app)
        assert the.marks.included == {40, 39}
        assert the.cursor == 2
        assert "● 2 marked" in counts(app)
        await pilot.press("k", "space")
        assert the.marks.included == {40}
        assert sorted(the.selection().ids()) == [40]


async def test_without_marks_an_action_takes_the_row_at_the_cursor(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("j", "j")
        assert the_list(app).selection().ids() == [38]


async def test_a_range_is_marked_between_two_rows(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("j", "v", "j", "j", "j")
        the = the_list(app)
        assert "range of 4" in counts(app)
        assert not the.marks
        await pilot.press("v")
        assert the.marks.included == {39, 38, 37, 36}
        await pilot.press("v", "j", "escape")
        assert the.marks.included == {39, 38, 37, 36}


async def test_a_range_that_is_open_counts_for_an_action(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("v", "G")
        assert the_list(app).selection().count == 40


async def test_shift_and_an_arrow_mark_on_the_way(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("shift+down", "shift+down", "K")
        assert the_list(app).marks.included == {40, 39, 38}
        await pilot.press("ctrl+t")
        assert not the_list(app).marks


async def test_marking_all_takes_the_filter_of_that_moment(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(40))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("asterisk")
        assert the_list(app).marks.frozen is not None and the_list(app).marks.count == 40
        catalogue.add(copies(3, first=41))
        await poll(pilot)
        assert the_list(app).marks.count == 40
        assert 41 not in the_list(app).marks
        await pilot.press("g", "space")
        assert the_list(app).selection().count == 41


async def test_marks_of_copies_that_were_deleted_count_no_longer(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", "space", "space")
        the_list(app).forget([40, 39])
        assert the_list(app).selection().ids() == [38]


@pytest.mark.parametrize("key", ["d", "r", "s", "delete"])
async def test_where_others_deleted_all_that_was_marked_an_action_says_so_and_takes_nothing(
    vault: Vault, key: str
) -> None:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:2525"))
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", "space", "space")
        the_list(app).forget([40, 39, 38], others=True)
        await pilot.pause()
        assert "3 marked are gone" in counts(app)
        for _ in range(2):
            await pilot.press(key)
            await settle(pilot)
            assert app.screen is app.main and "deleted by someone else. Nothing was done" in "\n".join(lines(app))
            await pilot.press("h")


@pytest.mark.parametrize("key", ["j", "space", "escape", "ctrl+t", "v", "J"])
async def test_whoever_goes_on_after_losing_all_marks_acts_on_the_cursor_or_new_marks(vault: Vault, key: str) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space")
        the_list(app).forget([40], others=True)
        assert the_list(app).selection() == Chosen(0, ANY, None, 1)
        await pilot.press(key)
        await settle(pilot)
        chosen = the_list(app).selection()
        assert chosen.count >= 1 and not chosen.gone and "gone" not in counts(app)


async def test_marks_that_are_left_count_and_say_how_many_are_gone(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("asterisk")
        the_list(app).forget([40, 39, 38], others=True)
        await pilot.press("j")
        chosen = the_list(app).selection()
        assert (chosen.count, chosen.gone) == (37, 3) and "● 37 marked" in counts(app)


@pytest.mark.parametrize("all_of_them", [True, False])
async def test_marked_copies_that_others_delete_and_bring_back_are_marked_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, all_of_them: bool
) -> None:
    monkeypatch.setattr("tui.console.widgets.marked_rows._FORGOTTEN", 3)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    ids = vault.put_many((b"raw", sample(number), NOW) for number in range(1, 13))
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    app = make_console(vault, catalogue)  # type: ignore[arg-type]
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("asterisk", *["j"] * 3, "space")  # all but the fourth from the top
        await settle(pilot)
        taken = ids if all_of_them else ids[4:]
        delete_copies(vault, taken, operator="eve")
        await poll(pilot)
        gone = len(taken) - 1
        assert the_list(app).lost == gone and f"{gone} marked are gone" in counts(app)
        bring_back_copies(vault, taken[:-2], operator="eve")
        await poll(pilot)
        left = 2
        assert the_list(app).lost == left and f"{left} marked are gone" in counts(app)
        bring_back_copies(vault, taken[-2:], operator="eve")
        await poll(pilot)
        assert the_list(app).lost == 0 and "● 11 marked" in counts(app) and "gone" not in counts(app)
        await pilot.press("r")
        await settle(pilot)
        assert isinstance(app.screen, DeliverDialog) and app.screen.copies == 11
        assert "deleted by someone else" not in "\n".join(lines(app))


async def test_copies_that_come_back_after_the_marks_were_cleared_are_not_marked(vault: Vault) -> None:
    ids = vault.put_many((b"raw", sample(number), NOW) for number in range(1, 7))
    app = make_console(vault, FakeCatalogue(vault.get_many(ids)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", "space")
        delete_copies(vault, ids, operator="eve")
        await poll(pilot)
        assert the_list(app).lost == 2
        await pilot.press("ctrl+t")
        bring_back_copies(vault, ids, operator="eve")
        await poll(pilot)
        assert not the_list(app).lost and not the_list(app).marks


async def test_what_others_delete_is_told_from_what_was_deleted_here(vault: Vault) -> None:
    ids = vault.put_many((b"raw", sample(number), NOW) for number in range(1, 7))
    app = make_console(vault, FakeCatalogue(vault.get_many(ids)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("space", "space")
        vault.delete(ids[-2:])
        await poll(pilot)
        assert the_list(app).lost == 2
        await pilot.press("space", "space")
        app.context.deleting += 1
        vault.delete(ids[:4])
        await poll(pilot)
        assert the_list(app).lost == 0 and not the_list(app).marks


async def test_view_opens_the_one_that_is_marked(vault: Vault) -> None:
    app = make_console(vault)
    opened: list[int] = []
    app.open_copy = lambda copy_id, neighbour=None: opened.append(copy_id)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("enter", "j", "space")
        await settle(pilot)
        assert opened == [40] and "⏎ View marked" in lines(app)[-1]
        await pilot.press("j", "j", "enter")
        await settle(pilot)
        assert opened == [40, 39]
        assert "⏎ View  " in lines(app)[-1]
        await pilot.press("enter", "space", "enter")
        await settle(pilot)
        assert opened == [40, 39, 36, 35]  # a single marked copy is viewed; of two, neither
        place = next(one for one in the_list(app).painter.columns if one.name == "subject")
        await pilot.press("ctrl+t", "G", "space", "g")
        await pilot.click("#messages", offset=(place.x + 1, 4))
        await settle(pilot)
        assert opened[-1] == 36


async def test_who_reads_marks_and_reads_on_is_not_sent_back(vault: Vault) -> None:
    app = make_console(vault)
    opened: list[int] = []
    app.open_copy = lambda copy_id, neighbour=None: opened.append(copy_id)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("enter", "space", "enter")
        await settle(pilot)
        assert opened == [40, 39]


@pytest.mark.parametrize(("column", "opens"), [("from", True), ("subject", True), ("to", True), ("size", False)])
async def test_a_click_on_a_link_opens_the_copy(vault: Vault, column: str, opens: bool) -> None:
    app = make_console(vault)
    opened: list[int] = []
    app.open_copy = lambda copy_id, neighbour=None: opened.append(copy_id)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        place = next(one for one in the_list(app).painter.columns if one.name == column)
        await pilot.click("#messages", offset=(place.x + 1, 3))
        await settle(pilot)
        assert opened == ([37] if opens else [])
        assert the_list(app).cursor_id == 37


async def test_a_click_on_the_first_column_marks(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.click("#messages", offset=(0, 2))
        assert the_list(app).marks.included == {38}


async def test_a_row_that_is_late_is_a_placeholder_and_then_itself(vault: Vault) -> None:
    app = make_console(vault, count=PAGE * 3)
    gate = threading.Event()
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        pages = the_list(app).pages
        assert isinstance(pages, Pages)
        rows = pages.result.rows

        def slow(start: int, stop: int, *, identifiers: bool) -> Sequence[Row]:
            gate.wait(5)
            return rows(start, stop, identifiers=identifiers)

        pages.result.rows = slow
        await pilot.press("G")
        await pilot.pause()
        assert "…" in lines(app)[-3] and the_list(app).cursor_id is None
        gate.set()
        for _ in range(100):
            await pilot.pause(0.01)
            if the_list(app).cursor_id:
                break
        assert the_list(app).cursor_id == 1
        assert "…" not in lines(app)[-2][:30]


async def test_text_from_a_message_is_drawn_safely(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(210, 50)) as pilot:
        await settle(pilot)
        screen = "\n".join(lines(app))
        assert "\x1b" not in screen and "\u202e" not in screen
        assert "[@click=app.quit]x[/]" in screen


@given(st.text(max_size=30), st.lists(st.text("aäAß b", min_size=1, max_size=3), max_size=3))
def test_pieces_make_the_text_again_and_name_what_was_found(text: str, words: list[str]) -> None:
    pieces = list(split_found(text, [fold(word) for word in words]))
    assert "".join(piece for piece, _ in pieces) == text
    assert all(fold(piece) in {fold(word) for word in words} for piece, found in pieces if found)


def test_what_was_looked_for_is_found_whatever_its_case() -> None:
    assert list(split_found("Re: INVOICE 7", ["invoice"])) == [("Re: ", False), ("INVOICE", True), (" 7", False)]
    assert list(split_found("Invoice 882…", ["invoice"])) == [("Invoice", True), (" 882…", False)]


async def test_what_the_filter_looks_for_is_underlined(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"subject:invoice -from:billing")
        await settle(pilot)
        strip = the_list(app).render_line(1)
        assert [segment.text for segment in strip if segment.style and segment.style.underline] == ["Invoice"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
async def test_from_shows_the_address_first_and_a_sign_where_the_envelope_has_another_sender(
    vault: Vault, width: int
) -> None:
    record = CopyRecord(from_="Billing <a@x.example>", envelope_sender="a@x.example", subject="one")
    other = msgspec.structs.replace(record, envelope_sender="b@y.example", subject="two")
    null = msgspec.structs.replace(record, envelope_sender="", subject="three")
    some = [Copy(number, NOW - number, 1, one) for number, one in enumerate((record, other, null), 1)]
    app = make_console(vault, FakeCatalogue(some))
    async with app.run_test(size=(width, 12)) as pilot:
        await settle(pilot)
        shown = {word: next(line for line in lines(app) if word in line) for word in ("one", "two", "three")}
        assert [word for word, line in shown.items() if DIFFERS in line] == ["two"]
        for line in shown.values():
            assert " a@x" in line and ("Billing" not in line or line.index("a@x") < line.index("Billing"))


@pytest.mark.parametrize(("line", "found"), [("from:billing", "Billing"), ("acme", "acme"), ("from:inv@", "inv@")])
async def test_what_is_looked_for_in_from_is_found_and_underlined_in_address_and_name(
    vault: Vault, line: str, found: str
) -> None:
    app = make_console(vault)
    async with app.run_test(size=(210, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *line)
        await settle(pilot)
        assert the_list(app).count == 8
        strip = the_list(app).render_line(1)
        assert [segment.text for segment in strip if segment.style and segment.style.underline] == [found]


@pytest.mark.parametrize("width", [60, 80, 100, 126, 160])
async def test_the_two_kinds_of_black_list_are_told_apart(vault: Vault, width: int) -> None:
    some = [
        Copy(number, NOW - number, 1, CopyRecord(subject=word, reason=Verdict(engine, Status.BLACKLISTED)))
        for number, (word, engine) in enumerate((("one", Engine.ANTI_SPAM), ("two", Engine.BLACK_LIST)), 1)
    ]
    app = make_console(vault, FakeCatalogue(some))
    async with app.run_test(size=(width, 12)) as pilot:
        await settle(pilot)
        spam, custom = (next(line for line in lines(app) if word in line) for word in ("one", "two"))
        rows = [line[line.index("Nov") if "Nov" in line else line.index(":") :] for line in (spam, custom)]
        assert "Black list" in rows[1] and "Black list" not in rows[0]


async def test_what_became_of_a_copy_shows_beside_its_severity_at_every_width(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = dict(zip(range(40, 34, -1), Delivered, strict=True))
    monkeypatch.setattr(Releases, "read", lambda self: setattr(self, "outcomes", outcomes))
    for width in (120, 80, 60, 44, 34):
        app = make_console(vault)
        async with app.run_test(size=(width, 30)) as pilot:
            await settle(pilot)
            rows = [the_list(app).render_line(y).text for y in range(6)]
            places = {column.name: column.x for column in the_list(app).painter.columns}
            assert "".join(row[places["outcome"]] for row in rows) == " ◷✓◒✗?"
            assert places["sign"] == places["outcome"] + 2
            assert {row[places["sign"]] for row in rows} <= {"▲", "△", " "} != {" "}


async def test_the_marks_of_many_deleted_copies_go_a_part_at_a_time(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.console.widgets.marked_rows._FORGOTTEN", 10)
    app = make_console(vault, count=100)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("asterisk")
        await settle(pilot)
        marks, sizes = the_list(app).marks, []
        before = type(marks).remove
        monkeypatch.setattr(type(marks), "remove", lambda self, ids: sizes.append(len(ids)) or before(self, ids))
        ids = the_list(app).pages.result.ids()
        the_list(app).forget(ids[:35])
        assert marks.count == 90  # the first of them at once
        await settle(pilot)
        assert marks.count == 65
        assert sizes == [10, 10, 10, 5]


async def test_a_list_that_was_taken_away_is_painted_blank_until_the_screen_is_laid_out_anew(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        the = the_list(app)
        assert the.render_lines(Region(0, 0, 40, 2))[0].text.strip()
        the.pages = the.new_pages(the.pages.result)
        app.main.set_focus(None)
        await app.main.places.remove_children()
        assert [strip.text for strip in the.render_lines(Region(0, 0, 40, 2))] == [" " * 40] * 2
