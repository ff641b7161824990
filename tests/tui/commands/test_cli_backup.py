"""`mailhold backup`: its output, and the key it verifies with."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from tui.commands.cli import main


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a terminal on which the passphrase is typed."""
    monkeypatch.delenv("MAILHOLD_KEY_FILE", raising=False)
    monkeypatch.setattr("tui.commands.backup.can_ask_secret", lambda: True)
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _: PASSPHRASE)


@pytest.mark.usefixtures("terminal")
def test_backup(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    command = ["backup", str(copy), "--store", store]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{copy}: 0 copies, ") and said.endswith("Verified: every copy, signature and chain.\n")
    assert main(command) == 2
    assert "add --force to replace it" in capsys.readouterr().err
    assert main([*command, "--force", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("bytes") == copy.stat().st_size
    assert told == {
        "path": str(copy),
        "messages": 0,
        "format": 2,
        "newest_event": None,
        "seals_verified": True,
        "broken": [],
    }
    assert main(["check", "--store", str(copy)]) == 0


def test_without_a_key(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILHOLD_KEY_FILE", raising=False)
    asks = [True, False]
    monkeypatch.setattr("tui.commands.backup.can_ask_secret", asks.pop)
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _: pytest.fail("it asked"))
    assert main(["backup", "--store", store, str(tmp_path / "cron")]) == 0
    assert "Seals and signatures were not" in capsys.readouterr().out
    assert main(["backup", "--store", store, "--no-key", str(tmp_path / "other")]) == 0


@pytest.mark.usefixtures("terminal")
def test_what_is_broken_is_named(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("UPDATE state SET messages = 4")
    assert main(["backup", "--store", store, str(tmp_path / "copy")]) == 1
    said = capsys.readouterr()
    assert "1 broken" in said.out and "mailhold: the table of counters: its counts do not match the copies" in said.err
    assert (tmp_path / "copy").exists()


def test_interrupted(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.backing_up.backing_up.file_problems", lambda _: signal.raise_signal(signal.SIGINT) or [])
    monkeypatch.setattr("tui.commands.backup.Interrupt.__call__", lambda _: True)
    assert main(["backup", "--store", store, "--no-key", str(tmp_path / "copy")]) == 130
    assert "interrupted; no backup was written." in capsys.readouterr().err
    assert not list(tmp_path.glob("copy*"))
