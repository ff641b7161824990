"""The console's trace: in its own file, with key presses and paints, without any typed text."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from store.terms.errors import UsageError
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle
from tui.console import trace


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "trace"
    monkeypatch.setenv("MAILHOLD_TRACE", str(path))
    monkeypatch.setattr(trace, "_file", None)
    return path


async def test_it_names_keys_windows_and_acts_and_nothing_that_was_typed(vault: Vault, path: Path) -> None:
    app = make_console(vault)
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press("slash", *"secret", "enter", "o", "escape")
        await pilot.press("T")
        await settle(pilot)
        await pilot.press(*"/secret", "space", "escape")
        await settle(pilot)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    names = [line["name"] for line in lines if line["what"] == "pressed"]
    assert names == ["slash", *["character"] * 6, "enter", "o", "escape", "T", *["character"] * 8, "escape"]
    assert "secret" not in path.read_text()
    assert all({"now", "wall"} <= line.keys() for line in lines)


def test_without_the_variable_there_is_none(vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILHOLD_TRACE")
    trace.start()
    trace.note("pressed", name="x")
    assert not trace.wanted() and not path.exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_that_is_there_is_left_alone(path: Path, kind: str) -> None:
    other = path.with_name("other")
    if kind == "file":
        path.write_text("kept")
    else:
        path.symlink_to(other)
    with pytest.raises(UsageError, match="Name another file"):
        trace.start()
    assert not other.exists() and (kind == "link" or path.read_text() == "kept")
