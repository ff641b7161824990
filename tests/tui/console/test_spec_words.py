"""The windows, buttons and lists that the spec names: word for word, and in its order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

import pytest

from store.authority.settings import Settings, Unavailable
from store.filters.line import MessageFilter
from store.vault.vault import Vault
from tests.tui.console.driven import lines, make_console, settle
from tests.tui.console.view_data import RAW, record_of
from tests.tui.console.view_harness import NOW, DialogApp, FakeRecipient, screen_text
from tui.console.dialogs.backup_settings import BackupSettingsDialog
from tui.console.dialogs.base import Dialog
from tui.console.dialogs.delete import DeleteDialog
from tui.console.dialogs.deliver import DeliverDialog
from tui.console.dialogs.save import SaveDialog
from tui.console.dialogs.search_filter import SearchFilterDialog

SPEC = Path(__file__).resolve().parents[4] / "shared" / "spec" / "backup-help.txt"

SEARCH_FILTER = [
    "Search filter",
    "From",
    "To",
    "Subject",
    "Message-ID",
    "Rule ID",
    "Period",
    "starting from",
    "ending with",
    "Scan type",
    "Anti-Spam",
    "Anti-Virus",
    "Content filtering",
    "Anti-Phishing",
    "Custom black list of addresses",
    "Message size (KB)",
    "≤",
    "≥",
    "OK",
]
DELIVER = [
    "Deliver message",
    "To recipients' email addresses specified in the message header",
    "To additional email addresses",
    "OK",
]
DELETE = ["Delete message(s)", "Delete"]
SETTINGS = [
    "Backup settings",
    "Backup maximum size",
    "Free space threshold to notify about",
    "Allow delivery of infected messages",
    "Yes",
    "No",
    "Actions to take on messages if Backup is unavailable",
    "Process messages",
    "Temporary fail",
    "Reject messages",
    "OK",
]
LIST_BUTTONS = ["Deliver", "View", "Delete", "Save"]
VIEW_BUTTONS = ["To messages list", "Deliver", "Delete", "Save"]


def in_order(text: str, words: Sequence[str]) -> None:
    """Check that each of the words stands in the text, after the one before it and by itself."""
    at = 0
    for word in words:
        found = text.find(word, at)
        assert found >= 0, f"{word!r} is not where the spec has it:\n{text}"
        at = found + len(word)
        assert not text[found - 1].isalnum() and not text[at : at + 1].isalnum(), f"{word!r} is part of a word"


@pytest.mark.parametrize("size", [(80, 24), (160, 40)])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda: SearchFilterDialog(MessageFilter(), tz=UTC, now=NOW), SEARCH_FILTER, id="search-filter"),
        pytest.param(lambda: DeliverDialog([FakeRecipient("a@x.example")], copies=1), DELIVER, id="deliver"),
        pytest.param(lambda: DeleteDialog(1, kept="until 2 Dec"), DELETE, id="delete-one"),
        pytest.param(lambda: DeleteDialog(1204), DELETE, id="delete-many"),
        pytest.param(lambda: BackupSettingsDialog(Settings()), SETTINGS, id="settings"),
    ],
)
async def test_a_window_has_the_words_of_the_spec_in_its_order(make, words: list[str], size: tuple[int, int]) -> None:
    app = DialogApp(make())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        in_order(screen_text(app), words)


@pytest.mark.parametrize(
    ("dialog", "danger"),
    [
        (SaveDialog(1, folder=Path("/tmp"), dangerous=1), "It is infected or probably infected."),
        (SaveDialog(9, folder=Path("/tmp"), dangerous=2), "2 of them are infected or probably infected."),
        (SaveDialog(9, folder=Path("/tmp")), ""),
    ],
)
async def test_saving_infected_messages_is_warned_about_in_the_words_of_the_spec(dialog: Dialog, danger: str) -> None:
    app = DialogApp(dialog)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.pause()
        shown = " ".join(str(each.visual) for each in app.screen.query(".danger").results())
    said = (
        f"▲ {danger} Saving infected and probably infected messages on the hard drive poses a security threat to this "
        "computer."
    )
    assert shown == (said if danger else "")


async def test_the_buttons_of_the_list_and_of_the_view(vault: Vault) -> None:
    vault.put(RAW, record_of(RAW), stored_at=NOW)
    app = make_console(vault)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        in_order(lines(app)[-1], LIST_BUTTONS)
        await pilot.press("enter")
        await settle(pilot)
        [buttons] = [line for line in lines(app) if "[ To messages list ]" in line]
        in_order(buttons, VIEW_BUTTONS)


def test_the_options_if_backup_is_unavailable() -> None:
    assert [each.label for each in Unavailable] == ["Process messages", "Temporary fail", "Reject messages"]


@pytest.mark.skipif(not SPEC.is_file(), reason="the spec's text is not beside this checkout (../shared/spec)")
@pytest.mark.parametrize("words", [SEARCH_FILTER, DELIVER, DELETE, SETTINGS, VIEW_BUTTONS])
def test_the_spec_has_these_words(words: list[str]) -> None:
    spec = SPEC.read_text(encoding="utf-8")
    assert [word for word in words if word not in spec and word not in ("≤", "≥")] == []
