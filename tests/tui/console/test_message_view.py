"""The message view on a real store: its tabs, its keys, and errors."""

from __future__ import annotations

import re
import threading

import pytest

from store.authority.settings import Settings
from store.delivery.leases import claim as claim_due
from store.delivery.leases import settle as settle_claim
from store.delivery.queue import cancel, release
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from tests.tui.console.view_data import HOSTILE, RAW, record_of
from tests.tui.console.view_harness import NOW, ViewApp, screen_text, settle
from tui.console.acts import actions
from tui.console.screens.message import TABS, MessageView
from tui.console.widgets.controls import PushButton
from tui.console.widgets.line_view import LineView


@pytest.fixture
def copy_id(vault) -> int:
    return vault.put(RAW, record_of(), stored_at=NOW)


def view_app(vault, copy_id: int, neighbour=None) -> ViewApp:
    return ViewApp(vault, lambda context: MessageView(context, copy_id, neighbour))


WORDS = {
    "Message": "Time placed in Backup",
    "Text": "we noticed unusual activity",
    "Headers": "Message-ID: <a1@mail.example>",
    "Source": "Content-Type: multipart/mixed; boundary=x",
    "Attachments": "Invoice.pdf.exe",
    "Links": "hxxp://xn--pypal-4ve[.]example/login?u=1",
}


@pytest.mark.parametrize("tab", TABS)
async def test_each_tab_shows_the_message_its_way(vault, copy_id, tab):
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*["right_square_bracket"] * TABS.index(tab))
        await settle(pilot)
        assert WORDS[tab] in screen_text(app)
        for name in ("To messages list", "Deliver", "Delete", "Save"):
            assert f"[ {name} ]" in screen_text(app)


async def test_the_fields_are_there_before_the_message_is_parsed(vault, copy_id, monkeypatch):
    let_go = threading.Event()

    def slow(raw: bytes, **_):
        let_go.wait(30)
        raise OSError("never")

    monkeypatch.setattr("store.message.message.parse_in_child", slow)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(500):
            await pilot.pause(0.01)
            if "Time placed in Backup" in screen_text(app):
                break
        assert "Time placed in Backup" in screen_text(app)
        await pilot.press("right_square_bracket")
        for _ in range(500):
            await pilot.pause(0.01)
            if "Reading the message" in screen_text(app):
                break
        assert "Reading the message" in screen_text(app)
        let_go.set()
        await settle(pilot)
        assert "unexpected error (OSError)" in screen_text(app)


async def test_the_source_is_there_while_the_message_is_parsed_and_where_that_fails(vault, copy_id, monkeypatch):
    let_go = threading.Event()

    def slow(raw: bytes, **_):
        let_go.wait(30)
        raise OSError("never")

    monkeypatch.setattr("store.message.message.parse_in_child", slow)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["right_square_bracket"] * TABS.index("Source"))
        for _ in range(500):
            await pilot.pause(0.01)
            if WORDS["Source"] in screen_text(app):
                break
        assert WORDS["Source"] in screen_text(app)
        let_go.set()
        await settle(pilot)
        assert WORDS["Source"] in screen_text(app)
        await pilot.press("left_square_bracket")
        await settle(pilot)
        assert "unexpected error (OSError)" in screen_text(app)


async def test_a_source_line_that_is_wider_than_its_bytes_can_be_seen_to_its_end(vault):
    raw = b"Subject: wide\n\n" + b"\xff\t" * 500 + b"the end\n"
    copy_id = vault.put(raw, CopyRecord(subject="wide"), stored_at=NOW)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*["right_square_bracket"] * TABS.index("Source"))
        await settle(pilot)
        assert app.view.lines.max_scroll_x > 3900
        app.view.lines.scroll_to(app.view.lines.max_scroll_x, animate=False, force=True)
        await settle(pilot)
        assert "the end" in screen_text(app)


async def test_buttons_and_keys_ask_for_the_actions(vault, copy_id, monkeypatch):
    called: list[tuple[str, list[int]]] = []
    for name in ("deliver", "save"):
        monkeypatch.setattr(actions, name, lambda context, chosen, name=name: called.append((name, list(chosen))))
    monkeypatch.setattr(
        actions, "delete", lambda context, chosen, then: (called.append(("delete", list(chosen))), then())
    )
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("r", "s")
        for name in ("view-deliver", "view-save"):
            await pilot.click(f"#{name}")
        assert called == [("deliver", [copy_id]), ("save", [copy_id])] * 2
        await pilot.press("d")
        await pilot.pause()
        assert called[-1] == ("delete", [copy_id])
        assert app.asked == [("close",)]
        await pilot.press("escape")
        await pilot.click("#to-list")
        await pilot.pause()
        assert app.asked == [("close",)] * 3


async def test_next_and_previous_show_the_neighbours(vault, copy_id):
    second = vault.put(
        b"Subject: second\r\n\r\nthe second text\r\n", record_of(b"Subject: second\r\n\r\n"), stored_at=NOW
    )
    ids = [copy_id, second]

    def neighbour(of: int, step: int) -> int | None:
        place = ids.index(of) + step
        return ids[place] if 0 <= place < len(ids) else None

    app = view_app(vault, copy_id, neighbour)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("right_square_bracket", "n")
        await settle(pilot)
        assert "the second text" in screen_text(app)
        await pilot.press("n")
        await settle(pilot)
        assert app.notices == ["This is the last copy."]
        await pilot.press("p", "p")
        await settle(pilot)
        assert "unusual activity" in screen_text(app)
        assert app.notices[-1] == "This is the first copy."


