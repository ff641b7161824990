"""Finding a text in a message view: the window, the places, the wrong keys."""

from __future__ import annotations

import threading

import pytest
from textual.pilot import Pilot

from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.tui.console.view_data import RAW, record_of
from tests.tui.console.view_harness import NOW, ViewApp, screen_text, settle
from tui.console.screens.message import NOT_READ, TABS, MessageView
from tui.console.text.places import Place

LONG = b"Subject: long\n\n" + b"".join(b"line %d %s\n" % (n, b"needle" if n % 40 == 30 else b"hay") for n in range(100))


def _app(vault: Vault, raw: bytes, *more: bytes) -> ViewApp:
    ids = [vault.put(each, CopyRecord(subject="long"), stored_at=NOW) for each in (raw, *more)]

    def neighbour(copy_id: int, step: int) -> int | None:
        at = ids.index(copy_id) + step
        return ids[at] if 0 <= at < len(ids) else None

    return ViewApp(vault, lambda context: MessageView(context, ids[0], neighbour))


async def _open(pilot: Pilot[None], tab: str) -> None:
    await settle(pilot)
    await pilot.press(*["right_square_bracket"] * TABS.index(tab))
    await settle(pilot)


async def _find(pilot: Pilot[None], text: str) -> None:
    await pilot.press("slash")
    await settle(pilot)
    await pilot.press("ctrl+u", *("space" if letter == " " else letter for letter in text), "enter")
    await settle(pilot)


def _place(app: ViewApp) -> Place | None:
    place: Place | None = app.view.lines.place
    return place


async def test_it_goes_from_place_to_place_and_around(vault: Vault) -> None:
    app = _app(vault, LONG)
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(pilot, "Source")
        await _find(pilot, "NEEDLE")
        assert _place(app) == Place(32, 32) and "line 30 needle" in screen_text(app)
        assert app.notices[-1] == "“NEEDLE” is in line 33 of 102."
        await pilot.press("full_stop")
        await settle(pilot)
        assert _place(app) == Place(72, 72) and "line 70 needle" in screen_text(app)
        await pilot.press("full_stop")
        await settle(pilot)
        assert _place(app) == Place(32, 32)
        assert app.notices[-1] == "“NEEDLE” is in line 33 of 102: the first one."
        await pilot.press("comma")
        await settle(pilot)
        assert _place(app) == Place(72, 72)
        assert app.notices[-1] == "“NEEDLE” is in line 73 of 102: the last one."


async def test_a_text_that_a_line_end_cuts_is_found(vault: Vault) -> None:
    raw = b"Subject: cut\n\n" + b"word " * 14 + b"first second third\n"
    app = _app(vault, raw)
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(pilot, "Text")
        await _find(pilot, "word first second")
        place = _place(app)
        assert place is not None and place.last == place.first + 1


async def test_a_text_that_is_not_there_or_in_one_place_only(vault: Vault) -> None:
    app = _app(vault, LONG)
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(pilot, "Text")
        await _find(pilot, "nowhere")
        assert _place(app) is None and app.notices[-1] == "“nowhere” is not in Text."
        await _find(pilot, "line 99")
        await pilot.press("full_stop")
        await settle(pilot)
        assert app.notices[-1] == "“line 99” is in line 100 of 100, and nowhere else."


async def test_a_place_far_to_the_right_comes_into_sight(vault: Vault) -> None:
    app = _app(vault, b"Subject: wide\n\n" + b"x" * 500 + b"needle\n")
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(pilot, "Source")
        assert "needle" not in screen_text(app)
        await _find(pilot, "needle")
        assert "needle" in screen_text(app)


async def test_the_text_stays_for_other_tabs_and_copies_until_it_is_emptied(vault: Vault) -> None:
    app = _app(vault, LONG, LONG.replace(b"needle", b"another needle"))
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(pilot, "Source")
        await _find(pilot, "needle")
        await pilot.press("n")
        await settle(pilot)
        await pilot.press("full_stop")
        await settle(pilot)
        assert "line 30 another needle" in screen_text(app)
        await _find(pilot, "")
        before = len(app.notices)
        await pilot.press("full_stop")
        await settle(pilot)
        assert type(app.screen).__name__ == "FindTextDialog" and len(app.notices) == before


async def test_nothing_is_called_missing_before_it_was_read(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def slow(raw: bytes, **_: object) -> None:
        let_go.wait(30)
        raise OSError("never")

    monkeypatch.setattr("store.message.message.parse_in_child", slow)
    copy_id = vault.put(RAW, record_of(), stored_at=NOW)
    app = ViewApp(vault, lambda context: MessageView(context, copy_id))
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(500):
            await pilot.pause(0.01)
            if "Time placed in Backup" in screen_text(app):
                break
        await pilot.press("right_square_bracket", "slash")
        await pilot.pause(0.1)
        assert app.notices == [NOT_READ] and type(app.screen).__name__ != "FindTextDialog"
        let_go.set()
        await settle(pilot)
        await pilot.press("full_stop")
        await settle(pilot)
        assert "unexpected error (OSError)" in app.notices[-1]


async def test_the_lines_of_the_tab_before_are_not_taken_for_this_tabs(vault: Vault) -> None:
    app = _app(vault, LONG)
    async with app.run_test(size=(80, 24)) as pilot:
        await _open(pilot, "Source")
        await _find(pilot, "needle")
        app.view.action_tab(1)
        app.view._show_tab()
        app.view.action_find_step(1)  # Faster than the lines of the other tab are made.
        assert app.notices[-1] == NOT_READ
        await settle(pilot)
        await pilot.press("full_stop")
        await settle(pilot)
        assert app.notices[-1] == "“needle” is not in Attachments."
