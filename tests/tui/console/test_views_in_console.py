"""A walk through the real console: view a copy, deliver it to a real receiver, see it in the queue, save, delete."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from store.authority.audit import events
from store.authority.settings import Settings, read_settings
from store.catalogue.catalogue import Catalogue
from store.delivery.queue import cancel, release
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import Rule as ProcessingRule
from store.judging.rules.rules import read_rules, write_rules
from store.space.changing_settings import change_settings
from store.terms.verdicts import Engine, Status, Verdict
from tests.tui.console.driven import lines, make_console, settle, the_list
from tests.tui.console.view_data import RAW, record_of
from tests.tui.console.view_harness import NOW, ViewApp
from tests.tui.console.view_harness import settle as view_settle
from tui.console.screens.events import EventsView
from tui.console.screens.message import MessageView
from tui.console.screens.monitoring import MonitoringView
from tui.console.screens.queue import QueueView
from tui.console.screens.settings import SettingsView
from tui.demo.receiver import Receiver

INFECTED = Verdict(Engine.ANTI_VIRUS, Status.INFECTED)


@pytest.fixture
def console(vault):
    for number in range(3):
        raw = RAW.replace(b"Your account", b"Number %d: your account" % number)
        infected = {"verdicts": (INFECTED,), "reason": INFECTED} if number == 0 else {}
        vault.put(raw, record_of(raw, **infected), stored_at=NOW - (3 - number) * 60_000)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    return make_console(vault, catalogue)


def text(app) -> str:
    return "\n".join(lines(app))


async def until(pilot, what) -> None:
    for _ in range(1000):
        await settle(pilot)
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(text(pilot.app))


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


@pytest.mark.parametrize("view", [EventsView, MonitoringView, QueueView, SettingsView])
async def test_a_page_that_is_not_mounted_yet_reads_nothing(vault, view):
    app = ViewApp(vault, EventsView)
    async with app.run_test(size=(80, 24)) as pilot:
        await view_settle(pilot)
        view(app.console_context).refresh_data()
        await view_settle(pilot)
        assert app.notices == []


async def test_view_next_and_back(console):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Number 2" in text(console))
        await press(pilot, "enter")
        await until(pilot, lambda: "Time placed in Backup" in text(console))
        assert isinstance(console.main.places.page, MessageView)
        await press(pilot, "n")
        await until(pilot, lambda: "Number 1: your account" in text(console))
        await press(pilot, "right_square_bracket")
        await until(pilot, lambda: "we noticed unusual activity" in text(console))
        await press(pilot, "escape")
        assert the_list(console).cursor == 1
        assert "[ To messages list ]" not in text(console)


async def test_deliver_from_the_view_to_a_real_receiver_and_see_it_in_the_queue(console, vault, tmp_path: Path):
    receiver = Receiver(tmp_path / "mail")
    receiver.start()
    try:
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{receiver.port}"))
        async with console.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "Number 2" in text(console))
            await press(pilot, "enter", "r")
            await until(pilot, lambda: "Deliver message" in text(console))
            await press(pilot, "space", "tab", "down", "space", "enter")
            await until(pilot, lambda: "Message has been placed in queue for delivery" in text(console))
            await until(pilot, lambda: "✓ Delivered to ap@corp.example, hidden@corp.example " in text(console))
            await press(pilot, "3")
            assert isinstance(console.main.places.page, QueueView)
            await until(pilot, lambda: "✓ sent" in text(console))
            assert "2 of 2" in text(console)
            assert "boss@corp.example" not in text(console)
            assert "250" in text(console)
    finally:
        receiver.stop()
    (mail,) = (tmp_path / "mail" / "new").iterdir()
    assert b"Number 2: your account" in mail.read_bytes()


async def test_the_footer_of_the_queue_follows_the_cursor(console, vault):
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    [called_off] = release(vault, [2], original=True).queued
    cancel(vault, called_off)
    release(vault, [3], original=True)
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Number 2" in text(console))
        await press(pilot, "3")
        await until(pilot, lambda: "cancelled" in text(console))
        await until(pilot, lambda: "cancel-delivery" not in console.main.footer._off)
        await press(pilot, "j")
        await until(pilot, lambda: "cancel-delivery" in console.main.footer._off)
        await press(pilot, "k")
        await until(pilot, lambda: "cancel-delivery" not in console.main.footer._off)


async def test_settings_that_do_not_verify_hide_no_copy(console, vault):
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    with vault.write():
        vault.models.Configuration.update(sealed=b"x" * 90).execute()
    async with console.run_test(size=(160, 30)) as pilot:
        await until(pilot, lambda: "Number 0" in text(console) and "Settings is damaged" in text(console))
        await press(pilot, "1")
        await until(pilot, lambda: "Monitoring" in text(console))
        await press(pilot, "2", "enter")
        await until(pilot, lambda: "Subject" in text(console))


async def test_an_infected_copy_is_refused_until_the_setting_allows(console, vault):
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Number 0" in text(console))
        await press(pilot, "G", "enter", "r")
        await until(pilot, lambda: "It will be refused" in text(console))
        await press(pilot, "escape", "7", "enter")
        await until(pilot, lambda: "Free space threshold" in text(console) and "[ OK ]" in text(console))
        await press(pilot, "tab", "tab", "left", "enter")
        await until(pilot, lambda: read_settings(vault).allow_infected)
        assert events(vault, 1)[0].operator == "ada"
        await until(pilot, lambda: "Backup settings have been changed" in text(console))
        await press(pilot, "2", "G", "enter", "r")
        await until(pilot, lambda: "a security threat to" in text(console))
        assert "will be refused" not in text(console)


async def test_save_and_delete_from_the_view(console, vault, tmp_path: Path):
    async with console.run_test(size=(80, 24)) as pilot:
        console.context.save_folder = tmp_path
        await until(pilot, lambda: "Number 0" in text(console))
        await press(pilot, "G", "enter", "s")
        await until(pilot, lambda: "poses a security threat" in text(console))
        await press(pilot, "enter")
        await until(pilot, lambda: any(tmp_path.glob("*.eml")))
        await until(pilot, lambda: "Message has been saved to" in text(console))
        (saved,) = tmp_path.glob("*.eml")
        assert saved.read_bytes() == vault.raw(1)
        await press(pilot, "d")
        await until(pilot, lambda: "Delete this message copy from Backup?" in text(console))
        await press(pilot, "enter")
        await until(pilot, lambda: "Marked message has been deleted. z brings it back until" in text(console))
        assert not isinstance(console.main.places.page, MessageView)
        assert vault.ids() == [2, 3] and vault.bin.ids() == [1]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("1", "Copies by engine"),
        ("3", "No deliveries yet"),
        ("6", "No events yet"),
        ("7", "7.32 GB"),
        ("9", "The bin is empty"),
    ],
)
async def test_every_place_is_reached_by_its_key_and_left_by_escape(console, key, words):
    async with console.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Number 2" in text(console))
        await press(pilot, key)
        await until(pilot, lambda: words in text(console))
        await press(pilot, "escape")
        await until(pilot, lambda: "Number 2" in text(console))


async def test_damage_is_told_where_it_is_and_hides_nothing_else(console, vault):
    change_settings(vault, Settings(max_size=1 << 30, relay="smtp://127.0.0.1:9"))
    write_rules(vault, [ProcessingRule(name="mine"), *read_rules(vault)])
    write_lists(vault, AddressLists(black=("spam.example",)))
    tables = vault.models
    with vault.write():
        tables.Configuration.update(sealed=b"x" * 90).execute()
        row = tables.Audit.select().order_by(tables.Audit.id).first()
        tables.Audit.update(sealed=b"x" * 90).where(tables.Audit.id == row.id).execute()
    async with console.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "Number 0" in text(console))
        await press(pilot, "1")
        await until(pilot, lambda: "Settings is damaged" in text(console) and "Copies by engine" in text(console))
        assert "Used" in text(console) and "mailhold settings reset" in text(console)
        await press(pilot, "4")
        await until(pilot, lambda: "▲ Rules is damaged" in text(console))
        await press(pilot, "5")
        await until(pilot, lambda: "▲ Address-lists is damaged" in text(console))
        await press(pilot, "6")
        await until(
            pilot,
            lambda: (
                "event 1 is damaged" in text(console)
                and "address lists" in text(console)
                and "added spam.example" in text(console)
            ),
        )
        await press(pilot, "7")
        await until(pilot, lambda: "they are not in force" in text(console))
        await press(pilot, "enter")
        await until(pilot, lambda: "mailhold settings reset" in text(console))
        assert len(console.screen_stack) == 1
