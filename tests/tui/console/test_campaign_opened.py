"""An opened campaign: its copies with the odd ones first, comparing, peeling off, joining, and marks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from store.authority.audit import events
from store.campaigns import marks
from store.campaigns.marks import State, read_marks
from store.campaigns.oddness import Reason
from store.campaigns.reading import StandingReader
from store.campaigns.standing import Campaign
from store.terms.records import Row
from store.vault.vault import Vault
from tests.tui.console.campaign_data import NOW, campaign, make_wave_store, odd, wave_console, wave_vault
from tests.tui.console.driven import lines, poll, settle, the_list
from tui.console.acts.campaigning import typical_copy
from tui.console.app import MailholdApp
from tui.console.campaign_facts import facts_of
from tui.console.dialogs.campaign import CampaignTextDialog
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.delete_campaigns import DeleteCampaignsDialog
from tui.console.screens.campaign import CampaignView
from tui.console.screens.campaigns import CampaignsView
from tui.console.screens.compare import CompareView
from tui.console.screens.message import MessageView
from tui.console.text import campaign_copies as made_lines
from tui.console.text.campaign_copies import CopyLines, order_of
from tui.console.text.campaign_detail import CampaignFacts
from tui.console.text.campaign_rows import CampaignRow, campaign_of


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wave")
    make_wave_store(folder)
    return folder


@pytest.fixture
def vault(made: Path, tmp_path: Path) -> Iterator[Vault]:
    with wave_vault(made, tmp_path) as opened:
        yield opened


@pytest.fixture
def console(vault: Vault) -> MailholdApp:
    return wave_console(vault)


def text(app: MailholdApp) -> str:
    return "\n".join(lines(app))


async def until(pilot: Pilot[None], *words: str, gone: str = "") -> None:
    for _ in range(1000):
        await settle(pilot)
        now = text(pilot.app)
        if all(word in now for word in words) and not (gone and gone in now):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(text(pilot.app))


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def with_odd(app: MailholdApp) -> Campaign:
    """Return the wave's campaign that has odd copies, and an act."""
    return next(one for one in app.catalogue.standing.campaigns if one.odd and one.rank.offered and one.copies)


async def opened(pilot: Pilot[None], number: int) -> CampaignView:
    """Open a campaign from the list with its keys."""
    app = pilot.app
    await settle(pilot)
    await press(pilot, "8")
    await until(pilot, "campaigns")
    view = app.main.places.page
    at = next(at for at, row in enumerate(view.items) if isinstance(row, CampaignRow) and row.campaign.id == number)
    await press(pilot, *["j"] * at, "enter")
    await until(pilot, "copies")
    page = app.main.places.page
    assert isinstance(page, CampaignView) and page.campaign_id == number
    return page


def test_the_odd_ones_come_first_the_gravest_before_the_others_then_the_least_alike() -> None:
    one = campaign(1, 4, fits=bytes([100, 71, 100, 90]), odd=(odd(5), odd(7, Reason.KNOWN), odd(9, Reason.REPLY)))
    order = order_of(one)
    assert order.ids == [9, 7, 5, 1001, 1003, 1000, 1002] and order.odd == 3
    assert [order.copy_at(line) for line in range(9)] == [9, 7, 5, None, 1001, 1003, 1000, 1002, None]
    assert [order.line_of(place) for place in range(7)] == [0, 1, 2, 4, 5, 6, 7] and order.lines == 8


def test_a_typical_copy_is_one_of_those_that_fit_best() -> None:
    one = campaign(1, 4, fits=bytes([100, 71, 100, 90]), odd=(odd(5),))
    assert typical_copy(one) == 1002 and typical_copy(one, {1002, 1000}) == 1003
    assert typical_copy(one, {1000, 1001, 1002, 1003}) == 5 and typical_copy(one, {5, *one.copies}) is None


def test_the_campaign_of_a_copy_is_found_where_it_is_odd_too(console: MailholdApp) -> None:
    standing = console.catalogue.standing
    for one in standing.campaigns:
        for copy in (*one.copies[:3], *(each.copy for each in one.odd)):
            assert campaign_of(standing, copy) is one
    rest = set(range(1, 301)) - set(standing.placed.copies)
    assert rest and all(campaign_of(standing, copy) is None for copy in rest)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 40)])
