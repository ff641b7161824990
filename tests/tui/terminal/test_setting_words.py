"""An event names a setting as the console does."""

from __future__ import annotations

import msgspec
import pytest

from store.authority.settings import CHANGED, Settings, Unavailable, changes_of
from tests.tui.console.view_harness import ZONE
from tui.console.screens.events import event_lines
from tui.console.screens.settings import setting_lines
from tui.terminal.setting_words import LABELS, change_words


def test_every_setting_has_a_label() -> None:
    assert set(LABELS) == set(Settings.__struct_fields__)


def test_the_settings_screen_calls_them_the_same() -> None:
    shown = "\n".join(" ".join(span.text.strip() for span in line) for line in setting_lines(Settings(), 160))
    for name in ("max_size", "notify_below", "allow_infected", "relay", "lock_after", "hold", "bin_days"):
        assert LABELS[name] in shown


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_a_change_is_said_without_the_raw_name(name: str) -> None:
    other = {
        "if_unavailable": Unavailable.REJECT,
        "relay": "smtp://mx.example.org",
        "administrator": "a@b.example",
        "local_domains": ("b.example",),
        "release_ignores": ("x-a",),
        "allow_infected": True,
        "release_loops": True,
    }
    before = Settings()
    after = msgspec.structs.replace(before, **{name: other.get(name, 2**30)})
    said = change_words(CHANGED, "; ".join(changes_of(before, after)))
    assert said.startswith(f"{LABELS[name]}: ") and " → " in said and "_" not in said
    for undone in ("undone: ", "redone: "):
        assert change_words(CHANGED, undone + "; ".join(changes_of(before, after))) == undone + said


def test_several_changes_and_the_options_labels() -> None:
    detail = "max_size: 5 GB -> 4 GB; if_unavailable: process -> temporary-fail"
    assert change_words(CHANGED, detail) == (
        "Backup maximum size: 5 GB → 4 GB; "
        "Actions to take on messages if Backup is unavailable: Process messages → Temporary fail"
    )
    assert change_words("save", "to max_size: 1 -> 2") == "to max_size: 1 -> 2"


def test_nothing_is_cut_beside_empty_space() -> None:
    from store.authority.audit import Event

    ids = list(range(1, 24, 2))
    event = Event(1, 0, "ann", "address lists changed", ids, "")
    (line,) = event_lines([event], ZONE, 140)
    text = "".join(span.text for span in line)
    assert "address lists changed  12 copies: 1, 3, 5" in text and "…" not in text
