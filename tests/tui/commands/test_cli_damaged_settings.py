"""One flipped bit in the settings hides no copy: what counts and lists needs none of them, and says what is wrong."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tui.commands.cli import main


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A store of three copies, a bit of whose settings flipped."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    for number in range(3):
        (tmp_path / f"{number}.eml").write_text(f"From: a@x.example\nTo: b@y.example\nSubject: number {number}\n\nhi\n")
    assert main(["init"]) == 0
    assert main(["import", *(str(path) for path in tmp_path.glob("*.eml"))]) == 0
    assert main(["settings", "set", "max_size=1GB"]) == 0
    with sqlite3.connect(tmp_path / "backup.db") as db:
        [(name, sealed)] = db.execute("SELECT name, sealed FROM configuration WHERE name = 'settings'")
        db.execute("UPDATE configuration SET sealed = ? WHERE name = ?", (sealed[:-1] + bytes([sealed[-1] ^ 1]), name))
    db.close()
    capfd.readouterr()
    return tmp_path


@pytest.mark.parametrize("words", [(), ("number",), ("--limit", "2"), ("--sort", "size"), ("from:x.example",)])
def test_list_shows_the_copies_and_warns(
    damaged: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main(["list", "--json", *words]) == 0
    out, err = capfd.readouterr()
    assert len(json.loads(out)) == (2 if "--limit" in words else 3)
    assert err.startswith("mailhold: ") and "Settings is damaged" in err and len(err.splitlines()) == 1


def test_status_says_what_it_can_and_fails(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) != 0
    out, err = capfd.readouterr()
    said = json.loads(out)
    assert (said["messages"], said["max_bytes"], said["free_bytes"]) == (3, None, None)
    assert said["used_bytes"] > 0 and said["oldest"] and "Settings is damaged" in err
    assert main(["status"]) != 0
    out, err = capfd.readouterr()
    assert out.startswith("3 message copies\n") and "oldest: 2" in out and "Settings is damaged" in err
