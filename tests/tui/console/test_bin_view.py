"""The Bin: its acts and their copies, bringing back, and deleting for good."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as replaced

from store.authority.audit import events
from store.authority.deleting import bring_back, delete_copies, empty_bin
from store.authority.settings import Settings, read_settings
from store.catalogue.catalogue import Catalogue
from store.delivery.queue import deliveries
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.terms.errors import StoreError
from store.vault.vault import Vault
from tests.tui.console.bin_data import COPIES, fill_bin, raw
from tests.tui.console.driven import lines, make_console, poll, settle
from tests.tui.console.view_harness import NOW, ViewApp, screen_text
from tests.tui.console.view_harness import settle as view_settle
from tui.console.app import MailholdApp
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.screens.bin import BinView
from tui.console.screens.binned import BinnedView
from tui.console.screens.message import MessageView
from tui.console.widgets.typed_count import TypedCount


@pytest.fixture
def console(vault: Vault) -> MailholdApp:
    fill_bin(vault)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    app = make_console(vault, catalogue)
    app.arming_delay = None
    return app


def text(app: MailholdApp) -> str:
    return "\n".join(lines(app))


async def until(pilot, *words: str, gone: str = "") -> None:
    for _ in range(1000):
        await settle(pilot)
        now = text(pilot.app)
        if all(word in now for word in words) and not (gone and gone in now):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(text(pilot.app))


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def until_asked(pilot, question: str) -> None:
    """Wait for a window with this question."""
    for _ in range(1000):
        await settle(pilot)
        if isinstance(pilot.app.screen, ConfirmDialog) and pilot.app.screen.question == question:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(text(pilot.app))


async def test_an_empty_bin_says_so(vault: Vault):
    app = ViewApp(vault, BinView)
    async with app.run_test(size=(80, 24)) as pilot:
        await view_settle(pilot)
        assert "The bin is empty." in screen_text(app)
        await pilot.press("u", "d", "E", "enter")
        assert set(app.notices) == {"The bin is empty."}


@pytest.mark.parametrize("size", [(57, 20), (78, 24), (130, 40)])
async def test_it_lists_the_acts_newest_first_with_all_there_is_to_say(vault: Vault, size):
    fill_bin(vault)
    app = ViewApp(vault, BinView)
    async with app.run_test(size=size) as pilot:
        await view_settle(pilot)
        shown = screen_text(app).splitlines()
        assert shown[0].startswith("58 copies in the bin · ") and "share 750 MB" in shown[0]
        first, second, third = (line.split("Deleted", 1)[-1].split() for line in shown[3:6])
        assert "ada" in first and "1" in first and first[-2:] == ["all", "there"]
        assert "3" in second and any(word.startswith("j.fis") for word in second)
        assert "54" in third and third[-4:] == ["6", "of", "60", "back"]
        assert "\x1b" not in screen_text(app)
        assert all(("Deleted" in line) == (size[0] >= 72) for line in shown[3:6])


async def test_the_act_at_the_cursor_is_shown_in_full_with_its_newest_copies(vault: Vault):
    fill_bin(vault)
    [old] = [act for act in vault.bin.acts() if act.copies == 60]
    app = ViewApp(vault, BinView)
    async with app.run_test(size=(100, 50)) as pilot:
        await view_settle(pilot)
        await pilot.press("G")
        await view_settle(pilot)
        shown = screen_text(app)
        for words in ("Deleted by ada", "60 copies, ", "54 copies, ", "Brought back   6 copies", "until "):
            assert words in shown
        assert "and 34 more: Enter shows all" in shown
        newest = vault.get_many(sorted(vault.bin.ids(old.act))[-1:], binned=True)[0]
        assert newest.record.subject.split("\x1b")[0] in shown
        assert "Gone for good" not in shown
        # Copies gone for good and copies brought back are listed separately; the copies are read anew.
        empty_bin(vault, [1, 2], operator="ada")
        app.view.refresh_data()
        await view_settle(pilot)
        assert "Gone for good  2 copies" in screen_text(app) and "52 copies, " in screen_text(app)
        assert "2 gone" in screen_text(app) and "and 32 more" in screen_text(app)


async def test_it_follows_the_store_and_the_cursor_stays_on_its_act(vault: Vault):
    fill_bin(vault)
    app = ViewApp(vault, BinView)
    async with app.run_test(size=(80, 30)) as pilot:
        await view_settle(pilot)
        await pilot.press("j")
        delete_copies(vault, [90, 91], operator="eve")
        app.view.refresh_data()
        await view_settle(pilot)
        assert "60 copies in the bin" in screen_text(app)
        assert "eve" in screen_text(app).splitlines()[3]
        assert "Deleted by j.fischer" in screen_text(app)
        bring_back(vault, [70, 72, 80], operator="eve")
        app.view.refresh_data()
        await view_settle(pilot)
        assert "j.fischer" not in screen_text(app)


async def test_an_act_that_does_not_verify_says_so_and_can_be_brought_back(vault: Vault):
    fill_bin(vault)
    with vault.write():
        vault.db.execute_sql("UPDATE bin_act SET until = until + 1 WHERE act = (SELECT act FROM binned WHERE id = 70)")
    app = ViewApp(vault, BinView)
    async with app.run_test(size=(80, 30)) as pilot:
        await view_settle(pilot)
        assert "unknown" in screen_text(app).splitlines()[4]
        await pilot.press("j")
        await view_settle(pilot)
        assert "▲ The act does not verify" in screen_text(app)


async def test_a_promise_that_will_not_hold_says_for_how_long(vault: Vault):
    fill_bin(vault)
    size = vault.count().used_bytes
    change_settings(vault, Settings(max_size=size, notify_below=0, bin_share=0))
    app = ViewApp(vault, BinView)
    async with app.run_test(size=(130, 30)) as pilot:
        await view_settle(pilot)
        await pilot.press("j")
        await view_settle(pilot)
        assert ", or ~" in screen_text(app).splitlines()[4]
        assert "at this rate" in screen_text(app)


async def test_the_top_line_warns_of_little_space_when_the_administrator_is_told(console: MailholdApp, vault: Vault):
    """What the bin holds beyond its share counts as free."""
    change_settings(vault, Settings(max_size=vault.count().used_bytes, notify_below=1, bin_share=0))
    assert usage(vault).free_bytes == vault.count().binned_bytes
    async with console.run_test(size=(100, 30)) as pilot:
        await until(pilot, "62 copies")
        assert not console.main.status.low
        change_settings(vault, replaced(read_settings(vault), notify_below=vault.count().binned_bytes + 1))
        await poll(pilot)
        assert console.main.status.low


async def test_bringing_an_act_back_asks_and_one_enter_is_enough(console: MailholdApp, vault: Vault):
    before = {copy.id: copy for copy in vault.get_many([70, 72, 80], binned=True)}
    async with console.run_test(size=(100, 30)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "j", "u")
        assert isinstance(console.screen, ConfirmDialog) and console.screen.focused.id == "ok"
        asked = " ".join(str(console.screen.query_one("DialogBody Static").visual).split())
        assert asked.startswith("Bring back 3 message copies deleted by j.fischer␛[31m on ") and "\x1b" not in asked
        await press(pilot, "escape")
        assert len(vault.bin.ids()) == 58
        await press(pilot, "u", "enter")
        await until(pilot, "3 message copies have been brought back", "55 copies in the bin")
        assert {copy.id: copy for copy in vault.get_many([70, 72, 80])} == before
        assert next((event.action, event.operator) for event in events(vault)) == ("bring back", "ada")
        await press(pilot, "2")
        await until(pilot, "65 copies")


async def test_deleting_an_act_for_good_has_the_number_typed(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(100, 30)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "j", "d")
        assert console.screen.query_one(TypedCount).number == 3
        await press(pilot, "enter")
        assert isinstance(console.screen, ConfirmDialog) and len(vault.bin.ids()) == 58
        await press(pilot, "3", "enter")
        await until(pilot, "3 message copies have been deleted from the bin for good", "55 copies in the bin")
        assert not vault.present([70, 72, 80]) and not vault.present_in_bin([70, 72, 80])
        await press(pilot, "E")
        assert console.screen.query_one(TypedCount).number == 55
        await press(pilot, *"55", "enter")
        await until(pilot, "The bin is empty.")
        assert vault.bin.totals() == (0, 0) and vault.count().messages == COPIES - 58


async def test_the_tree_counts_what_is_in_the_bin(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(120, 30)) as pilot:
        await until(pilot, "62 copies")
        [line] = [line for line in lines(console) if line.strip().startswith("Bin")]
        assert line.split()[1] == "58"
        bring_back(vault, vault.bin.ids(), operator="eve")
        console.store_changed()
        await until(pilot, "120 copies")
        [line] = [line for line in lines(console) if line.strip().startswith("Bin")]
        assert line.split()[1] != "58"


async def test_enter_shows_the_copies_and_back_goes_one_page_at_a_time(console: MailholdApp):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "G", "enter")
        await until(pilot, "54 copies, deleted by ada on ")
        page = console.main.places.page
        assert isinstance(page, BinnedView) and page.list.has_focus
        assert page.list.pages.result.ids(0, 2) == [60, 59]
        assert "u Bring back" in text(console) and "Esc To the bin" in text(console)
        await press(pilot, "j", "enter")
        await until(pilot, "This copy is in the bin")
        assert isinstance(console.main.places.page, MessageView) and console.main.places.page.copy_id == 59
        await press(pilot, "n", "right_square_bracket", "right_square_bracket", "right_square_bracket")
        await until(pilot, "hello 58")
        await press(pilot, "escape")
        assert console.main.places.page is page and page.list.cursor_id == 58
        await press(pilot, "escape")
        assert isinstance(console.main.places.page, BinView)
        await press(pilot, "escape")
        assert console.main.places.page is console.main.backup


async def test_marked_copies_come_back_and_the_rest_stays(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "G", "enter")
        await until(pilot, "54 copies, ")
        await press(pilot, "space", "j", "space")
        await until(pilot, "● 2 of 54 copies")
        await press(pilot, "u", "enter")
        await until(pilot, "2 message copies have been brought back", "52 copies, ")
        assert vault.present([57, 58, 59, 60]) == {58, 60}
        await press(pilot, "u")
        assert "this message copy?" in " ".join(text(console).split()), "no mark is left: it is the one at the cursor"
        await press(pilot, "escape", "asterisk")
        await until(pilot, "● 52 of 52")
        await press(pilot, "u", "enter")
        await until(pilot, "No copies of this act are in the bin any more.")
        await press(pilot, "u")
        await until(pilot, "△ No copies of this act")


async def test_copies_are_deleted_for_good_by_the_number(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "G", "enter")
        await until(pilot, "54 copies, ")
        await press(pilot, "v", "j", "v", "d", "enter")
        assert isinstance(console.screen, ConfirmDialog)
        await press(pilot, "2", "enter")
        await until(pilot, "2 message copies have been deleted from the bin for good", "52 copies, ")
        assert vault.bin.ids(console.main.places.page.held.act.act)[-1] == 58


async def test_what_others_take_of_the_marks_is_said_and_nothing_else_is_taken(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "G", "enter")
        await until(pilot, "54 copies, ")
        await press(pilot, "space", "space")
        bring_back(vault, [59, 60], operator="eve")
        console.store_changed()
        await until(pilot, "2 marked are gone")
        await press(pilot, "u")
        await until(pilot, "The marked copies are no longer in the bin.")
        await press(pilot, "j", "u", "enter")
        await until(pilot, "Message copy has been brought back")
        assert vault.present([57, 58]) == {57}


async def test_what_somebody_else_took_while_the_window_was_open_is_named(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "j", "u")
        bring_back(vault, [70], operator="eve")
        empty_bin(vault, [72], operator="eve")
        await press(pilot, "enter")
        await until(pilot, "1 copy brought back, 2 were not", "it is in Backup already", "gone for good")
        assert vault.present([70, 72, 80]) == {70, 80}


async def test_the_bytes_of_a_copy_in_the_bin_are_saved_once_it_is_back(console: MailholdApp, vault: Vault, tmp_path):
    async with console.run_test(size=(80, 24)) as pilot:
        console.context.save_folder = Path(tmp_path)
        await until(pilot, "62 copies")
        await press(pilot, "9", "enter", "s")
        await until_asked(pilot, "This message copy is in the bin. Bring it back, to save it?")
        await press(pilot, "enter")
        await until(pilot, "Save message")
        assert vault.present([119]) == {119}
        await press(pilot, "enter")
        await until(pilot, "Message has been saved to")
        [saved] = tmp_path.glob("*.eml")
        assert saved.read_bytes() == raw(119)


async def test_deliver_asks_to_bring_back_first_and_then_to_whom(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "j", "enter", "asterisk", "r")
        await until_asked(pilot, "These 3 message copies are in the bin. Bring them back, to deliver them?")
        await press(pilot, "escape")
        assert not deliveries(vault) and vault.present([70, 72, 80]) == set()
        await press(pilot, "r", "enter")
        for _ in range(500):
            await settle(pilot)
            if isinstance(console.screen, DeliverDialog):
                break
            await asyncio.sleep(0.01)
        assert console.screen.copies == 3 and vault.present([70, 72, 80]) == {70, 72, 80}
        assert not deliveries(vault)


async def test_nothing_comes_back_to_be_delivered_where_no_relay_is_set(console: MailholdApp, vault: Vault):
    change_settings(vault, Settings())
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "9", "enter", "r")
        await until(pilot, "No relay is set")
        assert len(console.screen_stack) == 1


async def test_the_view_of_a_copy_follows_it_into_the_bin_and_back(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "enter")
        await until(pilot, "Time placed in Backup", gone="in the bin")
        await press(pilot, "u")
        await until(pilot, "This copy is not in the bin.")
        delete_copies(vault, [COPIES], operator="eve")
        console.store_changed()
        await until(pilot, "△ This copy is in the bin: u brings it back to Backup.")
        await press(pilot, "u", "enter")
        await until(pilot, "Message copy has been brought back", gone="△ This copy")
        assert COPIES in vault.ids()
        delete_copies(vault, [COPIES], operator="eve")
        console.store_changed()
        await until(pilot, "△ This copy is in the bin")
        await press(pilot, "d", "1", "enter")
        await until(pilot, "has been deleted from the bin for good")
        assert console.main.places.page is console.main.backup
        assert not vault.present_in_bin([COPIES])


async def test_a_store_that_can_only_be_read_shows_the_bin_and_changes_nothing(vault: Vault, monkeypatch):
    class Reason:
        def says(self, what: str) -> str:
            return f"{what} is of a newer release."

        def refusal(self) -> StoreError:
            return StoreError(self.says("This store"))

    fill_bin(vault)
    monkeypatch.setattr(vault, "read_only", Reason())
    app = ViewApp(vault, BinView)
    async with app.run_test(size=(80, 24)) as pilot:
        await view_settle(pilot)
        await pilot.press("u", "d", "E")
        assert app.notices == ["This store is of a newer release."] * 3
        await pilot.press("enter")
        assert app.asked[-1][0] == "act"


async def test_delete_says_until_when_and_z_brings_back(console: MailholdApp, vault: Vault):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "space", "space", "d")
        asked = console.screen.question
        assert asked.startswith(
            "Delete 2 message copies from Backup? They go to the bin, which keeps them until 1 Dec. "
        )
        assert asked.endswith("z brings them back.") and console.screen.focused.id == "ok"
        await press(pilot, "enter")
        await until(pilot, "Marked messages have been deleted. z brings them back until ", "60 copies")
        assert vault.present_in_bin([COPIES, COPIES - 2]) == {COPIES, COPIES - 2}
        await press(pilot, "z")
        assert len(console.screen_stack) == 2
        await press(pilot, "enter")
        await until(pilot, "62 copies")
        assert vault.present([COPIES, COPIES - 2]) == {COPIES, COPIES - 2}


async def test_without_a_bin_the_number_is_typed_and_nothing_comes_back(console: MailholdApp, vault: Vault):
    change_settings(vault, Settings(bin_days=0))
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "d")
        assert console.screen.question.endswith("This cannot be undone.")
        await press(pilot, "enter")
        assert isinstance(console.screen, ConfirmDialog)
        await press(pilot, "1", "enter")
        await until(pilot, "Marked message has been deleted")
        assert "z brings" not in text(console) and COPIES not in vault.ids() and COPIES not in vault.bin.ids()


async def test_the_window_says_what_a_promise_is_worth_that_will_not_hold(console: MailholdApp, vault: Vault):
    change_settings(vault, Settings(max_size=vault.count().used_bytes, notify_below=0, bin_share=0))
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "d")
        assert (
            ", or about " in console.screen.question and " at this rate. z brings it back." in console.screen.question
        )


async def test_it_is_kept_as_the_window_said_though_the_bin_was_switched_off_meanwhile(
    console: MailholdApp, vault: Vault
):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "d")
        change_settings(vault, Settings(bin_days=0))
        await press(pilot, "enter")
        await until(pilot, "Marked message has been deleted. z brings it back until ")
        assert COPIES in vault.bin.ids()


async def test_what_a_full_bin_does_not_take_is_offered_to_be_deleted_for_good(
    console: MailholdApp, vault: Vault, monkeypatch
):
    put = vault.bin.put

    def full(ids: list[int], **options):
        result = put(ids[:1], **options)
        return replace(result, left=list(ids[1:]), full=True)

    monkeypatch.setattr(vault.bin, "put", full)
    async with console.run_test(size=(160, 24)) as pilot:
        await until(pilot, "62 copies")
        await press(pilot, "space", "space", "d", "enter")
        await until(pilot, "Marked message has been deleted. z brings it back until ", "this deletes permanently")
