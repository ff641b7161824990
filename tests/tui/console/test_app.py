"""The console end to end on a real store with the real catalogue: deliver, delete, save, follow, cancel, leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Static

from store.authority.audit import events
from store.authority.settings import Settings, read_settings
from store.catalogue.catalogue import Catalogue
from store.catalogue.selection import FrameSelection
from store.delivery.queue import deliveries, queue_length
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable
from store.terms.sender import address_first
from store.vault.vault import Vault
from tests.tui.console.driven import TZ, lines, poll, settle, the_list
from tests.tui.console.fakes import NOW, sample
from tui.console.acts import chosen_facts
from tui.console.app import MailholdApp
from tui.console.dialogs.delete import DeleteDialog
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.dialogs.report import ReportDialog
from tui.console.screens import main
from tui.console.screens.main import MainScreen
from tui.console.theme import DARK
from tui.console.widgets.controls import Field
from tui.terminal.safe import safe
from tui.terminal.times import full_time

#: A port without a listener; the tests start no worker.
RELAY = "smtp://127.0.0.1:9"


def raw(number: int) -> bytes:
    return f"From: a@example.org\r\nTo: ap@corp.example\r\nSubject: {number}\r\n\r\nBody {number}\r\n".encode()


def fill(vault: Vault, count: int, first: int = 1) -> list[int]:
    """Put copies with the records of the samples; ids run from `first`."""
    return vault.put_many((raw(n), sample(n), NOW - (count - n) * 60_000) for n in range(first, first + count))


@pytest.fixture
def console(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Callable[[], MailholdApp]:
    """Make the console on the test's vault. It delivers nothing by itself."""
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)

    def make() -> MailholdApp:
        catalogue = Catalogue(vault, snapshot=None, now=lambda: NOW)
        app = MailholdApp(vault, catalogue=catalogue, operator="ada", clock=lambda: NOW, tz=TZ, host="mx1")
        app.theme = DARK.name
        return app

    return make


async def loaded(pilot: Pilot[Any], count: int) -> None:
    """Wait until the list has this many copies."""
    app = pilot.app
    assert isinstance(app, MailholdApp)
    for _ in range(400):
        await poll(pilot)
        if the_list(app).count == count and app.catalogue.complete:
            return
    raise AssertionError(f"{the_list(app).count} copies are listed, not {count}")


async def choose(pilot: Pilot[Any], *keys: str) -> None:
    await pilot.press(*keys)
    await settle(pilot)


def notice(app: MailholdApp) -> str:
    line = app.main.notice_line
    return str(line.line.render()) if line.display else ""


async def test_delivering_marked_copies(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    change_settings(vault, Settings(relay=RELAY))
    fill(vault, 12)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "j", "space", "space", "r")
        assert isinstance(app.screen, DeliverDialog)
        await choose(pilot, "space", "enter")
        said = "Messages have been placed in queue for delivery. + lists 3 more from these senders\n2 "
        assert notice(app).startswith(said)
        assert sorted(one.copy_id for one in deliveries(vault)) == [10, 11]
        assert not the_list(app).marks
        await poll(pilot)
        assert sum(line.count("◷") for line in lines(app)[5:9]) == 2
        assert app.context.queue_length == 2
        await choose(pilot, "h")
        assert notice(app) == ""


async def test_delivering_one_says_so_in_the_singular(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    change_settings(vault, Settings(relay=RELAY))
    fill(vault, 4)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 4)
        await choose(pilot, "r", "space", "enter")
        assert notice(app).startswith("Message has been placed in queue for delivery   ")


async def test_infected_copies_among_others_are_refused_with_the_reason(
    vault: Vault, console: Callable[[], MailholdApp]
) -> None:
    change_settings(vault, Settings(relay=RELAY))
    fill(vault, 12)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "asterisk", "r", "space", "enter")
        assert isinstance(app.screen, ReportDialog)
        assert "1, 9" in str(app.screen.query_one("#reasons", Static).render()) or "9, 1" in str(
            app.screen.query_one("#reasons", Static).render()
        )
        assert queue_length(vault) == 10
        assert set(the_list(app).marks.chosen().ids()) == {1, 9}


