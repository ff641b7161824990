"""Outcomes of releases in the console, live: top line, queue, notice, list under a filter, Monitoring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from wcwidth import wcwidth

from store.authority.settings import Settings
from store.catalogue.catalogue import Catalogue
from store.delivery import leases
from store.delivery.queue import deliveries, release, retry
from store.helpers.clock import now_ms
from store.mail.outcome import Attention, Delivered, Outcome, State
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.driven import lines, make_console, poll, settle, the_list
from tests.tui.console.fakes import NOW, sample
from tui.console.app import MailholdApp
from tui.console.screens.queue import QueueView
from tui.console.text.queue_lines import SIGNS as QUEUE_SIGNS
from tui.terminal.outcome_words import SIGNS, before, progress, queue_words
from tui.terminal.widths import cell_len

Ends = Callable[..., None]


@pytest.fixture
def ids(vault: Vault) -> list[int]:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9", allow_infected=True))
    return vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(1, 7))


@pytest.fixture
def console(vault: Vault, ids: list[int], monkeypatch: pytest.MonkeyPatch) -> MailholdApp:
    """Make a console that delivers nothing by itself."""
    monkeypatch.setattr(MailholdApp, "_run_worker_if_wanted", lambda self, facts: None)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    return make_console(vault, catalogue)  # type: ignore[arg-type]


@pytest.fixture
def end(vault: Vault) -> Ends:
    """Return a function that ends the delivery due next, with these states of its recipients."""

    def finish(*states: State, reply: str = "said") -> None:
        with vault.write():
            [claim] = leases.claim(vault, 1, "w", 1, now_ms() + 10_000_000, 1_000)
            found = {each: Outcome(state, reply) for each, state in zip(claim.live, states, strict=True)}
            leases.settle(vault, claim, found, now_ms())

    return finish


def released(vault: Vault, ids: list[int], *to: str) -> list[int]:
    return release(vault, ids, original=False, additional=to or ["a@x.example"], operator="ada").queued


def notice(app: MailholdApp) -> str:
    return str(app.main.notice_line.line.render())


async def press(pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


async def test_what_went_wrong_is_in_the_top_line_at_every_width(console: MailholdApp, vault, ids, end: Ends) -> None:
    for copy_id, state in zip(ids[:4], (State.FAILED, State.FAILED, State.UNKNOWN, State.DEFERRED), strict=True):
        released(vault, [copy_id])
        end(state)
    async with console.run_test(size=(160, 24)) as pilot:
        await poll(pilot)
        assert "✗ 2 failed  ? 1 unknown  ◷ 1 deferred [3]" in lines(console)[0]
        for width in (120, 100, 80, 60, 50):
            await pilot.resize_terminal(width, 24)
            await settle(pilot)
            top = lines(console)[0]
            assert "✗ 2 failed" in top or "✗2 ?1 ◷1 [3]" in top
            assert "Backup 0.00 of" in top and cell_len(top.rstrip()) <= width
        retry(vault, 1)
        await poll(pilot)
        assert "✗1 ?1 ◷1 [3]" in lines(console)[0]
        vault.delete(ids[1:2])
        await poll(pilot)
        assert "✗" not in lines(console)[0] and "?1 ◷1 [3]" in lines(console)[0]


@pytest.mark.parametrize("place", ["list", "view", "tree", "1", "4", "5", "6", "7", "3"])
async def test_one_key_leads_to_the_first_of_them_from_any_screen(
    console: MailholdApp, vault, ids, end: Ends, place: str
) -> None:
    released(vault, ids[:1])
    end(State.FAILED)
    released(vault, ids[1:2])
    end(State.FAILED)
    for copy_id in ids[2:5]:
        released(vault, [copy_id])
        end(State.SENT)
    async with console.run_test(size=(100, 30)) as pilot:
        await poll(pilot)
        if place == "view":
            await press(pilot, "enter")
        elif place == "tree":
            await press(pilot, "tab")
        elif place != "list":
            await press(pilot, place)
        await press(pilot, "3")
        await settle(pilot)
        page = console.main.places.page
        assert isinstance(page, QueueView) and page.current is not None and page.current.id == 2
        # The cursor goes there once: changes in the store, and returning from a copy, leave it alone.
        await press(pilot, "j", "j", "k", "k", "k")
        here = page.current.id
        released(vault, ids[5:])
        await poll(pilot)
        assert page.current.id == here == 4


def test_older_deliveries_are_listed_where_asked_for(vault: Vault, ids: list[int]) -> None:
    released(vault, ids)
    assert [each.id for each in deliveries(vault, 2, also={1, 3, 6, 99})] == [6, 5, 3, 1]


async def test_the_notice_tells_what_came_of_many(console: MailholdApp, vault, ids, end: Ends) -> None:
    async with console.run_test(size=(160, 30)) as pilot:
        await poll(pilot)
        other = released(vault, ids[5:])
        queued = released(vault, ids[:4])
        end(State.SENT)  # of another act: it does not count
        console.notice("Messages have been placed in queue for delivery")
        console.follow_deliveries(queued)
        await settle(pilot)
        assert notice(console) == "Messages have been placed in queue for delivery   4 waiting"
        for state in (State.SENT, State.DEFERRED, State.FAILED):
            end(state)
        await poll(pilot)
        said = "Messages have been placed in queue for delivery   1 delivered · 1 deferred · 1 failed · 1 waiting"
        assert notice(console) == said and other == [1]
        await pilot.resize_terminal(70, 30)
        await settle(pilot)
        assert notice(console) == "Messages have been placed in queue for delivery   ✓1 ◷1 ✗1 ·1"
        assert len(said) > 70 and "Hide" in lines(console)[1]
        await press(pilot, "h")
        end(State.SENT)
        await poll(pilot)
        assert not console.main.notice_line.display
        console.notice("Something else")
        await poll(pilot)
        assert notice(console) == "Something else"


async def test_the_notice_names_who_got_the_one(console: MailholdApp, vault, ids, end: Ends) -> None:
    async with console.run_test(size=(160, 30)) as pilot:
        await poll(pilot)
        queued = released(vault, ids[:1], "ap@corp.example", "x@away.example")
        console.notice("Message has been placed in queue for delivery")
        console.follow_deliveries(queued)
        await settle(pilot)
        assert notice(console).endswith("   · waiting for ap@corp.example, x@away.example")
        end(State.SENT, State.FAILED, reply="")
        await poll(pilot)
        said = (
            "Message has been placed in queue for delivery   · delivered to ap@corp.example; failed for x@away.example"
        )
        assert notice(console) == said
        await pilot.resize_terminal(80, 30)
        await settle(pilot)
        assert notice(console).startswith("Message has been placed in queue for delivery   · 1 delivered · 1 f")


async def test_the_view_cuts_the_outcome_with_an_ellipsis_at_every_width(
    console: MailholdApp, vault, ids, end: Ends
) -> None:
    released(vault, ids[-1:], *(f"somebody.with.a.long.name.{number}@corp.example" for number in range(9)))
    end(
        *[State.SENT, State.FAILED, State.UNKNOWN] * 3,
        reply="550 5.1.1 no such user here, and a long explanation of it",
    )
    async with console.run_test(size=(80, 24)) as pilot:
        await poll(pilot)
        console.open_copy(ids[-1], None)
        for width in (160, 80, 60):
            await pilot.resize_terminal(width, 24)
            for _ in range(200):
                await settle(pilot)
                shown = [line.rstrip() for line in lines(console)]
                if any("Delivered to" in line for line in shown):
                    break
                await asyncio.sleep(0.01)
            first = next(at for at, line in enumerate(shown) if "elivered to" in line)
            assert shown[first + 1].endswith("…") and "Message  Text" in shown[first + 2], shown


async def test_a_list_of_what_waits_follows_what_becomes_of_it(console: MailholdApp, vault, ids, end: Ends) -> None:
    released(vault, ids[:2])
    async with console.run_test(size=(100, 30)) as pilot:
        await poll(pilot)
        await press(pilot, "slash", *"delivered:waiting", "enter")
        await settle(pilot)
        assert the_list(console).count == 2
        end(State.SENT)
        await poll(pilot)
        await settle(pilot)
        assert the_list(console).count == 1


async def test_monitoring_says_the_same(console: MailholdApp, vault, ids, end: Ends) -> None:
    for state in (State.FAILED, State.DEFERRED):
        released(vault, ids[:1] if state is State.FAILED else ids[1:2])
        end(state)
    async with console.run_test(size=(100, 40)) as pilot:
        await poll(pilot)
        await press(pilot, "1")
        await settle(pilot)
        assert "Deliveries    1 waiting, 1 of them deferred · 1 failed" in "\n".join(lines(console))


def test_signs_take_one_cell_for_the_console_and_for_the_c_library() -> None:
    signs = [sign for sign, _ in (*SIGNS.values(), *QUEUE_SIGNS.values())]
    assert [cell_len(sign) for sign in signs] == [wcwidth(sign) for sign in signs] == [1] * len(signs)
    assert len({sign for sign, _ in SIGNS.values()}) == len(Delivered)


def test_what_was_before_is_told_as_it_is() -> None:
    assert before({Delivered.YES: 1}, 1) == ["✓ This copy was delivered before."]
    assert before({Delivered.UNKNOWN: 2, Delivered.WAITING: 1}, 9) == [
        "◷ 1 copy is in the queue already.",
        "? 2 copies may have been delivered before.",
    ]
    assert before({}, 3) == [] and progress({}) == ""
    assert queue_words(Attention(), 0) == "0 waiting"
