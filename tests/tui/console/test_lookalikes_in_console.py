"""Delivering in the console skips senders who only look like others, says so, and can still be told to send."""

from __future__ import annotations

import msgspec
import pytest

from store.authority.settings import read_settings
from store.campaigns.standing import Standing
from store.catalogue.catalogue import Catalogue
from store.delivery.queue import deliveries, delivery_of, release
from store.space.changing_settings import change_settings
from store.terms.findings import Authentication
from store.vault.vault import Vault
from tests.store.clearing.standings import campaign, store
from tests.store.delivery.test_lookalikes import letter, put
from tests.tui.console.driven import make_console, poll, settle
from tests.tui.console.fakes import NOW
from tests.tui.console.view_harness import until_shown
from tui.console.acts import actions
from tui.console.app import MailholdApp
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.widgets.controls import CheckBox


@pytest.fixture
def ids(vault: Vault) -> list[int]:
    settings = read_settings(vault)
    change_settings(vault, msgspec.structs.replace(settings, relay="smtp://127.0.0.1:9"))
    senders = ("zoe@fernpay.example", "zoe@fempay.example", "a@other.example")
    return [put(vault, letter(sender)) for sender in senders]


@pytest.fixture
def console(vault: Vault, ids: list[int], monkeypatch: pytest.MonkeyPatch) -> MailholdApp:
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    return make_console(vault, catalogue)  # type: ignore[arg-type]


async def test_it_is_left_out_shown_and_delivered_where_the_box_is_ticked(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    said = f"Copy {ids[1]} is left out: its sender only looks like another:"
    async with console.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        actions.deliver(console.main.context, ids)
        await settle(pilot)
        await pilot.press("space")
        await until_shown(pilot, said, "fempay.example ~ fernpay.example, same subject as", "2 of 3 copies go to")
        dialog = console.screen
        assert isinstance(dialog, DeliverDialog)
        box = dialog.query_one("#lookalikes", CheckBox)
        assert box.display and not box.value
        box.value = True
        await until_shown(pilot, f"Copy {ids[1]} is delivered anyway:", "3 copies go to")
        box.value = False
        await until_shown(pilot, said)
        dialog.accept()
        await settle(pilot)
        await until_shown(pilot, "its sender only looks like another")
    assert sorted(delivery_of(vault, each.id).copy_id for each in deliveries(vault)) == [ids[0], ids[2]]


async def test_an_enter_before_the_senders_were_compared_leaves_it_out_as_well(
    console: MailholdApp, vault: Vault, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.console.acts.checking.Checking._compared", lambda self, found: None)
    async with console.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        actions.deliver(console.main.context, ids)
        await settle(pilot)
        await pilot.press("space")
        await until_shown(pilot, "Comparing the senders with known ones…")
        dialog = console.screen
        assert isinstance(dialog, DeliverDialog)
        dialog.accept()
        await settle(pilot)
        await until_shown(pilot, "its sender only looks like another")
    assert sorted(delivery_of(vault, each.id).copy_id for each in deliveries(vault)) == [ids[0], ids[2]]


async def test_what_else_waits_of_the_sender_is_offered_and_listed(
    console: MailholdApp, vault: Vault, ids: list[int]
) -> None:
    """Only copies of the same address and authentication result that fit no campaign and were not delivered."""
    passed, failed = Authentication("dkim", "pass", "news.example"), Authentication("dkim", "fail", "news.example")
    results = ((passed,), (passed,), (passed,), (failed,), (), (passed,), (passed,))
    mails = [letter("Zoe <zoe@news.example>", f"Weekly {number}") for number in range(len(results))]
    made = [put(vault, raw, authentication=each) for raw, each in zip(mails, results, strict=True)]
    store(vault, Standing([campaign(1, [made[5]]), campaign(2, [ids[0]], [made[6]])]))
    release(vault, made[2:3], original=True)
    async with console.run_test(size=(140, 30)) as pilot:
        await poll(pilot)
        await pilot.press("plus")
        await until_shown(pilot, "No other copies from the senders delivered last are in Backup.")
        actions.deliver(console.main.context, made[:1])
        await settle(pilot)
        await pilot.press("space", "tab")
        await until_shown(pilot, "1 copy goes to 1 address.")
        assert isinstance(console.screen, DeliverDialog)
        console.screen.accept()
        await settle(pilot)
        # All on one line: a narrower terminal would cut the notice once the outcome is known.
        await until_shown(
            pilot, "Message has been placed in queue for delivery.", "+ lists 2 more", "· waiting for ap@"
        )
        await pilot.press("plus")
        await until_shown(pilot, "from:zoe@news.example", "Weekly 1", "Weekly 6", "2 shown of 10")
    assert len(deliveries(vault)) == 2, "what is offered is not released"


async def test_where_none_looks_like_another_there_is_no_box(console: MailholdApp, ids: list[int]) -> None:
    async with console.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        actions.deliver(console.main.context, ids[:1])
        await settle(pilot)
        await pilot.press("space")
        await until_shown(pilot, "1 copy goes to 1 address.")
        assert not console.screen.query_one("#lookalikes", CheckBox).display
        await pilot.press("escape")
