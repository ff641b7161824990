"""Saved filters in the console: saved with `w`, counted in the tree, opened, deleted, and used by `@name`."""

from __future__ import annotations

import threading

import pytest

from store.filters.line import MessageFilter, parse
from store.filters.saved import SavedFilter, read_saved_filters, remove_filter, save_filter
from store.vault.vault import Vault
from tests.tui.console.driven import lines, make_console, poll, settle, the_list
from tests.tui.console.fakes import FakeCatalogue, copies
from tui.console import saved_filters
from tui.console.app import MailholdApp


@pytest.fixture(autouse=True)
def counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_filters, "APART", 0.0)
    monkeypatch.setattr(saved_filters, "TIMES", 0.0)


def tree(app: MailholdApp) -> list[str]:
    """Return the lines of the tree."""
    width = app.main.console_tree.size.width + 1
    return [line[:width].strip() for line in lines(app)[1:] if line[:width].strip()]


async def test_w_saves_the_filter_and_z_takes_it_back(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "Saved filters" not in tree(app)
        await pilot.press("slash", *"subject:invoice period:year", "enter", "w")
        await settle(pilot)
        assert any("subject:invoice period:year" in line for line in lines(app))
        await pilot.press(*"Old bills", "enter")
        await settle(pilot)
        assert read_saved_filters(vault) == (SavedFilter("Old bills", "subject:invoice period:year"),)
        assert any("Filter saved as @Old-bills" in line for line in lines(app))
        wanted = the_list(app).count
        at = tree(app).index("Saved filters")
        assert tree(app)[at + 1].split() == ["@Old-bills", str(wanted)] and app.main.console_tree.here.startswith(
            "saved:"
        )
        await pilot.press("z")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert read_saved_filters(vault) == () and "Saved filters" not in tree(app)


async def test_w_says_what_cannot_be_saved(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("w")
        await settle(pilot)
        assert any("No filter is set." in line for line in lines(app))
        await pilot.press("slash", *"invoice", "enter", "w", "enter")
        await settle(pilot)
        assert any("needs a name" in line for line in lines(app))
        await pilot.press(*("x" * 41), "enter")
        await settle(pilot)
        assert any("at most 40 characters" in line for line in lines(app))
        await pilot.press("escape")
        await settle(pilot)
        assert read_saved_filters(vault) == ()


async def test_a_name_that_is_taken_is_told_before_it_is_replaced(vault: Vault) -> None:
    save_filter(vault, "Bills", "from:zzz")
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"invoice", "enter", "w", *"bills")
        await settle(pilot)
        assert any("Replaces Bills: from:zzz" in line for line in lines(app))
        await pilot.press("enter")
        await settle(pilot)
        assert read_saved_filters(vault) == (SavedFilter("bills", "invoice"),)


async def test_what_is_saved_stands_by_itself(vault: Vault) -> None:
    save_filter(vault, "bills", "subject:invoice or subject:cv")
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"@bills -scan:content", "enter")
        await settle(pilot)
        assert app.main.backup.filter == parse("(subject:invoice or subject:cv) -scan:content")
        await pilot.press("w", *"two", "enter")
        await settle(pilot)
        saved = {each.name: each.line for each in read_saved_filters(vault)}
        assert saved["two"] == "(subject:invoice or subject:cv) -scan:content"


async def test_a_name_in_the_filter_line_is_what_it_stands_for(vault: Vault) -> None:
    save_filter(vault, "bills", "subject:invoice")
    app = make_console(vault)
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"@bil")
        await settle(pilot)
        assert any("There is no saved filter @bil. Similar: @bills." in line for line in lines(app))
        assert the_list(app).count == 40
        await pilot.press(*"ls")
        await settle(pilot)
        assert app.main.backup.filter == parse("subject:invoice") and 0 < the_list(app).count < 40
        await pilot.press("escape", "T", *"@bills", "enter")
        await settle(pilot)
        assert 0 < the_list(app).marks.count < 40


