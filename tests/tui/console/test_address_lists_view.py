"""The Address lists section on a real store: listing, adding, removing and finding by keyboard."""

from __future__ import annotations

import pytest

from store.authority.audit import events
from store.judging.rules.address_lists import AddressLists, added, change_lists, read_lists, write_lists
from tests.tui.console.driven import lines, make_console
from tests.tui.console.driven import settle as console_settle
from tests.tui.console.rule_data import fill
from tests.tui.console.view_harness import NOTHING, DialogApp, ViewApp, screen_text, settle
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.list_entries import AddEntriesDialog, NewEntries
from tui.console.screens.address_lists import AddressListsView
from tui.console.text.address_lines import EntryLines, entries_of


@pytest.fixture
def app(vault) -> ViewApp:
    fill(vault)
    return ViewApp(vault, AddressListsView)


def words(app) -> str:
    """Return the screen's text without frames and wrapping."""
    return " ".join(screen_text(app).replace("│", " ").split())


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def test_it_lists_every_entry_with_whose_it_is(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = screen_text(app).splitlines()
        assert text[0] == "5 black · 3 white · 2 users"
        assert text[2].split() == ["List", "Sender", "For", "mail", "to"]
        assert [line.split() for line in text[3:11]] == [
            ["Black", "*.bulk.example", "everybody"],
            ["Black", "bücher.example", "everybody"],
            ["Black", "offers@shop.example", "everybody"],
            ["Black", "worse.example", "everybody"],
            ["White", "partner.example", "everybody"],
            ["Black", "news.example", "ceo@corp.example"],
            ["White", "old.friend@freemail.example", "ceo@corp.example"],
            ["White", "shop.example", "zoë@corp.example"],
        ]
        assert len({line.index(word) for line, word in zip(text[2:4], ("Sender", "*.bulk"), strict=True)}) == 1


async def test_nothing_listed_says_so(vault):
    app = ViewApp(vault, AddressListsView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert screen_text(app).startswith("No sender is listed yet.")
        await press(pilot, "d", "slash")
        assert app.notices == ["No entry is selected.", "No entry is selected."]


async def test_entries_are_added_by_keyboard_alone(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "a")
        await press(
            pilot,
            *"Evil.example, *.evil.example",
            "down",
            "right",
            "down",
            "right",
            "down",
            *"ann@corp.example",
            "enter",
        )
        assert read_lists(vault).user_white["ann@corp.example"] == ("*.evil.example", "Evil.example")
        assert app.notices == ["2 entries have been added to the white list of ann@corp.example"]
        assert app.view.current.text == "Evil.example"
        assert events(vault, 1)[0].operator == "root"


async def test_adding_begins_with_the_list_at_the_cursor(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "G", "a", *"x.example", "enter")
        assert read_lists(vault).user_white["zoë@corp.example"] == ("shop.example", "x.example")
        await press(pilot, "a", *"X.example", "enter")
        assert app.notices[-1] == "The white list of zoë@corp.example already has it"


async def test_removing_asks_first(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "j", "j", "d")
        assert isinstance(app.screen, ConfirmDialog)
        assert "Remove offers@shop.example from the black list of the organisation?" in words(app)
        await press(pilot, "enter")
        assert "offers@shop.example" in read_lists(vault).black
        await press(pilot, "d", "left", "enter")
        assert "offers@shop.example" not in read_lists(vault).black
        assert app.notices == ["offers@shop.example has been removed from the black list"]
        await press(pilot, "G", "delete", "left", "enter")
        assert "zoë@corp.example" not in read_lists(vault).user_white


async def test_finding_shows_entries_and_users_with_the_text(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "slash", *"CEO", "enter")
        assert screen_text(app).startswith("2 with “CEO” of 5 black · 3 white · 2 users")
        await press(pilot, "f", "end", *["backspace"] * 3, *"zzz", "enter")
        assert "nothing to show" in screen_text(app)
        await press(pilot, "escape")
        assert screen_text(app).startswith("5 black")
        assert app.asked == []
        await press(pilot, "escape")
        assert app.asked == [("go", "backup")]


async def test_it_follows_the_store_and_the_cursor_stays_on_its_entry(app, vault):
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "j")
        change_lists(vault, lambda lists: added(lists, "black", ["a.example"]))
        app.view.refresh_data()
        await settle(pilot)
        assert "6 black" in screen_text(app)
        assert app.view.current.text == "bücher.example"


async def test_long_lists_are_drawn_as_they_are_seen(vault):
    lists = write_lists(vault, AddressLists(black=tuple(f"d{n:05}.example" for n in range(5000))))
    app = ViewApp(vault, AddressListsView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert isinstance(app.view.list.lines, EntryLines)
        await press(pilot, "G")
        assert "d04999.example" in screen_text(app)
    lines_ = EntryLines(entries_of(lists), 80)
    assert len(lines_[10:20]) == 10
    assert next(iter(lines_)) == lines_[0]


@pytest.mark.parametrize(
    ("entries", "user", "says", "at"),
    [
        ("", None, "Enter one or more addresses", "entries"),
        ("a@b@c", None, "not a pattern of addresses", "entries"),
        ("*", None, "every sender", "entries"),
        ("a.example", "nobody", "not an email address", "user"),
    ],
)
async def test_what_is_wrong_is_said_at_the_field(entries, user, says, at):
    app = DialogApp(AddEntriesDialog("black", user or ""))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*entries, "enter")
        await pilot.pause()
        assert says in screen_text(app)
        assert (app.focused.id, app.answer) == (at, NOTHING)


async def test_the_window_answers_checked_entries_and_explains_the_list():
    app = DialogApp(AddEntriesDialog())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*" @a.example;b@c.example ", "down")
        assert "Blacklisted" in screen_text(app)
        await pilot.press("right")
        await pilot.pause()
        assert "Anti-Virus still checks them" in words(app)
        assert app.screen.query_one("#user").disabled
        await pilot.press("enter")
        await pilot.pause()
        assert app.answer == NewEntries("white", "", ("a.example", "b@c.example"))


async def test_in_the_console(vault):
    fill(vault)
    console = make_console(vault)
    async with console.run_test(size=(80, 24)) as pilot:
        await console_settle(pilot)
        await pilot.press("5")
        await console_settle(pilot)
        assert isinstance(console.main.places.page, AddressListsView)
        assert "a Add  d Remove  / Find" in lines(console)[-1]
        assert console.main.footer._off == frozenset()
        await pilot.press("d", "left", "enter")
        await console_settle(pilot)
        assert "*.bulk.example has been removed from the black list" in "\n".join(lines(console))
        assert "*.bulk.example" not in read_lists(vault).black
        assert events(vault, 1)[0].operator == "ada"
