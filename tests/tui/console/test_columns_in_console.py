"""Filters on fields outside the list: the console says that it is reading them, and the final answer is complete."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from store.campaigns.standing import Standing
from store.catalogue import column_reader
from store.catalogue.catalogue import Catalogue
from store.filters.model import Beside
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.catalogue.test_columns import campaign, write_traits
from tests.tui.console.driven import counts, lines, make_console, settle, the_list
from tests.tui.console.fakes import NOW
from tests.tui.console.test_views_in_console import until
from tui.console.app import MailholdApp


@pytest.fixture
def ids(vault: Vault) -> list[int]:
    """Make four copies: three of one network; two have traits."""
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.7"]
    ids = vault.put_many(
        (b"raw", CopyRecord(from_="a@x.example", subject="x", client_address=one), NOW) for one in addresses
    )
    write_traits(vault, {ids[0]: Beside(links=("evil.example",)), ids[1]: Beside()})
    return ids


@pytest.fixture
def console(vault: Vault, ids: list[int]) -> MailholdApp:
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    return make_console(vault, catalogue)


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Return an event that reading waits for."""
    go, real = threading.Event(), column_reader.read_ids
    monkeypatch.setattr(column_reader, "read_ids", lambda *args: go.wait(30) and real(*args))
    return go


async def test_while_it_is_read_the_line_says_so_and_then_the_list_is_whole(
    console: MailholdApp, go: threading.Event
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"client:192.0.2.0/24", "enter")
        await until(pilot, lambda: "reading client addresses 0 %" in counts(console))
        assert "0+ shown of 4" in counts(console)
        assert any("matches the filter so far" in line for line in lines(console))
        go.set()
        await until(pilot, lambda: "3 shown of 4" in counts(console))
        assert "reading" not in counts(console) and the_list(console).count == 3


async def while_it_works(pilot: Pilot[Any], what: Callable[[], bool]) -> None:
    """Wait until a condition holds, although the console is not idle then."""
    for _ in range(1000):
        await pilot.pause(0.01)
        if what():
            return
    raise AssertionError("\n".join(lines(pilot.app)))


async def test_marking_by_query_waits_for_what_the_query_asks(
    console: MailholdApp, go: threading.Event, ids: list[int]
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        await pilot.press("T", *"client:192.0.2.0/24")
        await while_it_works(pilot, lambda: any("0 copies so far, reading" in line for line in lines(console)))
        await pilot.press("enter")
        assert console.screen is not console.main
        go.set()
        await until(pilot, lambda: console.screen is console.main)
        marks = the_list(console).marks
        assert marks.count == 3 and sorted(marks.chosen().ids()) == ids[:3]


async def test_marking_what_is_listed_so_far_marks_all_that_is_found_in_the_end(
    console: MailholdApp, go: threading.Event, ids: list[int], vault: Vault
) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"-client:198.51.100.7", "enter")
        await until(pilot, lambda: "reading" in counts(console))
        console.main.backup.action_mark_all()
        go.set()
        await until(pilot, lambda: "3 shown of 4" in counts(console))
        await settle(pilot)
        assert sorted(the_list(console).marks.chosen().ids()) == ids[:3]


async def test_copies_without_traits_are_told(console: MailholdApp, vault: Vault, ids: list[int]) -> None:
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"link:evil", "enter")
        await until(pilot, lambda: "1 shown of 4" in counts(console) and "2 not indexed" in counts(console))
        await pilot.press("slash", *".org", "enter")
        await until(pilot, lambda: any("2 copies are not indexed yet" in line for line in lines(console)))
        write_traits(vault, {ids[2]: Beside(links=("evil.org",)), ids[3]: Beside()})
        await until(pilot, lambda: "1 shown of 4" in counts(console))
        assert "not indexed" not in counts(console)


async def test_a_list_of_a_campaign_follows_the_campaigns(
    console: MailholdApp, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = Standing([campaign(3, ids[:2], [])], number=1)
    monkeypatch.setattr("tui.console.follow.Follower._read_standing", lambda _self: standing)
    async with console.run_test(size=(140, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash", *"campaign:3", "enter")
        await until(pilot, lambda: "2 shown of 4" in counts(console))
        standing = Standing([campaign(3, ids[:3], [])], number=2)
        console.context.vault.put(b"raw", CopyRecord(), stored_at=NOW)
        await until(pilot, lambda: "3 shown of 5" in counts(console))