async def test_the_tree_goes_to_a_saved_filter_and_deletes_it(vault: Vault) -> None:
    save_filter(vault, "bills", "subject:invoice")
    save_filter(vault, "cv", "subject:cv")
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("tab")
        places = [place.id for place in app.main.console_tree.places]
        assert (
            places.index("saved") < places.index("saved:bills") < places.index("saved:cv") < places.index("campaigns")
        )
        await pilot.press("d")
        await settle(pilot)
        assert any("Only a saved filter can be deleted here." in line for line in lines(app))
        await pilot.press(*["down"] * (places.index("saved:cv") - app.main.console_tree.cursor))
        await settle(pilot)
        assert app.main.backup.filter == parse("subject:cv") and app.main.console_tree.has_focus
        await pilot.press("d")
        await settle(pilot)
        assert any("Delete the saved filter cv?" in line for line in lines(app))
        await pilot.press("enter")
        await settle(pilot)
        assert [each.name for each in read_saved_filters(vault)] == ["bills"]
        assert "saved:cv" not in [place.id for place in app.main.console_tree.places]


async def test_what_others_save_and_what_arrives_is_counted(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(40))
    app = make_console(vault, catalogue)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        save_filter(vault, "all spam", "scan:anti-spam")
        await poll(pilot)
        first = sum(parse("scan:anti-spam").matches(copy, now=0) for copy in catalogue.copies)
        assert next(line for line in tree(app) if "@all-spam" in line).split() == ["@all-spam", str(first)]
        catalogue.add(copies(16, first=41))
        await poll(pilot)
        more = sum(parse("scan:anti-spam").matches(copy, now=0) for copy in catalogue.copies)
        assert more > first
        assert next(line for line in tree(app) if "@all-spam" in line).split() == ["@all-spam", str(more)]
        remove_filter(vault, "all spam")
        await poll(pilot)
        assert not any("@all-spam" in line for line in tree(app))


async def test_a_count_that_is_not_known_yet_is_three_dots(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(40))
    catalogue.complete = False
    save_filter(vault, "bills", "subject:invoice")
    app = make_console(vault, catalogue)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert next(line for line in tree(app) if "@bills" in line).split() == ["@bills", "…"]
        catalogue.complete = True
        catalogue.changed()
        await poll(pilot)
        assert next(line for line in tree(app) if "@bills" in line).split()[1].isdigit()


async def test_no_key_waits_for_a_count(vault: Vault) -> None:
    held, begun = threading.Event(), threading.Event()

    class Slow(FakeCatalogue):
        def count(self, flt: MessageFilter) -> int | None:
            begun.set()
            assert held.wait(30)
            return super().count(flt)

    save_filter(vault, "bills", "subject:invoice")
    app = make_console(vault, Slow(copies(40)))
    async with app.run_test(size=(120, 30)) as pilot:
        while not begun.is_set():
            await pilot.pause(0.01)
        await pilot.press("slash", *"subject:cv", "enter", "j")
        while the_list(app).count == 40 or app._threads.busy("select"):
            await pilot.pause(0.01)
        assert the_list(app).cursor == 1 and not held.is_set()
        held.set()
        await settle(pilot)
        assert next(line for line in tree(app) if "@bills" in line).split()[1].isdigit()


async def test_counting_waits_for_a_pause_in_the_questions(vault: Vault) -> None:
    catalogue = FakeCatalogue(copies(40))
    catalogue.at_rest = False
    save_filter(vault, "bills", "subject:invoice")
    app = make_console(vault, catalogue)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "…" in next(line for line in tree(app) if "@bills" in line)
        catalogue.at_rest = True
        app.main.saved.look()
        await settle(pilot)
        assert "…" not in next(line for line in tree(app) if "@bills" in line)


async def test_a_line_that_cannot_be_read_says_so(vault: Vault) -> None:
    save_filter(vault, "bills", "subject:invoice")
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        entry = app.main.saved.entries[0]
        app.main.saved.entries = (entry._replace(filter=None),)
        app.main._filter_by_saved("bills")
        await settle(pilot)
        assert any("This saved filter is invalid: subject:invoice" in line for line in lines(app))


@pytest.mark.parametrize("height", [24, 14])
async def test_a_low_terminal_shows_the_line_of_the_cursor(vault: Vault, height: int) -> None:
    for number in range(30):
        save_filter(vault, f"f{number:02}", f"subject:{number}")
    app = make_console(vault)
    async with app.run_test(size=(120, height)) as pilot:
        await settle(pilot)
        await pilot.press("tab")
        for _ in range(len(app.main.console_tree.places)):
            await pilot.press("down")
            place = app.main.console_tree.places[app.main.console_tree.cursor]
            shown = tree(app)
            assert any(line.startswith(place.label) for line in shown), (place, shown)