async def test_it_shows_all_copies_and_says_what_the_odd_ones_differ_in(
    console: MailholdApp, size: tuple[int, int]
) -> None:
    one = with_odd(console)
    async with console.run_test(size=size) as pilot:
        page = await opened(pilot, one.id)
        total = len(one.copies) + len(one.odd)
        await until(pilot, f"{total} copies, {len(one.odd)} odd", "here wrote to", "The other")
        assert page.list.has_focus and page.current == order_of(one).ids[0]
        assert page._read.order.ids == order_of(one).ids
        await press(pilot, "G")
        await until(pilot, f"{max(one.fits)} %")


async def test_the_list_behind_it_does_not_take_its_facts_away(
    console: MailholdApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, asked = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> CampaignFacts:
        asked.set()
        assert found.wait(30)
        return facts_of(*arguments)

    monkeypatch.setattr("tui.console.screens.campaign.facts_of", slowly)
    async with console.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        await until(pilot, "campaigns")
        behind = console.main.places.page
        assert isinstance(behind, CampaignsView)
        await pilot.press("enter")
        assert await asyncio.to_thread(asked.wait, 30)
        page = console.main.places.page
        assert isinstance(page, CampaignView)
        behind._facts.clear()
        behind._facts_of(with_odd(console))
        await asyncio.sleep(0.5)
        found.set()
        await until(pilot, "of its")
        assert page._facts is not None


async def test_odd_copies_are_seen_once_they_were_drawn(console: MailholdApp) -> None:
    one = with_odd(console)
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert not console.context.seen_odd
        await opened(pilot, one.id)
        await until(pilot, "The other")
        assert console.context.seen_odd == {each.copy for each in one.odd}


async def test_enter_views_a_copy_and_its_neighbours_are_those_of_the_campaign(console: MailholdApp) -> None:
    one = with_odd(console)
    ids = order_of(one).ids
    async with console.run_test(size=(80, 24)) as pilot:
        page = await opened(pilot, one.id)
        await press(pilot, "enter")
        view = console.main.places.page
        assert isinstance(view, MessageView) and view.copy_id == ids[0]
        await press(pilot, *["n"] * len(one.odd))
        assert view.copy_id == ids[len(one.odd)]
        await press(pilot, "c")
        assert console.main.places.page is page and page.current == ids[len(one.odd)]
        await press(pilot, "escape")
        assert isinstance(console.main.places.page, CampaignsView)


async def test_c_in_the_message_list_opens_the_campaign_at_the_copy(console: MailholdApp) -> None:
    standing = console.catalogue.standing
    async with console.run_test(size=(100, 30)) as pilot:
        await until(pilot, "300 copies")
        messages = console.main.backup.list
        wanted = 0
        while campaign_of(standing, messages.cursor_id) is None:
            await press(pilot, "j")
            wanted += 1
        copy = messages.cursor_id
        await press(pilot, "c")
        await until(pilot, "copies", "Seed")
        page = console.main.places.page
        assert isinstance(page, CampaignView) and page.current == copy
        await press(pilot, "escape")
        assert console.main.places.page is console.main.backup


async def test_c_on_a_copy_of_no_campaign_says_so(console: MailholdApp) -> None:
    standing = console.catalogue.standing
    async with console.run_test(size=(100, 30)) as pilot:
        await until(pilot, "300 copies")
        while campaign_of(standing, console.main.backup.list.cursor_id) is not None:
            await press(pilot, "j")
        await press(pilot, "c")
        await until(pilot, f"Copy {console.main.backup.list.cursor_id} is in no campaign.")


async def test_a_click_marks_a_copy_and_a_double_click_views_it(console: MailholdApp) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, one.id)
        await pilot.click(page.list, offset=(0, 1))
        await settle(pilot)
        assert page.marked == {order_of(one).ids[1]} and "● 1 of" in text(console)
        await pilot.click(page.list, offset=(20, 0), times=2)
        await settle(pilot)
        assert isinstance(console.main.places.page, MessageView)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 40)])
async def test_a_copy_is_shown_beside_a_typical_one(console: MailholdApp, size: tuple[int, int]) -> None:
    one = with_odd(console)
    ids = order_of(one).ids
    async with console.run_test(size=size) as pilot:
        await opened(pilot, one.id)
        await press(pilot, "right_square_bracket")
        await until(pilot, f"Copy {ids[0]} and typical copy {typical_copy(one)}", "From", "Subject")
        await press(pilot, "right_square_bracket")
        await until(pilot, f"Copy {ids[1]} and typical copy")
        await press(pilot, "left_square_bracket", "left_square_bracket")
        await until(pilot, "This is the first copy.", f"Copy {ids[0]} and typical copy")
        await press(pilot, "G")
        await until(pilot, "sentence")
        assert "\x1b" not in text(console)
        await press(pilot, "escape")
        assert isinstance(console.main.places.page, CampaignView)


