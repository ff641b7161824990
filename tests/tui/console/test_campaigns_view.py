"""Campaigns: the columns of the list, related ones, copies in none, and the page of the one at the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path

import pytest
from textual.pilot import Pilot

from store.campaigns import marks
from store.campaigns.grouping import Why
from store.campaigns.keys import Kind, key_of
from store.campaigns.marks import Mark
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from store.catalogue import newest
from store.catalogue.catalogue import Catalogue
from store.catalogue.summary import Sender, Summary
from store.filters.line import parse
from store.filters.model import MessageFilter, Term
from store.filters.printing import print_filter
from store.terms.sender import sender_of
from store.terms.verdicts import Engine, Status
from store.vault.vault import Vault
from tests.tui.console.campaign_data import NOW, campaign, make_wave_store, odd, wave_console, wave_vault
from tests.tui.console.driven import lines, poll, settle
from tests.tui.console.fakes import sample
from tui.console import campaign_reading
from tui.console.acts.senders import left_filter
from tui.console.app import MailholdApp
from tui.console.campaign_reading import CampaignsReader, summary_words
from tui.console.screens.campaigns import CampaignsView
from tui.console.text import campaign_detail as detail
from tui.console.text.campaign_lines import ListLines, heading, rate_words
from tui.console.text.campaign_rows import CampaignRow, DividerRow, SenderRow, in_order
from tui.terminal.lines import Line
from tui.terminal.widths import cell_len

SPAM = (Engine.ANTI_SPAM, Status.SPAM)
SUMMARY = Summary(20, 12, 18, ((*SPAM, 20),), NOW - 7_200_000, NOW - 60_000, 90, 0)


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


def page(app: MailholdApp) -> CampaignsView:
    shown = app.main.places.page
    assert isinstance(shown, CampaignsView)
    return shown


def plain(found: Line) -> str:
    return "".join(span.text for span in found)


def test_related_campaigns_come_behind_the_eldest_and_say_what_they_share() -> None:
    kit = Why(2, key_of(Kind.KIT, "the kit"), 20, 0)
    young, other, old = (campaign(7, evidence=(kit,)), campaign(5), campaign(3, evidence=(kit,)))
    found = in_order([young, other, old], dict.fromkeys((7, 5, 3), SUMMARY))
    assert [(row.campaign.id, row.related, row.elder) for row in found] == [
        (3, "", 0),
        (7, "same kit", 3),
        (5, "", 0),
    ]


def test_a_key_that_few_of_its_copies_have_relates_no_campaigns() -> None:
    rare, common = Why(2, key_of(Kind.KIT, "the kit"), 3, 0), Why(2, key_of(Kind.KIT, "the kit"), 20, 0)
    sender = Why(2, key_of(Kind.DOMAIN, "example.org"), 20, 0)
    first, second = campaign(1, evidence=(rare, sender)), campaign(2, evidence=(common, sender))
    assert all(not row.related for row in in_order([first, second], dict.fromkeys((1, 2), SUMMARY)))


def test_those_that_no_act_is_offered_for_or_that_are_gone_are_left_out() -> None:
    small, gone, only_odd = campaign(1, rank=Rank.SMALL), campaign(2), campaign(3)
    summaries = {1: SUMMARY, 2: Summary(), 3: Summary(odd=2)}
    assert [row.campaign.id for row in in_order([small, gone, only_odd], summaries)] == [3]


@pytest.mark.parametrize("width", [57, 73, 78, 92, 133, 160])
def test_every_line_fills_the_width_and_no_more(width: int) -> None:
    hostile = campaign(1, title="\x1b[2J\u202e[bold]支付 \x07" * 9, mark=Mark(1, owner="eve\x1b[31m\u202e"))
    sender = Sender("\x1b]0;x\x07a@evil.example" * 4, 2, 1, 2, ((*SPAM, 2),), 9, NOW, "\x1b[31m支付")
    rows = [
        CampaignRow(hostile, SUMMARY._replace(copies=999_999, odd=1_234)),
        CampaignRow(campaign(2), SUMMARY, 1, "same kit"),
        CampaignRow(campaign(3), Summary(odd=3)),
        DividerRow(1_110, 903),
        SenderRow(sender, 0, written_to=4, listed=True),
        SenderRow(sender, 1, alike="riosol.example"),
    ]
    shown = [plain(found) for found in ListLines(rows, {1}, NOW, UTC, width)]
    assert all(cell_len(found) == width for found in shown), [cell_len(found) for found in shown]
    assert cell_len(heading(width)) <= width
    assert not any(sign in "".join(shown) for sign in "\x1b\x07\u202e")
    assert shown[0].startswith("● ○") and shown[3].startswith("──── In no campaign: 1,110 copies of 903 senders ─")


def test_the_rate_is_that_of_the_last_hour() -> None:
    assert [rate_words(copies) for copies in (0, 1, 30, 7200)] == ["–", "1", "30", "7,200"]


def test_what_speaks_against_is_said() -> None:
    one = campaign(
        1,
        rank=Rank.CAREFUL,
        fits=bytes([71] + [100] * 19),
        odd=(odd(5, Reason.KNOWN, Reason.CONTENT), odd(6, Reason.KNOWN)),
        seed=Why(0, key_of(Kind.SUBJECT, "x"), 20, 400),
    )
    row = CampaignRow(one, SUMMARY._replace(odd=2, verdicts=((*SPAM, 18), (Engine.ANTI_SPAM, Status.MASSMAIL, 2))))
    said = " ".join(words for words, _ in detail.against(row))
    for words in (
        "answer messages",
        "2 odd copies, left out of every act: known sender 2",
        "400 copies outside",
        "1 copy fit below 75 %, the worst at 71 %",
        "2 Massmail",
    ):
        assert words in said
    assert not list(detail.against(CampaignRow(campaign(2), SUMMARY)))


def test_a_campaign_in_stolen_threads_says_so() -> None:
    row = CampaignRow(campaign(1, rank=Rank.THREADS), SUMMARY)
    assert "in stolen threads" in plain(ListLines([row], (), NOW, UTC, 100)[0])
    assert any("real answers may be among them" in words for words, _ in detail.against(row))


def test_what_nobody_would_guess_is_told_truly() -> None:
    row = CampaignRow(campaign(1), SUMMARY)

    def told(*facts: int) -> str:
        shown = detail.overview_lines(row, detail.CampaignFacts(*facts), NOW, UTC, 100)
        return "\n".join(map(plain, shown))

    assert "nobody here wrote to any of its 4,485 senders; none was delivered" in told(4485, 0, 0, 0)
    sampled = detail.CampaignFacts(41_012, 0, 0, 0, looked_up=3_000)
    shown = "\n".join(map(plain, detail.overview_lines(row, sampled, NOW, UTC, 100)))
    assert "nobody here wrote to any of its 41,012 senders (3,000 looked up)" in shown
    nothing = detail.CampaignFacts(4485, 0, 0, 0, counted=False)
    shown = "\n".join(map(plain, detail.overview_lines(row, nothing, NOW, UTC, 100)))
    assert "not known if anyone here wrote to any of its 4,485 senders; none was delivered" in shown
    warned = told(4485, 3, 1, 12)
    assert "▲ 3 of its 4,485 senders were written to from here" in warned
    assert "▲ mail from 1 sender was let through before" in warned and "▲ 12 copies were delivered" in warned
    assert "nobody here" not in warned and "none was" not in warned


def test_the_texts_of_the_evidence_are_in_one_column() -> None:
    many = Why(0, key_of(Kind.SUBJECT, "subject 1"), 12_747, 110_726)
    kit = key_of(Kind.KIT, "kit 1")
    one = campaign(1, 12_747, seed=many, evidence=(many, Why(2, kit, 20, 1)))
    said = [plain(line) for line in detail.overview_lines(CampaignRow(one, SUMMARY), None, NOW, UTC, 120)]
    seed, origin = (next(line for line in said if line.startswith(label)) for label in ("Seed", "Origin"))
    assert seed.index('subject "') == origin.index('kit "')


def test_letters_are_told_by_their_subjects_without_numbers() -> None:
    found = detail.letters_of([("Invoice 12 overdue", 3), ("INVOICE 7 overdue", 2), ("Last call", 1)])
    assert found == [("Invoice # overdue", 5), ("Last call", 1)]


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (100, 30), (160, 40)])
async def test_it_lists_the_campaigns_in_the_order_of_their_acts_and_then_the_senders(
    console: MailholdApp, size: tuple[int, int]
) -> None:
    standing = console.catalogue.standing
    offered = [one for one in standing.campaigns if one.rank.offered]
    async with console.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("8")
        await until(pilot, f"{len(offered)} campaigns")
        rows = page(console).items
        assert {row.campaign.id for row in rows if isinstance(row, CampaignRow)} == {one.id for one in offered}
        copies = sum(row.summary.copies for row in rows if isinstance(row, CampaignRow))
        left = next(row for row in rows if isinstance(row, DividerRow))
        assert copies + left.copies == console.vault.count().messages
        assert sum(row.sender.copies for row in rows if isinstance(row, SenderRow)) == left.copies
        await until(pilot, "Senders", "not known if anyone here wrote to")
        await pilot.press("G")
        await until(pilot, "Known")


async def test_the_tree_counts_what_an_act_is_offered_for(console: MailholdApp) -> None:
    standing = console.catalogue.standing
    async with console.run_test(size=(120, 30)) as pilot:
        await until(pilot, "Campaigns")
        offered = sum(one.rank.offered for one in standing.campaigns)
        [line] = [line for line in lines(console) if line.strip().startswith("Campaigns")]
        assert line.split()[1] == str(offered) and offered > 1
        first = next(one for one in standing.campaigns if one.rank.offered and not one.odd)
        console.vault.delete(first.copies)
        await poll(pilot)
        [line] = [line for line in lines(console) if line.strip().startswith("Campaigns")]
        assert line.split()[1] == str(offered - 1)


async def test_what_an_operator_says_is_seen(console: MailholdApp) -> None:
    standing = console.catalogue.standing
    async with console.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await pilot.press("8")
        await until(pilot, "campaigns")
        first = standing.campaigns[0].id
        marks.name(console.vault, first, "The invoices", operator="eve")
        marks.own(console.vault, first, "eve", operator="eve")
        marks.note(console.vault, first, "mine until noon", operator="eve")
        await poll(pilot)
        await until(pilot, "The invoices", "eve", "◐", "open · campaign", "Note       mine until noon")


async def test_campaigns_are_marked_by_key_and_by_click_and_the_marks_stay_on_them(console: MailholdApp) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("8")
        await until(pilot, "campaigns")
        view = page(console)
        first, second = (row.campaign.id for row in view.items[:2])
        await pilot.press("space")
        await settle(pilot)
        assert view.marked == {first} and view.list.cursor == 1
        await pilot.click(view.list, offset=(0, 1))
        await settle(pilot)
        assert view.marked == {first, second}
        assert sum(line.count("● ") for line in lines(console)[2:]) == 2
        await pilot.click(view.list, offset=(0, 0))
        await settle(pilot)
        assert view.marked == {second}


async def test_the_line_above_counts_the_marked_campaigns_and_what_fits_them(console: MailholdApp) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("8")
        await until(pilot, "campaigns")
        rows = [row for row in page(console).items if isinstance(row, CampaignRow)]
        await pilot.press("space", "space")
        marked = sum(row.summary.copies for row in rows[:2])
        await until(pilot, f"● 2 marked, {marked} copies · {len(rows)} campaigns, ")
        await pilot.press("ctrl+t")
        await until(pilot, f"{len(rows)} campaigns, ", gone="marked")


async def test_while_copies_are_read_the_numbers_say_so_and_are_right_as_soon_as_all_are_there(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = wave_console(vault).catalogue
    reader = CampaignsReader(vault, catalogue)
    monkeypatch.setattr(campaign_reading, "_REST", 1_000_000)
    with monkeypatch.context() as reading:
        reading.setattr(type(catalogue), "complete", property(lambda _: False))
        first = reader.read(NOW)
        assert summary_words(first).startswith("Reading: ") and summary_words(first).endswith(" copies so far")
        assert reader.read(NOW) is first
        assert summary_words(first._replace(rows=[], campaigns=0)) == "Reading…"
    assert summary_words(reader.read(NOW)).startswith(f"{first.campaigns} campaigns, ")


def test_a_campaign_of_which_only_odd_copies_are_left_does_not_say_that_it_has_none() -> None:
    row = CampaignRow(campaign(1, odd=tuple(odd(n) for n in range(9))), Summary(odd=4, recipients=3))
    said = "\n".join(map(plain, detail.overview_lines(row, None, NOW, UTC, 100)))
    assert "4 odd copies to 3 recipients" in said and "0 copies" not in said
    assert "4 odd copies, left out of every act: poor fit" in said and " 9" not in said


async def test_release_is_not_by_campaign_and_says_so(console: MailholdApp) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("8", "r")
        await until(pilot, "Campaigns cannot be released as a whole")


async def test_enter_on_a_sender_lists_its_copies(console: MailholdApp) -> None:
    async with console.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await pilot.press("8")
        await until(pilot, "campaigns")
        await pilot.press("G", "enter")
        await settle(pilot)
        assert console.main.places.page is console.main.backup
        assert console.main.backup.filter.from_ and console.main.backup.count >= 1


async def test_a_senders_copies_are_those_that_no_act_applies_to(console: MailholdApp) -> None:
    catalogue, standing = console.catalogue, console.catalogue.standing
    offered = {one.id: set(one.copies) for one in standing.campaigns if one.rank.offered}
    some = next(iter(offered.values()))
    for copy in console.vault.get_many(sorted(some)):
        address = sender_of(copy.record.from_)
        both = catalogue.select(MessageFilter(from_=(Term(address),))).ids()
        left = left_filter(catalogue, standing, address)
        assert parse(print_filter(left)) == left
        fits = set().union(*offered.values())
        assert copy.id in both and set(catalogue.select(left).ids()) == set(both) - fits


async def test_while_copies_are_loaded_a_senders_copies_are_none_that_an_act_applies_to(
    console: MailholdApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "FIRST_ROWS", 1)
    standing = console.catalogue.standing
    offered = {one.id: set(one.copies) for one in standing.campaigns if one.rank.offered}
    some = next(iter(offered.values()))
    [first, *_] = console.vault.get_many(sorted(some))
    with closing(Catalogue(console.vault)) as loading:  # Not started: the newest copy is all it has.
        left = left_filter(loading, standing, sender_of(first.record.from_))
    fits = set().union(*offered.values())
    assert fits.isdisjoint(console.catalogue.select(left).ids())


async def test_a_store_in_which_none_were_looked_for_says_so(any_vault: Vault) -> None:
    any_vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(n), NOW) for n in range(1, 8))
    console = wave_console(any_vault)
    async with console.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("8")
        await until(pilot, "Campaigns have not been searched for yet.", "In no campaign: 7 copies")
