"""What the tests of the console share."""

from __future__ import annotations

import pytest
from textual import _wait

from tui.console.keys.type_ahead import TypeAheadApp


@pytest.fixture(autouse=True)
def windows_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test presses keys as soon as they can count: `test_arming.py` is about when they do, and what runs in a
    terminal of its own counts as for a user."""
    monkeypatch.setattr(TypeAheadApp, "arming_delay", None)


@pytest.fixture(autouse=True)
def the_pilot_looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Textual's pilot waits after each key, twice, until the app is idle, for which it looks every 20 ms: here every 5.

    A look sees all that was ready before it, however busy the machine is: what is ready runs first.
    """
    monkeypatch.setattr(_wait, "SLEEP_GRANULARITY", 0.005)
    monkeypatch.setattr(_wait, "SLEEP_IDLE", 0.00025)