async def test_a_copy_that_is_gone_cannot_be_compared_and_that_is_said(console: MailholdApp) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        await opened(pilot, one.id)
        console.vault.delete([typical_copy(one)])
        await press(pilot, "right_square_bracket")
        await until(pilot, "One of the two copies is no longer in Backup.")
        assert isinstance(console.main.places.page, CompareView)


async def test_peeling_off_asks_and_takes_the_copies_out_for_good(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    fine = order_of(one).ids[len(one.odd)]
    async with console.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, one.id)
        await press(pilot, *["j"] * (len(one.odd) + 1))
        assert page.current == fine
        await press(pilot, "p")
        assert isinstance(console.screen, ConfirmDialog) and "Peel this copy off campaign" in console.screen.question
        await press(pilot, "escape")
        assert not read_marks(vault)[0].peeled
        await press(pilot, "p", "enter")
        await until(pilot, f"1 copy peeled off campaign {one.id}; z undoes this")
        [peeled] = read_marks(vault)[0].peeled
        assert peeled.campaign == one.id and peeled.copies == (fine,) and peeled.stays == typical_copy(one, {fine})
        assert events(vault)[0].operator == "ada"
        await poll(pilot)
        standing = StandingReader(vault).read()
        again = standing.campaign(one.id)
        assert again is not None and fine not in again.copies
        await press(pilot, "z", "enter")
        await until(pilot, "Undone")
        assert not read_marks(vault)[0].peeled


