"""Snapshots of Campaigns, an opened campaign, and the comparison of copies."""

from __future__ import annotations

import asyncio
from array import array
from typing import Any

import pytest
from textual.pilot import Pilot

from store.campaigns.grouping import OddCopy, Why
from store.campaigns.keys import Kind, key_of
from store.campaigns.marks import Mark, State
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from store.campaigns.standing import Campaign, Standing
from store.catalogue.catalogue import Catalogue
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tests.tui.console.fakes import MINUTE, NOW, sample
from tests.tui.console.view_harness import screen_text
from tui.console.app import MailholdApp
from tui.console.follow import Follower
from tui.console.theme import LIGHT, SIXTEEN

COPIES = 120


def letter(number: int) -> bytes:
    """Make the message of a copy."""
    return (
        b"From: Billing <inv@acme-supplies.example>\r\nTo: ap@corp.example\r\nSubject: Invoice %d is overdue\r\n\r\n"
        b"Dear customer, invoice %d is overdue since Monday. Pay it at http://pay%d.example/pay today.\r\n"
    ) % (number, number, number % 3)


def why(strand: int, kind: Kind, text: str, inside: int, outside: int) -> tuple[Why, str]:
    return Why(strand, key_of(kind, text), inside, outside), text


def standing() -> Standing:
    """Make campaigns over the copies 1 to 120: related ones, one with odd copies, a colleague's, one that is done."""

    def made(number: int, first: int, last: int, *whys: tuple[Why, str], **more: Any) -> Campaign:
        size = last - first + 1
        values: dict[str, Any] = {
            "rank": Rank.PLAIN,
            "fits": bytes(71 if at < 3 else 100 for at in range(size)),
            "odd": (),
            "mark": Mark(number),
        }
        return Campaign(
            id=number,
            copies=array("Q", range(first, last + 1)),
            seed=whys[0][0],
            evidence=tuple(each for each, _ in whys[1:]),
            texts={each.key: text for each, text in whys},
            **(values | more),
        )

    kit = why(2, Kind.KIT, "program bulkmail 0.0", 50, 2)
    invoice = made(
        1, 1, 50,
        why(0, Kind.SUBJECT_PAIR, "is overdue", 50, 0),
        why(0, Kind.SENTENCE, "dear customer invoice 0 is overdue since monday", 48, 0),
        why(0, Kind.WORDS, "overdue since monday", 48, 1),
        why(1, Kind.LINK_DOMAIN, "pay0.example", 31, 0),
        why(1, Kind.PATH, "/pay", 50, 12),
        kit,
        title="invoice 0 is overdue",
        odd=(OddCopy(98, (Reason.KNOWN, Reason.CONTENT)), OddCopy(99, (Reason.ALIKE,))),
    )  # fmt: skip
    russian = made(2, 51, 80, why(0, Kind.SUBJECT, "ваш счёт 0", 30, 0), kit, title="ваш счёт 0 просрочен")
    parcel = made(
        3, 81, 92,
        why(1, Kind.FILE, "aa", 12, 9), why(0, Kind.SUBJECT, "your parcel 0 waits", 12, 0),
        title="your parcel 0 waits", rank=Rank.CAREFUL, mark=Mark(3, "Parcels", "eve", State.OPEN, "until noon"),
    )  # fmt: skip
    done = made(
        4, 93, 97, why(0, Kind.SUBJECT, "x", 5, 0),
        title="\x1b[31m[bold]hostile \u202egnp.exe", mark=Mark(4, state=State.DONE),
    )  # fmt: skip
    return Standing([invoice, russian, parcel, done], number=1, found_at=NOW)


@pytest.fixture
def console(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> MailholdApp:
    vault.put_many((letter(n), sample(n, NOW), NOW - (COPIES - n) * MINUTE) for n in range(1, COPIES + 1))
    found = standing()
    monkeypatch.setattr(Follower, "_read_standing", lambda _: found)
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(60)
    app = make_console(vault, catalogue)
    app.arming_delay = None
    return app


def pressing(*keys: str, shows: str):
    async def run(pilot: Pilot[None]) -> None:
        await settle(pilot)
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        await until(pilot, shows)
        await at_rest(pilot)

    return run


async def at_rest(pilot: Pilot[None]) -> None:
    """Wait until the screen does not change any more: rows come from a thread that `settle` does not know."""
    before, same = "", 0
    for _ in range(400):
        await settle(pilot)
        now = screen_text(pilot.app)
        same = same + 1 if now == before else 0
        if same >= 5:
            return
        before = now
        await asyncio.sleep(0.01)
    raise AssertionError(before)


async def until(pilot: Pilot[None], shows: str) -> None:
    for _ in range(400):
        await settle(pilot)
        if shows in screen_text(pilot.app):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(screen_text(pilot.app))


SHOWN = {
    "list": (("8",), "here wrote"),
    "marked": (("8", "space", "j", "space"), "here wrote"),
    "sender": (("8", "G"), "Known"),
    "opened": (("8", "enter"), "here wrote"),
    "compared": (("8", "enter", "right_square_bracket"), "keys in common"),
}


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (160, 40)])
@pytest.mark.parametrize("name", SHOWN)
def test_campaigns(snap_compare, console, name, size):
    keys, shows = SHOWN[name]
    assert snap_compare(console, run_before=pressing(*keys, shows=shows), terminal_size=size)


@pytest.mark.parametrize("theme", [LIGHT.name, SIXTEEN.name])
def test_campaigns_in_other_themes(snap_compare, console, theme):
    console.theme = theme
    assert snap_compare(console, run_before=pressing("8", "enter", shows="here wrote"), terminal_size=(80, 24))
