"""Snapshots of the windows at 80x24."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from store.authority.settings import Settings, Unavailable
from store.clearing.checked import Checked, Loosest, Stay, Weakest
from store.mail.outcome import Delivered
from store.terms.verdicts import Engine, Status
from tests.tui.console.view_harness import NOW, ZONE, DialogApp, FakeRecipient, until_shown
from tui.console.dialogs.backup_settings import BackupSettingsDialog
from tui.console.dialogs.chosen import Summary
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.dialogs.delete import DeleteDialog
from tui.console.dialogs.delete_campaigns import DeleteCampaignsDialog
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.dialogs.save import SaveDialog
from tui.console.theme import SIXTEEN
from tui.terminal.preflight_words import Said

RECIPIENTS = [
    FakeRecipient("ap@corp.example"),
    FakeRecipient("ceo@corp.example", "To"),
    FakeRecipient("hidden@corp.example", "envelope", True),
]
MANY = [FakeRecipient(f"user{number}@corp{number % 7}.example") for number in range(3410)]


class Knows:
    """A check of the Deliver window that knows everything at once."""

    def __init__(self, *said: Said, lookalikes: int = 0) -> None:
        self._said = said
        self.lookalikes = lookalikes

    def begin(self, show: Callable[[Sequence[Said]], None]) -> None:
        self._show = show

    def look(self, choice: object) -> None:
        self._show(self._said)

    def ask(self) -> None:
        """Do nothing: the answer is known."""

    def close(self) -> None:
        """Do nothing: nothing runs."""


READY = Knows(
    Said("1 copy goes to 3 addresses.", whom=True),
    Said("The gateway mx1 sends to smtp://127.0.0.1:10026, which answered 2 minutes ago."),
    Said("It is 84.2 KB; the relay accepts 50 MB."),
    Said("8BITMIME: needed, offered. SMTPUTF8: not needed."),
    Said("Fields removed: Return-Path. Added: Resent-Date, Resent-From, Resent-Message-ID."),
    Said("DKIM: the body hash of acme.example holds."),
)
AGAINST = Knows(
    Said("2 copies are larger than the 10 MB that the relay accepts, and would fail.", True),
    Said("The relay does not offer SMTPUTF8, without which 1 address of 1 copy would fail.", True),
    Said("1,190 of 1,204 copies go to 3,402 addresses.", whom=True),
    Said("Left out: 14 copies (12 infected, 2 without a recipient); 8 addresses (8 have it already).", whom=True),
    Said("The gateway mx1 sends to smtp://127.0.0.1:10026, which answered just now."),
    Said("8BITMIME: 310 copies need it, offered. SMTPUTF8: 1 copy needs it, not offered."),
    Said("Fields removed: Return-Path (88). Added: Resent-Date, Resent-From, Resent-Message-ID."),
    Said("Reading the messages: 400 of 1,190."),
)

ALIKE = Knows(
    Said(
        "Copy 17204 is left out: its sender only looks like another: rioso1.example ~ riosol.example, known here, "
        "same subject as copy 16990.",
        True,
    ),
    Said("36 of 37 copies go to 36 addresses.", whom=True),
    Said("Left out: 1 copy (1 of look-alike senders).", whom=True),
    Said("The gateway mx1 sends to smtp://127.0.0.1:10026, which answered just now."),
    lookalikes=1,
)

CHOSEN = Summary(ZONE, "offers@news.example", "Invoice [/foo] \x1b[31m", NOW, NOW)

#: Many copies of campaigns: without anything that speaks against deleting them, and with much.
CLEAR = Checked(
    NOW,
    list(range(1, 39_844)),
    campaigns=81,
    stay=Stay(alone=155, peeled=2),
    condemned=39_843,
    weakest=Weakest(7, Engine.ANTI_SPAM, Status.PROBABLE_SPAM, 6.2),
    loosest=Loosest(17, 3, 71),
    arriving=3,
)
DOUBTFUL = Checked(
    NOW,
    list(range(1, 2_167)),
    campaigns=2,
    stay=Stay(1, 12, 3, 1, 38, 155),
    gone=1_200,
    condemned=2_124,
    weakest=Weakest(7, Engine.ANTI_VIRUS, Status.PROBABLY_INFECTED, None),
    loosest=Loosest(17, 3, 51),
    loose=120,
    written_to=12,
    let_through=40,
    unknown=843,
    delivered=5,
    arriving=1,
    owners=(("ada \x1b[31m[b]", 1), ("root", 1)),
)

DIALOGS = {
    "delete_campaigns": (lambda: DeleteCampaignsDialog(CLEAR, ZONE, kept="until 2 Dec"), []),
    "delete_campaigns_doubtful": (
        lambda: DeleteCampaignsDialog(
            DOUBTFUL, ZONE, kept="until 2 Dec, or about 30 hours at this rate", operator="root"
        ),
        [],
    ),
    "delete_campaigns_for_good": (lambda: DeleteCampaignsDialog(CLEAR, ZONE), [*"39"]),
    "delete_one": (lambda: DeleteDialog(1), []),
    "delete_many": (lambda: DeleteDialog(1204, outside=3, live=2), []),
    "delete_into_bin": (lambda: DeleteDialog(1, kept="until 2 Dec", summary=CHOSEN), []),
    "delete_many_into_bin": (
        lambda: DeleteDialog(1204, kept="until 2 Dec, or about 30 hours at this rate", outside=3, live=2),
        [],
    ),
    "deliver_one": (lambda: DeliverDialog(RECIPIENTS, copies=1, released={Delivered.YES: 1}), ["space"]),
    "deliver_left_out": (lambda: DeliverDialog(RECIPIENTS, copies=1), ["space", "tab", "down", "space"]),
    "deliver_bad_address": (lambda: DeliverDialog(RECIPIENTS, copies=1), ["tab", "tab", "tab", *"<x", "enter"]),
    "deliver_refused": (lambda: DeliverDialog(RECIPIENTS, copies=1, dangerous=1), []),
    "deliver_many": (
        lambda: DeliverDialog(
            MANY,
            copies=1204,
            dangerous=12,
            infected_allowed=True,
            released={Delivered.YES: 3, Delivered.WAITING: 1},
            outside=3,
        ),
        ["space"],
    ),
    "deliver_ready": (lambda: DeliverDialog(RECIPIENTS, copies=1, check=READY), ["space"]),
    "deliver_against": (lambda: DeliverDialog(MANY, copies=1204, check=AGAINST), ["space"]),
    "deliver_lookalike": (lambda: DeliverDialog(RECIPIENTS, copies=37, check=ALIKE), ["space"]),
    "save_infected": (lambda: SaveDialog(37, folder=Path("/usr"), dangerous=2), []),
    "save_no_folder": (lambda: SaveDialog(1, folder=Path("/no/such/folder")), ["enter"]),
    "settings": (lambda: BackupSettingsDialog(Settings()), []),
    "settings_warnings": (
        lambda: BackupSettingsDialog(
            Settings(
                max_size=50 << 20,
                allow_infected=True,
                if_unavailable=Unavailable.REJECT,
                relay="smtps://user:secret@mx1.example.org:465",
                administrator="postmaster@example.org",
            ),
            used_bytes=5 << 30,
        ),
        [],
    ),
    "settings_errors": (lambda: BackupSettingsDialog(Settings()), [*"x", "tab", *"y", "enter"]),
    "cancel_delivery": (
        lambda: ConfirmDialog("Message queue", "Cancel delivery 7 to 2 addresses?", "Cancel delivery", refuse="Keep"),
        [],
    ),
}

#: Keys of a dialog whose effect shows only after several messages of the app to itself.
LEADS_TO = {
    "deliver_bad_address": ["'<x' is not an email address"],
    "save_no_folder": ["There is no folder /no/such/folder"],
    "settings_errors": ["'7500x' is not a size", "'500y' is not a size"],
}


def pressing(name: str, keys: list[str]):
    async def run(pilot):
        await pilot.press(*keys)
        await pilot.app.workers.wait_for_complete()
        await until_shown(pilot, *LEADS_TO.get(name, ()))

    return run


@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(snap_compare, name):
    dialog, keys = DIALOGS[name]
    assert snap_compare(DialogApp(dialog()), run_before=pressing(name, keys), terminal_size=(80, 24))


@pytest.mark.parametrize("name", ["deliver_left_out", "delete_many", "settings_warnings"])
def test_dialog_without_colour(snap_compare, monkeypatch, name):
    monkeypatch.setenv("NO_COLOR", "1")
    dialog, keys = DIALOGS[name]
    assert snap_compare(DialogApp(dialog()), run_before=pressing(name, keys), terminal_size=(80, 24))


@pytest.mark.parametrize("name", ["deliver_left_out", "settings"])
def test_dialog_in_sixteen_colours(snap_compare, name):
    dialog, keys = DIALOGS[name]
    assert snap_compare(DialogApp(dialog(), SIXTEEN.name), run_before=pressing(name, keys), terminal_size=(80, 24))
