"""`mailhold check --repair` rewrites the store's own row and its counters after any damage."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from store.authority.audit import events
from store.enrolment.enrolment import open_with_credentials
from store.opening.opening import Unlock, open_store
from store.terms.errors import TamperedError
from tui.commands.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """Make a store with copies 1 and 2; copy 3, the newest, was deleted."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    for number in range(3):
        (tmp_path / f"{number}.eml").write_text(f"From: a@x.example\nTo: b@y.example\nSubject: number {number}\n\nhi\n")
    assert main(["init"]) == main(["import", *(str(path) for path in tmp_path.glob("*.eml"))]) == 0
    assert main(["delete", "3", "--yes"]) == 0
    assert main(["gateway", "enroll", "mx1", "--credentials", str(tmp_path / "mx1")]) == 0
    capfd.readouterr()
    return tmp_path


def sql(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "backup.db")) as db, db:
        db.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "read_key = zeroblob(1216)",
        "authority_key = zeroblob(32)",
        "signature = zeroblob(64)",
        "created_at = created_at + 1",
        "created_at = -5",
    ],
)
def test_the_stores_own_row(folder: Path, capfd: pytest.CaptureFixture[str], change: str) -> None:
    sql(folder, f"UPDATE store SET {change}")
    assert main(["list", "--json", "--limit", "9"]) == 0
    out, err = capfd.readouterr()
    assert {row["id"] for row in json.loads(out)} == {1, 2} and "its own row is damaged" in err
    assert main(["check"]) == 1
    assert main(["delete", "1", "--yes"]) == 1
    assert "mailhold check --repair" in capfd.readouterr().err
    with pytest.raises(TamperedError):
        open_with_credentials(str(folder / "backup.db"), folder / "mx1").close()
    assert main(["check", "--repair"]) == 0
    out, err = capfd.readouterr()
    assert "no problems found" in out and "rebuilt: the store's row" in err
    assert main(["check"]) == main(["delete", "1", "--yes"]) == 0
    open_with_credentials(str(folder / "backup.db"), folder / "mx1").close()
    with closing(open_store(str(folder / "backup.db"), Unlock.key_file(folder / "key"))) as vault:
        assert "store repaired" in [event.action for event in events(vault)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE state SET messages = 7",
        "UPDATE state SET used_bytes = -1",
        "UPDATE state SET next_copy_id = 1",
        "UPDATE state SET next_copy_id = 9223372036854775807",
        "UPDATE state SET id = 4 WHERE id = 1",
        "DELETE FROM state",
    ],
)
def test_the_counters(folder: Path, capfd: pytest.CaptureFixture[str], change: str) -> None:
    sql(folder, change)
    assert main(["check", "--repair"]) == 0
    assert "rebuilt: the table of counters: 2 copies" in capfd.readouterr().err
    assert main(["import", str(folder / "0.eml")]) == main(["check"]) == 0
    capfd.readouterr()
    assert main(["list", "--json"]) == 0
    assert {row["id"] for row in json.loads(capfd.readouterr().out)} == {1, 2, 4}, "no id is given out again"


def test_nothing_is_written_where_all_is_whole(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--repair"]) == 0
    assert "nothing to rebuild" in capfd.readouterr().err
    with closing(open_store(str(folder / "backup.db"), Unlock.key_file(folder / "key"))) as vault:
        assert "store repaired" not in [event.action for event in events(vault)]
