"""Events on a real store: newest first, older ones loaded while scrolling."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from store.authority.acts import Act
from store.authority.audit import Event, events, record_event
from store.authority.event_forms import Phase
from store.database.connection import run
from tests.tui.console.view_harness import NOW, ZONE, ViewApp, screen_text, settle, until_shown
from tui.console.screens import events as screen
from tui.console.screens.events import EventsView, event_lines
from tui.terminal.safe import safe

words = st.text(st.characters(codec="utf-8"), max_size=100)


@settings(deadline=None)
@given(words, words, words, st.lists(st.integers(1, 10**9), max_size=30), st.integers(56, 200))
def test_any_event_is_drawn_safe_and_within_the_width(operator, action, detail, copies, width):
    for line in event_lines([Event(1, NOW, operator, action, copies, detail)], ZONE, width):
        text = "".join(span.text for span in line)
        assert text == safe(text)
        assert cell_len(text) <= width


@pytest.mark.parametrize(
    ("ids", "shown"),
    [
        ([], ""),
        ([7], "1 copy: 7"),
        ([3, 4, 5, 9], "4 copies: 3-5, 9"),
        (list(range(1, 40, 2)), "20 copies: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29 …"),
    ],
)
def test_copies_are_named_as_ranges(ids, shown):
    (line, *_) = event_lines([Event(1, NOW, "root", "delete", ids, "")], ZONE, 120)
    assert line[-1].text == shown


@pytest.mark.parametrize(
    ("operator", "uid", "who"),
    [
        ("root", 0, "root       0"),
        ("ann", 1000, "ann     1000"),
        ("a long name", 1000, "a long… 1000"),
        ("ann", 4294967293, "ann  4294967293"),
        ("", None, "—           "),
    ],
)
def test_the_uid_of_the_login_stands_beside_the_operator(operator, uid, who):
    for width in (58, 100):
        lines = event_lines([Event(1, NOW, operator, "delete", [7], "word " * 40, uid)], ZONE, width)
        text = ["".join(span.text for span in line) for line in lines]
        assert text[0].startswith(f"24 Nov 09:41:05  {who}  delete")
        assert "uid" not in "".join(text)


async def test_events_are_listed_newest_first_and_followed(vault):
    record_event(vault, "delete", operator="root", copies=[3, 4, 5], at=NOW - 1000)
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(100, 24)) as pilot:
        await settle(pilot)
        assert "3 copies: 3-5" in screen_text(app)
        record_event(vault, "save", operator="ann", copies=[9], detail="to /srv/[b]\x1b[31m", at=NOW)
        app.view.refresh_data()
        await settle(pilot)
        lines = screen_text(app).splitlines()
        assert lines[2].split()[:6] == ["24", "Nov", "09:41:05", "ann", "1000", "save"]
        assert "to /srv/[b]␛[31m" in lines[2]
        assert "3 copies: 3-5" in screen_text(app)
        await pilot.press("q")
        assert ("go", "backup") in app.asked


async def test_older_events_are_read_when_the_end_comes_in_sight(vault, monkeypatch):
    monkeypatch.setattr(screen, "_PAGE", 40)
    with vault.write():
        for number in range(100):
            record_event(vault, f"event {number}", operator="", at=NOW + number)
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        view = app.view
        assert isinstance(view, EventsView)
        assert len(view.events) == 80  # two pages fill a screen and the next
        for _ in range(3):
            await pilot.press("G")
            await settle(pilot)
        assert len({event.id for event in view.events}) == len(view.events) >= 100
        assert screen_text(app).endswith("event 0")
        with vault.write():
            for number in range(100, 200):
                record_event(vault, f"event {number}", operator="", at=NOW + number)
        view.refresh_data()
        await settle(pilot)
        assert [event.id for event in view.events] == sorted((event.id for event in view.events), reverse=True)
        assert len(view.events) >= 200


async def test_a_damaged_trail_is_reported(vault):
    record_event(vault, "delete", operator="root")
    table = vault.models.Audit
    with vault.write():
        table.update(sealed=b"\0" * 80).execute()
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "tampered" in screen_text(app)


def big_act(vault, copies: int, before: int = 5, action: str = "import") -> None:
    """Record some events, then an act of many parts, as an import writes one for 50 copies."""
    for number in range(before):
        record_event(vault, f"earlier {number}", operator="ann", at=NOW - 10_000 + number)
    ids = list(range(110, 110 + copies))
    with vault.write(), Act(vault, action, operator="root", size=copies, one_part=0) as act:
        for at in range(0, copies, 50):
            act.part(ids[at : at + 50])


async def test_a_long_act_is_read_to_its_first_event_and_the_older_ones_are_reached(vault, monkeypatch):
    """40,000 imported copies are more events than are read at once, and fold into a single line."""
    monkeypatch.setattr(screen, "_PAGE", 40)
    big_act(vault, 40_000)
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(110, 24)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "40,000 copies: 110-40109" in text and "at least" not in text
        assert [f"earlier {number}" in text for number in range(5)] == [True] * 5


async def test_an_act_whose_beginning_is_not_read_yet_has_at_least_its_number(vault, monkeypatch):
    monkeypatch.setattr(screen, "_PAGE", 40)
    monkeypatch.setattr(screen, "_STEP", 0.0)
    big_act(vault, 10_000)
    real, waits = screen.read_older, threading.Event()

    def slowly(*args, **how):
        assert threading.current_thread() is not threading.main_thread()
        waits.wait(20)
        found = real(*args, **how)
        assert len(found.events) <= 40
        return found

    monkeypatch.setattr(screen, "read_older", slowly)
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(110, 24)) as pilot:
        await until_shown(pilot, "at least 1,950 copies: 8160-10109 …")
        await pilot.press("x", "j")  # the event loop is free
        waits.set()
        await settle(pilot)
        shown = screen_text(app)
        assert "10,000 copies: 110-10109" in shown and "at least" not in shown and "earlier 0" in shown


async def test_reading_on_for_the_beginning_of_an_act_is_bounded(vault, monkeypatch):
    monkeypatch.setattr(screen, "_PAGE", 40)
    monkeypatch.setattr(screen, "_MOST", 80)
    big_act(vault, 10_000)
    for number in range(60):
        record_event(vault, f"later {number}", operator="ann", at=NOW + number)
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(110, 24)) as pilot:
        await settle(pilot)
        view = app.view
        assert len(view.events) == 40 + 80  # the first page and the bound
        for _ in range(12):
            await pilot.press("G")
            await settle(pilot)
        assert "10,000 copies: 110-10109" in screen_text(app) and screen_text(app).endswith("earlier 0")


async def test_a_page_that_is_not_shown_reads_no_older_events(vault, monkeypatch):
    monkeypatch.setattr(screen, "_PAGE", 40)
    big_act(vault, 10_000)
    app = ViewApp(vault, EventsView)
    app.view.display = False
    async with app.run_test(size=(110, 24)) as pilot:
        await settle(pilot)
        assert len(app.view.events) == 40
        app.view.display = True
        app.view.refresh_data()
        await settle(pilot)
        assert "earlier 0" in screen_text(app)


def test_the_beginning_of_an_act_is_not_sought_beyond_where_it_must_be(vault, monkeypatch):
    """The first event of the act is damaged; all of a long trail would be read for it, and again at each scrolling."""
    monkeypatch.setattr(screen, "_PAGE", 10)
    for number in range(60):
        record_event(vault, f"event {number}", operator="ada", at=NOW)
    big_act(vault, 1000)
    [intent] = [each.id for each in events(vault, 500) if each.phase == Phase.INTENT]
    run(vault.db, "UPDATE audit SET at = at + 1 WHERE id = ?", intent)
    known = events(vault, 10, lenient=True)
    found = screen.read_older(vault, known, most=1000)
    read = [*known, *found.events]
    assert intent in {each.id for each in read} and not found.lacking
    assert read[-1].id > intent - 20 and not found.ended