async def test_the_odd_ones_and_the_marked_ones_are_peeled_off(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    ids = order_of(one).ids
    async with console.run_test(size=(100, 30)) as pilot:
        await opened(pilot, one.id)
        await press(pilot, "P")
        assert f"the {len(one.odd)} odd cop" in console.screen.question
        await press(pilot, "enter")
        await until(pilot, "peeled off campaign")
        assert {copy for each in read_marks(vault)[0].peeled for copy in each.copies} == {each.copy for each in one.odd}
        await poll(pilot)
        page = console.main.places.page
        first, second = page._read.order.ids[-2:]
        await press(pilot, "G", "space", "k", "k", "space")
        await settle(pilot)
        assert len(page.marked) == 2 and page.marked & {first, second}
        await press(pilot, "p", "enter")
        await until(pilot, "2 copies peeled off campaign")
        assert not set(ids[:1]) - set(ids)


async def test_names_owners_states_and_notes_are_written_and_told(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)

    def said() -> marks.Mark:
        return read_marks(vault)[0].of(one.id)

    async with console.run_test(size=(100, 30)) as pilot:
        await opened(pilot, one.id)
        await press(pilot, "e")
        assert isinstance(console.screen, CampaignTextDialog)
        await press(pilot, *"Invoices", "enter")
        await until(pilot, "is called Invoices now")
        await press(pilot, "n", *"mine", "enter")
        await until(pilot, f"Note on campaign {one.id} saved")
        await press(pilot, "o", "enter")
        await until(pilot, f"Campaign {one.id} is yours now")
        assert said() == marks.Mark(one.id, "Invoices", "ada", State.OPEN, "mine")
        await press(pilot, "x", "enter")
        await until(pilot, f"Campaign {one.id} is done now")
        await press(pilot, "o", "enter")
        await until(pilot, f"Nobody works on campaign {one.id} now")
        assert said() == marks.Mark(one.id, "Invoices", "", State.DONE, "mine")
        await press(pilot, "e", *["backspace"] * 8, "enter")
        await until(pilot, f"Campaign {one.id} has no name now")


async def test_a_name_that_is_too_long_stays_in_its_window(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        await opened(pilot, one.id)
        await press(pilot, "e")
        console.screen.query_one("#text").value = "x" * 61
        await press(pilot, "enter")
        await until(pilot, "At most 60 characters are possible; this has 61.")
        assert isinstance(console.screen, CampaignTextDialog) and not read_marks(vault)[0].marks


async def test_acting_on_a_colleagues_campaign_is_warned_of(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    marks.own(vault, one.id, "eve", operator="eve")
    async with console.run_test(size=(100, 30)) as pilot:
        await opened(pilot, one.id)
        for key in ("p", "P", "x", "o"):
            await press(pilot, key)
            assert console.screen.warning == "eve works on it."
            await press(pilot, "escape")
        await press(pilot, "e")
        assert console.screen.warning == "eve works on it."


async def test_what_a_colleague_says_is_seen(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, one.id)
        marks.own(vault, one.id, "eve", operator="eve")
        marks.name(vault, one.id, "The invoices", operator="eve")
        await until(pilot, "The invoices", "of eve", "open")
        assert page.campaign.mark.owner == "eve"


async def test_marked_campaigns_are_joined_to_the_eldest_and_parted_again(console: MailholdApp, vault: Vault) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        await until(pilot, "campaigns")
        await press(pilot, "space", "space", "m")
        view = console.main.places.page
        young, old = max(view.marked), min(view.marked)
        assert f"Join campaign {young}" in console.screen.question and f"to campaign {old}" in console.screen.question
        await press(pilot, "enter")
        await until(pilot, f"Campaign {young} was joined to campaign {old}")
        assert read_marks(vault)[0].of(young).into == old
        await poll(pilot)
        joined = console.catalogue.standing.campaign(young)
        assert joined is not None and joined.id == old and young in joined.parts
        await press(pilot, "ctrl+t", "g", "m")
        assert f"Separate campaign {young} from" in console.screen.question
        await press(pilot, "enter")
        await until(pilot, f"Campaign {young} stands alone again")
        assert read_marks(vault)[0].of(young).into == 0


async def test_several_are_joined_in_one_act_which_is_taken_back_as_one(console: MailholdApp, vault: Vault) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        await until(pilot, "campaigns")
        await press(pilot, "space", "space", "space", "m")
        young = sorted(console.main.places.page.marked)[1:]
        assert len(young) == 2 and "Join 2 campaigns to" in console.screen.question
        await press(pilot, "enter")
        await until(pilot, "2 campaigns were joined")
        assert {one.campaign for one in read_marks(vault)[0].marks if one.into} == set(young)
        await press(pilot, "z", "enter")
        await until(pilot, "Undone")
        assert not any(one.into for one in read_marks(vault)[0].marks)


async def test_no_act_is_offered_on_what_is_listed_by_sender(console: MailholdApp, vault: Vault) -> None:
    small = next(one for one in console.catalogue.standing.campaigns if not one.rank.offered)
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        console.open_campaign(small.id)
        await until(pilot, "copies")
        await press(pilot, "d")
        await until(pilot, "This campaign may contain good mail")
        assert vault.count().messages == 300


async def test_the_first_act_shows_the_odd_ones_and_the_second_one_asks(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        await until(pilot, "campaigns")
        view = console.main.places.page
        at = next(at for at, row in enumerate(view.items) if row.campaign.id == one.id)
        await press(pilot, *["j"] * at, "d")
        await until(pilot, "not been viewed yet")
        page = console.main.places.page
        assert isinstance(page, CampaignView) and page.current == order_of(one).ids[0]
        await press(pilot, "d")
        assert isinstance(console.screen, DeleteCampaignsDialog)
        await press(pilot, "enter")
        await until(pilot, "have been deleted", gone="Deleting")
        assert not vault.present(one.copies) and len(vault.present([each.copy for each in one.odd])) == len(one.odd)
        await press(pilot, "z", "enter")
        await until(pilot, "Undone")
        assert len(vault.present(one.copies)) == len(one.copies)


async def test_the_sure_ones_are_marked_alone(console: MailholdApp, vault: Vault) -> None:
    standing = console.catalogue.standing
    sure = {one.id for one in standing.campaigns if one.rank.sure and not one.odd}
    theirs, *_ = sure
    one = with_odd(console)
    assert one.rank.sure
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "8")
        await until(pilot, "campaigns")
        view = console.main.places.page
        await press(pilot, "asterisk")
        assert view.marked == sure
        marks.own(vault, theirs, "eve", operator="eve")
        await poll(pilot)
        await until(pilot, "campaigns")
        console.context.seen_odd.update(each.copy for each in one.odd)
        await press(pilot, "asterisk")
        assert view.marked == sure - {theirs} | {one.id}
        await press(pilot, "ctrl+t")
        assert not view.marked


async def test_a_cleared_campaign_of_which_odd_copies_are_left_is_marked_no_more(
    console: MailholdApp, vault: Vault
) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        console.context.seen_odd.update(each.copy for each in one.odd)
        await press(pilot, "8")
        await until(pilot, "campaigns")
        view = console.main.places.page
        other = next(row.campaign.id for row in view.items if row.campaign.rank.sure and row.campaign.id != one.id)
        view.marked.update([one.id, other])
        await press(pilot, "d")
        await until(pilot, "They go to the bin")
        await press(pilot, "enter")
        await until(pilot, "have been deleted")
        for _ in range(1000):  # The rows are reread only occasionally.
            await poll(pilot)
            if not view.marked:
                break
            await asyncio.sleep(0.01)
        assert not view.marked and any(row.campaign.id == one.id for row in view.items)


async def test_marked_copies_are_delivered_from_the_campaign(console: MailholdApp) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        await opened(pilot, one.id)
        await press(pilot, "r")
        await until(pilot, "No relay is set")


@pytest.mark.parametrize("soon", [True, False], ids=["soon", "late"])
async def test_keys_wait_until_the_campaign_is_read_and_nothing_untrue_is_said(
    console: MailholdApp, monkeypatch: pytest.MonkeyPatch, soon: bool
) -> None:
    one = with_odd(console)
    read, said = threading.Event(), []
    in_order, notice = made_lines.order_of, console.notice
    monkeypatch.setattr(made_lines, "order_of", lambda campaign: read.wait(30) and in_order(campaign))
    monkeypatch.setattr(console, "notice", lambda words, **how: said.append(words) or notice(words, **how))
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await until_at(pilot, one.copies[0])
        console.simulate_key("c")
        await asyncio.sleep(0.05)
        keys = ("f5", "r") if soon else ("p", "d", "right_square_bracket")
        for key in keys:
            console.simulate_key(key)
            await asyncio.sleep(0.05 if soon else 1.2)
        assert isinstance(console.main.places.page, CampaignView) and not isinstance(console.screen, ConfirmDialog)
        if soon:
            assert not said
        else:
            assert set(said) == {"The campaign is still being read."} and len(said) == len(keys)
            said.clear()
        read.set()
        if not soon:
            await until(pilot, "copies")
            await press(pilot, "r")
        await until(pilot, "No relay is set")
        assert len(said) == 1


async def test_a_campaign_is_not_called_gone_while_the_catalogue_is_loading(
    console: MailholdApp, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = with_odd(console)
    async with console.run_test(size=(100, 30)) as pilot:
        page = await opened(pilot, one.id)
        monkeypatch.setattr(type(console.catalogue), "complete", False)
        vault.delete([*one.copies, *(each.copy for each in one.odd)])
        await poll(pilot)
        await until(pilot, "The campaign is still being read.")
        monkeypatch.undo()
        page.refresh_data()
        await until(pilot, "No copies of this campaign are in Backup any more.")


async def until_at(pilot: Pilot[None], copy_id: int) -> None:
    """Move the list's cursor to a copy."""
    app = pilot.app
    the_list(app).cursor = app.main.backup.list.pages.result.position(copy_id)
    await settle(pilot)
    assert the_list(app).cursor_id == copy_id


async def test_a_campaign_that_is_gone_says_so(console: MailholdApp, vault: Vault) -> None:
    one = with_odd(console)
    async with console.run_test(size=(80, 24)) as pilot:
        await opened(pilot, one.id)
        vault.delete([*one.copies, *(each.copy for each in one.odd)])
        await poll(pilot)
        await until(pilot, "No copies of this campaign are in Backup any more.")
        await press(pilot, "d", "p", "right_square_bracket")
        await press(pilot, "escape")
        assert isinstance(console.main.places.page, CampaignsView)


def test_the_columns_of_odd_copies_are_straight_and_those_of_the_others() -> None:
    one = campaign(1, odd=(odd(5, Reason.CONTENT), odd(6, Reason.KNOWN, Reason.CONTENT, Reason.ORIGIN)))
    order = order_of(one)
    rows = [Row(copy, NOW, None, None, "w@" * 60, "", "s" * 120, 1, 0, "", "", dangerous=False) for copy in order.ids]
    for width in (57, 79, 133):
        made = CopyLines(order, rows.__getitem__, (), NOW, UTC, width)
        shown = ["".join(span.text for span in line) for line in made]
        assert {len(line) for line in shown} == {width}
        for part in (shown[:2], shown[3:]):
            assert len({line.index("ss") for line in part}) == 1
