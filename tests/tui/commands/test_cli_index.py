"""`mailhold index`, and the indexing done by `mailhold import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.commands.cli import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make a store without copies, and three messages."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    for number in range(3):
        (tmp_path / f"{number}.eml").write_text(f"From: a@x.example\nTo: b@y.example\nSubject: number {number}\n\nhi\n")
    assert main(["init"]) == 0
    return sorted(map(str, tmp_path.glob("*.eml")))


def index(capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    capfd.readouterr()
    assert main(["index", "--json"]) == 0
    found: dict[str, object] = json.loads(capfd.readouterr().out)
    return found


def test_import_indexes_what_it_placed(files: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "--no-index", files[0]]) == 0
    assert main(["import", *files[1:]]) == 0
    assert index(capfd) == {"indexed": 1, "left": 0, "failed": []}
    assert main(["index"]) == 0
    assert capfd.readouterr().out == "0 indexed\n"


def test_a_copy_that_cannot_be_read_is_named(
    files: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    assert main(["import", "--no-index", *files]) == 0
    with sqlite3.connect(tmp_path / "backup.db") as database:
        database.execute("DELETE FROM body WHERE id = 2")
    capfd.readouterr()
    assert main(["index"]) == 1
    said = capfd.readouterr()
    assert said.out == "2 indexed, 1 failed\n" and "copy 2: " in said.err and "body is missing" in said.err


def test_status_says_what_traits_take_up(files: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["import", *files]) == 0
    capfd.readouterr()
    assert main(["status", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert 0 < found["derived_bytes"] < found["used_bytes"] and found["known_bytes"] == 0
    assert main(["status"]) == 0
    assert "traits and campaigns: " in capfd.readouterr().out


def test_what_does_not_verify_is_made_anew_with_verify(
    files: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    assert main(["import", *files]) == 0
    with sqlite3.connect(tmp_path / "backup.db") as database:
        database.execute("UPDATE derived SET sealed = x'0500' WHERE id = 2")
    capfd.readouterr()
    assert main(["check"]) == 1
    assert "traits: those of copies 2 do not verify: `mailhold index --verify`" in "".join(capfd.readouterr())
    assert index(capfd)["indexed"] == 0
    assert main(["index", "--verify"]) == 0
    assert capfd.readouterr().out == "1 indexed\n"
    assert main(["index", "--verify"]) == 0
    assert capfd.readouterr().out == "0 indexed\n"
