"""One flipped bit in the settings hides no copy: counting and listing need no settings, and report the damage."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tui.commands.cli import main


@pytest.fixture
def damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """Make a store of three copies and flip a bit of its settings."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    for number in range(3):
        (tmp_path / f"{number}.eml").write_text(f"From: a@x.example\nTo: b@y.example\nSubject: number {number}\n\nhi\n")
    assert main(["init"]) == 0
    assert main(["import", *(str(path) for path in tmp_path.glob("*.eml"))]) == 0
    assert main(["settings", "set", "max_size=1GB"]) == 0
    with sqlite3.connect(tmp_path / "backup.db") as db:
        # This is the row that `init` wrote: there is no older version to fall back on.
        db.execute("DELETE FROM configuration WHERE name = 'settings' AND version = 1")
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


def flip(folder: Path, name: str, field: str = "sealed") -> None:
    """Flip a bit of the newest row with that name."""
    with sqlite3.connect(folder / "backup.db") as db:
        sql = f"SELECT id, {field} FROM configuration WHERE name = ? ORDER BY id DESC LIMIT 1"
        [(row_id, blob)] = db.execute(sql, (name,))
        changed = blob[:-1] + bytes([blob[-1] ^ 1])
        db.execute(f"UPDATE configuration SET {field} = ? WHERE id = ?", (changed, row_id))
    db.close()


def test_what_is_placed_is_told_though_the_settings_are_damaged(
    damaged: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", str(damaged / "1.eml")]) == 0
    out, err = capfd.readouterr()
    assert "1 placed in Backup" in out and "Settings is damaged" in err and "No maximum size is known" in err


def test_settings_say_what_is_known_and_how_to_reset_them(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 1
    out, err = capfd.readouterr()
    assert not out and "mailhold settings reset" in err and "max_size: 7.32 GB -> 1 GB" in err
    assert main(["settings", "set", "max_size=2GB"]) == 1
    assert "mailhold settings reset" in capfd.readouterr().err


def test_a_reset_is_confirmed_and_says_what_is_lost(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "reset"]) == 2
    out, err = capfd.readouterr()
    assert not out and "Everything in them is lost" in err and "Add --yes" in err and "7.32 GB -> 1 GB" in err
    assert main(["settings", "reset", "--yes"]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("The settings were reset to those of a new store.\nmax_size        7.32 GB") and not err
    assert main(["list", "--json"]) == main(["status", "--json"]) == main(["check"]) == 0
    assert not capfd.readouterr().err
    assert main(["settings", "reset"]) == 0
    assert "verify. Nothing was reset" in capfd.readouterr().out


def test_a_former_version_is_put_in_force(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "reset", "--former", "--yes"]) == 1
    assert "No former version" in capfd.readouterr().err
    assert main(["settings", "reset", "--yes"]) == main(["settings", "set", "max_size=3GB"]) == 0
    assert main(["settings", "set", "relay=smtp://127.0.0.1:25"]) == 0
    flip(damaged, "settings")
    capfd.readouterr()
    assert main(["settings", "reset", "--former", "--json", "--yes"]) == 0
    assert json.loads(capfd.readouterr().out)["max_size"] == 3 << 30


@pytest.mark.parametrize(
    ("change", "command", "name", "then"),
    [
        (["rules", "add", "spammers"], "rules", "rules", "Default"),
        (["lists", "add", "black", "spam.example"], "lists", "address-lists", "organisation: 0"),
    ],
)
def test_rules_and_lists_are_reset(
    damaged: Path, capfd: pytest.CaptureFixture[str], change: list[str], command: str, name: str, then: str
) -> None:
    assert main(change) == 0
    flip(damaged, name)
    capfd.readouterr()
    for words in ([command], change, [command, "export"]):
        assert main(words) == 1
        assert f"mailhold {command} reset" in capfd.readouterr().err
    assert main([command, "reset"]) == 2
    assert "lost" in capfd.readouterr().err
    assert main([command, "reset", "--yes"]) == 0
    out, err = capfd.readouterr()
    assert "were reset" in out and then in out and "spammers" not in out and "spam.example" not in out and not err
    assert main(change) == 0


@pytest.mark.parametrize(
    "words",
    [
        ("settings", "reset", "max_size=1GB"),
        ("settings", "--former"),
        ("rules", "reset", "1"),
        ("rules", "--yes"),
        ("lists", "reset", "black"),
        ("lists", "--former"),
    ],
)
def test_a_reset_takes_nothing_else(damaged: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert main(list(words)) == 2
    assert "reset" in capfd.readouterr().err


def test_list_names_a_damaged_copy_and_shows_the_others(damaged: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "reset", "--yes"]) == 0
    with sqlite3.connect(damaged / "backup.db") as db:
        db.execute("UPDATE message SET step = step + 100 WHERE id = 2")
    db.close()
    capfd.readouterr()
    for words in (["--limit", "5"], [], ["number"]):
        assert main(["list", "--json", *words]) == 1
        out, err = capfd.readouterr()
        assert {row["id"] for row in json.loads(out)} == {1, 3} and "copy 2: it is damaged" in err
