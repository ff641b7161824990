"""What the tests of the console share."""

from __future__ import annotations

import pytest

from tui.console.keys.type_ahead import TypeAheadApp


@pytest.fixture(autouse=True)
def windows_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test presses keys as soon as they can count: `test_arming.py` is about when they do, and what runs in a
    terminal of its own counts as for a user."""
    monkeypatch.setattr(TypeAheadApp, "arming_delay", None)