async def test_without_a_relay_nothing_is_asked(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 3)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 3)
        await choose(pilot, "r")
        assert app.screen is app.main and "No relay is set" in notice(app)


async def test_deleting_marked_copies(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 12)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "space", "space", "d")
        await choose(pilot, "enter")
        assert notice(app).startswith("Marked messages have been deleted. z brings them back until ")
        assert vault.ids() == list(range(1, 11)) and vault.bin.ids() == [11, 12]
        await loaded(pilot, 10)
        assert not the_list(app).marks and the_list(app).cursor_id == 10
        assert next((event.action, event.operator) for event in events(vault)) == ("delete into the bin", "ada")


async def test_what_is_chosen_is_fixed_when_the_window_opens(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 12)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "asterisk", "d")
        late = fill(vault, 2, first=13)
        await poll(pilot)
        the_list(app).marks.clear()
        await choose(pilot, "enter")
        assert notice(app).startswith("Marked messages have been deleted. z brings them back until ")
        assert vault.ids() == sorted(late)


@pytest.mark.parametrize("key", ["d", "s", "r"])
async def test_a_window_says_that_others_deleted_some_of_what_was_marked_and_who_else_may_have_sent(
    vault: Vault, console: Callable[[], MailholdApp], key: str
) -> None:
    ids = fill(vault, 12)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    app = console()
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "G", *["up"] * 5, "space", "space", "space")
        vault.delete([ids[5], ids[4]])
        await poll(pilot)
        await choose(pilot, key)
        said = str(app.screen.query_one("#gone", Static).visual).replace("\n", " ")
        assert said == "▲ 2 marked copies have been deleted by someone else."
        await choose(pilot, "escape", "ctrl+t", "g", *["down"] * 5)
        assert the_list(app).cursor_id == 7
        await choose(pilot, key)
        assert "≠ Envelope sender: bounce@lists.example" in str(app.screen.query_one("#chosen", Static).visual)
        assert not app.screen.query("#gone")


@pytest.mark.parametrize("key", ["d", "s", "r"])
async def test_a_window_says_what_it_is_about(vault: Vault, console: Callable[[], MailholdApp], key: str) -> None:
    fill(vault, 12)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    app = console()
    async with app.run_test(size=(120, 40)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "j", key)
        said = str(app.screen.query_one("#chosen", Static).visual)
        copy = vault.get(11)
        assert said.splitlines() == [
            f"From {safe(address_first(copy.record.from_))}",
            safe(copy.record.subject),
            f"Placed in Backup {full_time(copy.stored_at, TZ)}",
        ]
        await choose(pilot, "escape", "space", "space", "space", key)
        said = str(app.screen.query_one("#chosen", Static).visual)
        assert full_time(vault.get(9).stored_at, TZ) in said.splitlines()[0]
        assert full_time(vault.get(11).stored_at, TZ) in said.splitlines()[1]


async def test_deleting_one_says_so_in_the_singular(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 3)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 3)
        await choose(pilot, "d", "enter")
        assert notice(app).startswith("Marked message has been deleted. z brings it back until ")


async def test_marks_outside_the_filter_are_said_to_be(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 12)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 12)
        await choose(pilot, "space", "space", "slash", *"no-such-word", "enter", "d")
        assert "2 marked copies are outside the filter" in "\n".join(lines(app))


async def test_saving_gives_the_bytes_back(vault: Vault, console: Callable[[], MailholdApp], tmp_path: Path) -> None:
    fill(vault, 5)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 5)
        await choose(pilot, "space", "space", "s")
        app.screen.query_one("#folder", Field).value = str(tmp_path)
        await choose(pilot, "enter")
        assert notice(app).startswith("2 messages have been saved to")
        assert sorted(path.read_bytes() for path in tmp_path.glob("*.eml")) == [raw(4), raw(5)]
        assert the_list(app).marks.count == 2
        await choose(pilot, "s")
        assert app.screen.query_one("#folder", Field).value == str(tmp_path)


