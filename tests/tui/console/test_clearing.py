"""Deleting campaigns in the console: the window's text, its keys, and copies skipped because of later changes."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from textual.pilot import Pilot

from store.authority.settings import read_settings
from store.campaigns.marks import peel
from store.campaigns.standing import Standing
from store.catalogue.catalogue import Catalogue
from store.clearing.checked import Checked, Loosest, Stay
from store.space.changing_settings import change_settings
from store.terms.findings import KnownSender
from store.undoing.undoing import carry_out, next_plan
from store.vault.vault import Vault
from tests.store.clearing.standings import campaign, store
from tests.tui.console.driven import make_console, poll, settle
from tests.tui.console.fakes import NOW, sample
from tests.tui.console.test_dialogs import answer
from tests.tui.console.test_snapshots_dialogs import CLEAR
from tests.tui.console.view_harness import ZONE, screen_text, until_shown
from tui.console.acts.actions import deliver
from tui.console.acts.clearing import clear
from tui.console.app import MailholdApp
from tui.console.dialogs.delete_campaigns import DeleteCampaignsDialog
from tui.terminal.clearing_words import AGAINST, check_lines, gone_words, stay_words


@pytest.fixture
def ids(vault: Vault) -> list[int]:
    return vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW - 1000) for number in range(1, 41))


@pytest.fixture
def console(vault: Vault, ids: list[int]) -> MailholdApp:
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    first = campaign(1, ids[:20], ids[20:22], fits=bytes([*[90] * 7, 71, *[100] * 12]))
    store(vault, Standing([first, campaign(2, ids[22:30])]))
    return make_console(vault, catalogue)  # type: ignore[arg-type]


async def opened(pilot: Pilot[Any], *chosen: int, **options: Any) -> MailholdApp:
    app = pilot.app
    assert isinstance(app, MailholdApp)
    await settle(pilot)
    clear(app.main.context, chosen, **options)
    await settle(pilot)
    return app


async def test_enter_deletes_what_fits_and_z_brings_it_back(console: MailholdApp, vault: Vault, ids: list[int]) -> None:
    done: list[bool] = []
    async with console.run_test(size=(80, 24)) as pilot:
        await opened(pilot, 1, then=lambda: done.append(True))
        await until_shown(
            pilot,
            "Delete 20 message copies in 1 campaign from Backup?",
            "2 copies stay: 2 odd.",
            "worst 71 %: ] shows it",
            "still arriving in 1 campaign: copies after",
            "They go to the bin, which keeps them until",
        )
        assert vault.ids() == ids
        await pilot.press("enter")
        await settle(pilot)
        await until_shown(pilot, "20 message copies have been deleted")
    assert vault.ids() == ids[20:] and done == [True]
    plan = next_plan(vault, "ada")
    assert plan is not None
    carry_out(vault, plan, operator="ada")
    assert vault.ids() == ids


async def test_of_all_of_backup_it_is_told_what_stays(console: MailholdApp, ids: list[int]) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await opened(pilot, 1, scope=ids)
        await until_shown(pilot, "20 copies stay: 10 in no campaign, 8 in other campaigns, 2 odd.")
        await pilot.press("escape")


async def test_what_is_peeled_off_while_the_window_is_open_stays(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await opened(pilot, 1, 2)
        await until_shown(pilot, "Delete 28 message copies in 2 campaigns")
        peel(vault, 2, ids[23:25], ids[22], operator="bob")
        await pilot.press("enter")
        await settle(pilot)
        await until_shown(pilot, "an operator peeled it off its campaign meanwhile")
    assert vault.ids() == [*ids[20:22], *ids[23:25], *ids[30:]]


async def test_what_became_odd_while_the_window_is_open_stays(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    async with console.run_test(size=(80, 24)) as pilot:
        await opened(pilot, 2)
        await until_shown(pilot, "Delete 8 message copies in 1 campaign")
        store(vault, Standing([campaign(2, ids[23:30], ids[22:23])]))
        await poll(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await until_shown(pilot, "it became odd in its campaign meanwhile")
    assert vault.ids() == [*ids[:23], *ids[30:]]


async def test_the_bracket_shows_the_copy_that_fits_worst_and_deletes_nothing(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    shown: list[int] = []
    async with console.run_test(size=(80, 24)) as pilot:
        app = await opened(pilot, 1, show=shown.append)
        await until_shown(pilot, "] show worst fit")
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert "Delete 20" not in screen_text(app)
    assert shown == [ids[7]] and vault.ids() == ids


async def test_without_a_bin_the_number_must_be_typed(console: MailholdApp, vault: Vault, ids: list[int]) -> None:
    change_settings(vault, replace(read_settings(vault), bin_days=0))
    async with console.run_test(size=(80, 24)) as pilot:
        await opened(pilot, 1)
        await until_shown(pilot, "This cannot be undone.", "Type 20 to delete")
        await pilot.press("enter")
        assert vault.ids() == ids
        await pilot.press("2", "0", "enter")
        await settle(pilot)
        await until_shown(pilot, "20 message copies have been deleted")
    assert vault.ids() == ids[20:]


async def test_where_all_stay_no_window_asks(console: MailholdApp, vault: Vault, ids: list[int]) -> None:
    peel(vault, 2, ids[23:30], ids[22])
    peel(vault, 9, ids[22:23], ids[0])
    async with console.run_test(size=(120, 24)) as pilot:
        await opened(pilot, 2)
        await until_shown(pilot, "Nothing to delete: 8 copies stay: 8 peeled off.")
        await opened(pilot, 77)
        await until_shown(pilot, "No campaign is selected.")
    assert vault.ids() == ids


async def test_the_plain_window_tells_of_odd_copies_and_known_senders(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    known = [replace(sample(1), known=one) for one in (KnownSender(written_to=1), KnownSender(2), KnownSender(), None)]
    vault.put_many((b"x", record, NOW) for record in known)
    async with console.run_test(size=(80, 24)) as pilot:
        await poll(pilot)
        await pilot.press("asterisk", "d")
        await until_shown(pilot, "▲ Among them: 2 copies odd in their campaign, 2 copies of")


async def test_the_deliver_window_tells_of_copies_in_campaigns(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    change_settings(vault, replace(read_settings(vault), relay="smtp://127.0.0.1:9"))
    async with console.run_test(size=(120, 40)) as pilot:
        await poll(pilot)
        await pilot.press("asterisk", "r")
        await until_shown(pilot, "▲ Among them: 28 copies that fit a campaign, 2 copies odd in")
        await pilot.press("escape")
        app = pilot.app
        assert isinstance(app, MailholdApp)
        for copy_id, text in (
            (ids[3], "This copy fits a campaign: Esc, then c shows it."),
            (ids[20], "This copy is odd in its"),
        ):
            deliver(app.main.context, [copy_id])
            await until_shown(pilot, text)
            await pilot.press("escape")
            await settle(pilot)
        deliver(app.main.context, [ids[35]])
        await until_shown(pilot, "Deliver message")
        assert "campaign" not in screen_text(app)


@pytest.mark.parametrize("keys", [("escape",), ("tab", "enter"), ("down", "space")])
async def test_it_is_cancelled(keys: tuple[str, ...]) -> None:
    assert await answer(DeleteCampaignsDialog(CLEAR, ZONE, kept="until 2 Dec"), *keys) is False


async def test_the_bracket_is_no_digit_of_the_number() -> None:
    assert await answer(DeleteCampaignsDialog(CLEAR, ZONE), "3", "right_square_bracket") == Loosest(17, 3, 71)


numbers = st.integers(0, 50)


@given(numbers, numbers, numbers, numbers, numbers, numbers, st.integers(0, 3))
def test_the_numbers_of_the_lines_add_up(
    sure: int, condemned: int, known: int, unknown: int, delivered: int, loose: int, campaigns: int
) -> None:
    total = sure + max(condemned, known + unknown, delivered, loose)
    found = Checked(
        0,
        list(range(total)),
        campaigns=campaigns,
        condemned=condemned,
        loosest=Loosest(1, 1, 60) if total else None,
        loose=loose,
        written_to=known,
        unknown=unknown,
        delivered=delivered,
    )
    said = {line.what: line.number for line in check_lines(found, UTC)}
    assert all(number != 0 for number in said.values())
    for parts in (
        ("condemned by an engine", "condemned by no engine"),
        ("senders nobody here wrote to", "senders someone wrote to", "not known if anyone wrote"),
        ("never delivered, not queued", "delivered before"),
        ("fit their campaign",),
    ):
        assert sum(said.get(part) or 0 for part in parts) == total


def test_an_owner_is_shown_safely_and_the_own_campaigns_are_not_told() -> None:
    found = Checked(0, [1], campaigns=2, owners=(("ada\x1b[31m", 1), ("me", 2)))
    said = [line.what for line in check_lines(found, UTC, "me") if line.sign == AGAINST and "works" in line.what]
    assert len(said) == 1 and said[0].endswith("works on 1 campaign") and "\x1b" not in said[0]


def test_one_is_one() -> None:
    assert stay_words(Stay(peeled=1)) == "1 copy stays: 1 peeled off."
    assert gone_words(1) == "1 copy is no longer in Backup." and stay_words(Stay()) == gone_words(0) == ""