@pytest.mark.parametrize("keys", [(), ("n",)])
async def test_a_deletion_that_ends_late_leaves_only_the_deleted_copy(vault, copy_id, monkeypatch, keys):
    second = vault.put(b"Subject: second\r\n\r\nx\r\n", record_of(b"Subject: second\r\n\r\n"), stored_at=NOW)
    ended = []
    monkeypatch.setattr(actions, "delete", lambda context, chosen, then: ended.append(then))
    app = view_app(vault, copy_id, lambda of, step: second)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("d", *keys)
        await settle(pilot)
        ended[0]()
        assert app.asked == ([] if keys else [("close",)])


async def test_a_released_copy_says_who_got_it_when_and_who_released_it(vault, copy_id):
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1"))
    app = view_app(vault, copy_id)
    async with app.run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        assert "Released" not in screen_text(app)
        release(vault, [copy_id], original=False, additional=["ap@corp.example", "x@away.example"], operator="root")
        app.view.refresh_data()
        await settle(pilot)
        assert "◷ Waiting for ap@corp.example, x@away.example" in screen_text(app)
        with vault.write():
            [claim] = claim_due(vault, 1, "w", 1, now_ms(), 60_000)
            ends = (Outcome(State.SENT, "250 ok"), Outcome(State.FAILED, "550 no such user"))
            settle_claim(vault, claim, dict(zip(claim.live, ends, strict=True)), NOW)
        app.view.refresh_data()
        await settle(pilot)
        text = screen_text(app)
        said = "◒ Delivered to ap@corp.example 24 Nov 09:41; failed for x@away.example (550 no such user)"
        assert said in text
        assert re.search(r"Released  .* by root", text)
        assert re.search(r"Released to +sent +ap@corp.example  24 Nov 2026 09:41:05 UTC\+2\s+250 ok", text)
        assert "failed    x@away.example" in text


async def test_all_recipients_are_in_the_view_and_new_outcomes_do_not_scroll_it(vault, copy_id):
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1"))
    everybody = [f"user{number:02}@corp.example" for number in range(40)]
    release(vault, [copy_id], original=False, additional=everybody)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert "Waiting for user00@corp.example, user01@corp.example and 38 more" in screen_text(app)
        seen = set()
        for _ in range(8):
            seen.update(re.findall(r"user\d\d@corp.example", screen_text(app)))
            await pilot.press("pagedown")
            await settle(pilot)
        assert seen == set(everybody)
        await pilot.press("pageup", "pageup")
        await settle(pilot)
        before = app.view.lines.scroll_y
        cancel(vault, 1)
        app.view.refresh_data()
        await settle(pilot)
        assert "Waiting for" not in screen_text(app) and app.view.lines.scroll_y == before > 0


async def test_a_copy_that_is_gone_says_so_and_cannot_be_acted_on(vault, copy_id):
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        vault.delete([copy_id])
        app.view.refresh_data()
        await settle(pilot)
        assert "There is no message copy 1" in screen_text(app)
        assert app.view.query_one("#view-deliver", PushButton).disabled
        assert not app.view.query_one("#to-list", PushButton).disabled
        await pilot.press("r")
        assert "There is no message copy" in app.notices[-1]


async def test_a_damaged_body_is_reported_and_the_fields_stay(vault, copy_id):
    body = vault.models.Body
    with vault.write():
        for row in body.select():
            sealed = bytearray(bytes(row.sealed))
            sealed[len(sealed) // 2] ^= 1
            body.update(sealed=bytes(sealed)).where(body._meta.primary_key == row._pk).execute()
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 40)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "damaged or was tampered with" in text
        assert "Time placed in Backup" in text
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert "damaged or was tampered with" in screen_text(app)
        assert "unusual activity" not in screen_text(app)


@pytest.mark.parametrize("tab", TABS)
async def test_hostile_text_reaches_the_screen_safe(vault, tab):
    copy_id = vault.put(HOSTILE, record_of(HOSTILE), stored_at=NOW)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*["right_square_bracket"] * TABS.index(tab))
        await settle(pilot)
        text = screen_text(app)
        assert not any(
            (ord(character) < 32 and character != "\n") or 0x7F <= ord(character) < 0xA0 or character in "\u202e\u200b"
            for character in text
        )
        if tab == "Text":
            assert "[bold red]markup[/]" in text


async def test_each_tab_keeps_its_place(vault):
    raw = b"Subject: long\r\n\r\n" + b"".join(b"line %d\r\n" % number for number in range(500))
    copy_id = vault.put(raw, CopyRecord(subject="long"), stored_at=NOW)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        await pilot.press("G")
        await settle(pilot)
        assert "line 499" in screen_text(app)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert "Subject: long" in screen_text(app)
        await pilot.press("left_square_bracket")
        await settle(pilot)
        assert "line 499" in screen_text(app)
        await pilot.press("g", "j", "pagedown")
        await settle(pilot)
        assert "line 499" not in screen_text(app)


async def test_only_visible_lines_of_a_large_source_are_drawn(vault, monkeypatch):
    raw = b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 200_000
    copy_id = vault.put(raw, CopyRecord(subject="big"), stored_at=NOW)
    app = view_app(vault, copy_id)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        await settle(pilot)
        lines = app.view.query_one(LineView).lines
        assert len(lines) == 200_002
        looked: list[int] = []
        original = type(lines).__getitem__
        monkeypatch.setattr(type(lines), "__getitem__", lambda self, at: looked.append(at) or original(self, at))
        await pilot.press("G")
        await settle(pilot)
        assert looked
        assert len(set(looked)) < 100


async def test_it_fits_a_narrow_workspace(vault, copy_id):
    app = view_app(vault, copy_id)
    async with app.run_test(size=(58, 20)) as pilot:
        await settle(pilot)
        for button in app.view.query(PushButton):
            assert app.screen.region.contains_region(button.region)