async def test_what_others_do_shows_while_nothing_is_pressed(
    vault: Vault, console: Callable[[], MailholdApp], open_again: Callable[[], Vault]
) -> None:
    fill(vault, 30)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 30)
        await choose(pilot, "j", "j", "space", "space")
        other = open_again()
        other.delete([29, 28], operator="bob")
        fill(other, 3, first=31)
        await loaded(pilot, 31)
        assert the_list(app).marks.included == {27}
        assert the_list(app).cursor_id == 26
        assert "31" in lines(app)[3]
        change_settings(other, Settings(relay=RELAY))
        await poll(pilot)
        assert app.cannot("deliver") is None


async def test_long_work_can_be_cancelled_half_way(
    vault: Vault, console: Callable[[], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(vault, 20)
    change_settings(vault, Settings(bin_days=0))
    app = console()
    half, go_on = threading.Event(), threading.Event()
    delete = vault.delete

    def slow(ids: list[int], **options: Any) -> Any:
        first = delete(ids[:10], **options)
        half.set()
        go_on.wait(10)
        if not options["cancelled"]():
            first.deleted += delete(ids[10:], **options).deleted
        return first

    monkeypatch.setattr(vault, "delete", slow)
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 20)
        await choose_while_running(pilot, half, "asterisk", "d", *"20", "enter")
        assert "Deleting 20 copies" in "\n".join(lines(app))
        await pilot.press("j", "k", "ctrl+x")
        await pilot.pause(0.3)
        assert "cancelling" in "\n".join(lines(app))
        go_on.set()
        await settle(pilot)
        assert notice(app) == "△ Cancelled: 10 of 20 were deleted, 10 were left as before"
        assert vault.count().messages == 10
        assert the_list(app).marks.count == 10


async def choose_while_running(pilot: Pilot[Any], reached: threading.Event, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await pilot.pause(0.1)
    for _ in range(300):
        await pilot.pause(0.01)
        if reached.is_set():
            return
    raise AssertionError("the work did not begin")


async def test_a_window_that_comes_in_the_midst_of_typing_is_not_answered_by_it(
    vault: Vault, console: Callable[[], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(vault, 12)
    looking, gate = threading.Event(), threading.Event()

    add_bin = chosen_facts.add_bin

    def slow(*what: Any) -> None:
        looking.set()
        gate.wait(10)
        add_bin(*what)

    monkeypatch.setattr("tui.console.keys.type_ahead._QUIET", 60)
    monkeypatch.setattr("tui.console.acts.chosen_facts._MANY", 0)
    monkeypatch.setattr("tui.console.acts.chosen_facts.add_bin", slow)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 12)
        await choose_while_running(pilot, looking, "asterisk", "d")
        await pilot.press("slash", "a")
        gate.set()
        for _ in range(400):
            if isinstance(app.screen, DeleteDialog):
                break
            await pilot.pause(0.01)
        await pilot.press("enter")  # a key that would delete
        assert isinstance(app.screen, DeleteDialog)
        assert not app.tasks.running and vault.count().messages == 12
        monkeypatch.setattr("tui.console.keys.type_ahead._QUIET", 0)
        await choose(pilot, "enter")
        assert vault.count().messages == 0


async def test_the_footer_promises_no_key_under_a_window(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 3)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 3)
        assert "View" in lines(app)[-1]
        await choose(pilot, "f")
        assert not app.main.footer.render().plain
        await choose(pilot, "escape")
        assert "View" in lines(app)[-1]


async def test_leaving_says_so_while_what_is_being_sent_ends(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    sent = threading.Event()

    class Worker:
        def stop(self) -> None:
            sent.wait(10)

    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app._worker = Worker()
        await pilot.press("q")
        await pilot.pause(0.1)
        assert notice(app).startswith("Finishing")
        assert app.is_running
        sent.set()
        for _ in range(300):
            if not app.is_running:
                break
            await asyncio.sleep(0.01)
        assert not app.is_running


async def test_the_settings_hold_before_the_first_poll(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    change_settings(vault, Settings(relay=RELAY))
    assert console().context.settings.relay == RELAY


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_leaving_asks_while_work_runs(
    vault: Vault, console: Callable[[], MailholdApp], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    fill(vault, 5)
    change_settings(vault, Settings(bin_days=0))
    app = console()
    reached = threading.Event()

    def slow(ids: list[int], **options: Any) -> Any:
        reached.set()
        while not options["cancelled"]():
            threading.Event().wait(0.005)
        return type(vault).delete(vault, [], **options)

    monkeypatch.setattr(vault, "delete", slow)
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 5)
        await choose_while_running(pilot, reached, "d", "1", "enter")
        await pilot.press(key)
        await pilot.pause()
        assert "A task is running" in "\n".join(lines(app))
        await pilot.press("escape")
        await pilot.pause()
        assert app.is_running
        await pilot.press("ctrl+x")
        await settle(pilot)
        await pilot.press("q")
        await pilot.pause()
    assert app.return_code == 0


async def test_no_palette_opens_over_a_window(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 3)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 3)
        await choose(pilot, "d")
        window = app.screen
        await choose(pilot, "ctrl+p", "f2")
        assert app.screen is window
        await choose(pilot, "escape", "ctrl+p")
        assert CommandPalette.is_open(app)


async def test_a_store_that_goes_away_is_a_notice(
    vault: Vault, console: Callable[[], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(vault, 5)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 5)

        def gone() -> object:
            raise StoreUnavailable("The store cannot be reached: it is locked.")

        monkeypatch.setattr(vault, "change_token", gone)
        await poll(pilot)
        assert "The store cannot be reached" in notice(app)
        assert the_list(app).count == 5


async def test_settings_that_were_tampered_with_are_said_to_be_and_the_list_goes_on(
    vault: Vault, console: Callable[[], MailholdApp], open_again: Callable[[], Vault]
) -> None:
    change_settings(vault, Settings(relay=RELAY))
    fill(vault, 5)
    app = console()
    async with app.run_test(size=(160, 30)) as pilot:
        await loaded(pilot, 5)
        other = open_again()
        other.models.Configuration.update(sealed=b"x" * 60).execute()
        fill(other, 2, first=6)
        await loaded(pilot, 7)
        assert "tampered" in notice(app)


async def test_copies_that_do_not_verify_are_counted(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 5)
    vault.models.Message.update(record=b"x" * 200).where(vault.models.Message.id == 3).execute()
    app = console()
    async with app.run_test(size=(160, 30)) as pilot:
        await loaded(pilot, 4)
        await poll(pilot)
        assert "1 message copy is damaged or tampered with" in notice(app)


def test_a_defect_shows_a_sentence_and_no_message_text(
    vault: Vault, console: Callable[[], MailholdApp], capsys: pytest.CaptureFixture[str]
) -> None:
    fill(vault, 5)
    app = console()

    def defect() -> None:
        subject = "SECRET SUBJECT"
        raise RuntimeError(subject)

    app.call_later(defect)
    app.run(headless=True)
    said = capsys.readouterr().err
    assert app.return_code == 1
    assert "RuntimeError" in said and "SECRET" not in said and "Traceback" not in said


async def test_every_place_of_the_tree_opens(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 5)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 5)
        for key, place in zip("136792", ("monitoring", "queue", "events", "settings", "bin", "backup"), strict=True):
            await choose(pilot, key)
            assert app.main.places.place == place
            assert app.main.places.page.display and app.main.focused is not None
        await choose(pilot, "tab", "left", "left")
        assert not app.main.console_tree.expanded
        await choose(pilot, "right", "up", "enter")
        assert app.main.places.place == "monitoring"


async def test_the_view_opens_and_comes_back_to_its_row(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 9)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 9)
        await choose(pilot, "j", "enter")
        assert app.main.places.page is not app.main.backup
        await choose(pilot, "n", "n")
        await choose(pilot, "escape")
        assert app.main.places.page is app.main.backup
        assert the_list(app).has_focus and the_list(app).cursor_id == 6


async def test_deleting_in_the_view_goes_back_to_the_list(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    fill(vault, 9)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 9)
        await choose(pilot, "enter")
        await choose(pilot, "d")
        await choose(pilot, "enter")
        assert app.main.places.page is app.main.backup
        assert notice(app).startswith("Marked message has been deleted. z brings it back until ")
        assert 9 not in vault.ids()


async def test_backup_settings_open_from_backup(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await choose(pilot, "B")
        app.screen.query_one("#notify_below", Field).value = "250 MB"
        await choose(pilot, "enter")
        assert read_settings(vault).notify_below == 250 * 1024 * 1024
        assert "Backup settings have been changed" in notice(app)


async def test_narrow_terminals_show_the_tree_while_it_is_used(
    vault: Vault, console: Callable[[], MailholdApp]
) -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert not app.main.console_tree.display
        await choose(pilot, "tab")
        assert app.main.console_tree.display and app.main.console_tree.has_focus
        await choose(pilot, "enter")
        assert not app.main.console_tree.display and the_list(app).has_focus
        await choose(pilot, "b")
        assert app.main.console_tree.display and the_list(app).has_focus
        await choose(pilot, "b")
        assert not app.main.console_tree.display


async def test_narrow_terminals_do_not_show_the_tree_for_a_moment_at_the_start(
    vault: Vault, console: Callable[[], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, shown = MainScreen._fit_tree, list[bool]()

    def watched(screen: MainScreen) -> None:
        fit(screen)
        shown.append(screen.console_tree.display)

    monkeypatch.setattr(MainScreen, "_fit_tree", watched)
    async with console().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert shown and not any(shown)


async def test_the_age_of_the_oldest_copy_grows_though_nothing_changes(
    vault: Vault, console: Callable[[], MailholdApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "_LOOK", 0.01)
    vault.put(raw(1), sample(6), stored_at=NOW)
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await poll(pilot)
        before, later = app.main.status.oldest, app.context.clock() + 400 * 86_400_000
        assert before
        app.context.clock = lambda: later
        for _ in range(200):
            await settle(pilot)
            if app.main.status.oldest != before:
                break
            await asyncio.sleep(0.01)
        assert app.main.status.oldest != before


async def test_why_a_key_did_nothing_is_not_said_on_the_next_page(
    vault: Vault, console: Callable[[], MailholdApp]
) -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.notice("No campaign is selected.", severity="refusal")
        await choose(pilot, "3")
        assert not app.main.notice_line.display
        app.notice("Marked message has been deleted.")
        await choose(pilot, "2")
        assert app.main.notice_line.display


async def test_hide_at_the_right_of_a_notice_hides_it_and_the_notice_does_not(
    vault: Vault, console: Callable[[], MailholdApp]
) -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.notice("Marked messages have been deleted.")
        await settle(pilot)
        assert lines(app)[1].rstrip().endswith("  Hide")
        await pilot.click(offset=(lines(app)[1].index("Marked") + 1, 1))
        await settle(pilot)
        assert notice(app) == "Marked messages have been deleted."
        await pilot.click("#notice-hide", offset=(3, 0))
        await settle(pilot)
        assert notice(app) == "" and "Hide" not in lines(app)[1]


async def test_what_is_copied_is_safe(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    vault.put(raw(1), sample(6), stored_at=NOW)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 1)
        await choose(pilot, "y", "s")
        assert app.clipboard.startswith("Bad ")
        assert "\x1b" not in app.clipboard and "\u202e" not in app.clipboard


async def test_the_identifiers_of_a_loaded_list_can_be_copied(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    """The list leaves them out, because they take long to read."""
    for number in (1, 2):
        vault.put(raw(number), sample(number), stored_at=NOW)
    app = console()
    async with app.run_test(size=(120, 30)) as pilot:
        await loaded(pilot, 2)
        while (pages := the_list(app).pages) is None or not isinstance(pages.result, FrameSelection):
            await poll(pilot)
        await choose(pilot, "down", "y", "m")
        assert app.clipboard == sample(1).message_id
        await choose(pilot, "y", "a")
        assert app.clipboard == sample(1).mta_message_id


async def test_themes_go_round(vault: Vault, console: Callable[[], MailholdApp]) -> None:
    app = console()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        seen = []
        for _ in range(3):
            await choose(pilot, "ctrl+l")
            seen.append(app.theme)
        assert seen == ["mailhold-light", "mailhold-16", "mailhold-dark"]
