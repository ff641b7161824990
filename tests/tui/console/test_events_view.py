"""Events on a real store: newest first, older ones loaded while scrolling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from store.authority.audit import Event, record_event
from tests.tui.console.view_harness import NOW, ZONE, ViewApp, screen_text, settle
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
        assert len(view.events) == 40
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
