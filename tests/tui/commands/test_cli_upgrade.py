"""`mailhold upgrade` asks, names running gateways, and says if there is nothing to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from store.helpers.clock import now_ms
from tests.store.upgrading.format_1 import in_sqlite, rows_of, secret
from tui.commands.cli import main


def alive(location: str, at: int) -> None:
    with closing(sqlite3.connect(location)) as db, db:
        db.execute("UPDATE gateway SET alive_at = ? WHERE id = 2", (at,))


def test_upgrading(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    location = in_sqlite(tmp_path)
    here = ["--store", location, "--key-file", str(secret("key-file", tmp_path))]
    before = rows_of(location)
    assert main(["list", *here]) == 1
    assert "run `mailhold upgrade`" in capsys.readouterr().err
    assert main(["backup", *here, str(tmp_path / "before.db")]) == 0
    assert "that needs a release for format 1, or `mailhold upgrade`." in capsys.readouterr().out
    assert main(["upgrade", *here]) == 2
    assert "add --yes" in capsys.readouterr().err
    asked: list[str] = []
    monkeypatch.setattr("tui.commands.upgrade.can_ask", lambda: True)
    monkeypatch.setattr("tui.commands.upgrade.ask", lambda question: asked.append(question) or "n")
    assert main(["upgrade", *here]) == 2
    assert "from format 1 to format 2" in asked[0] and "Make a backup" in asked[0]
    assert rows_of(location) == before
    capsys.readouterr()
    alive(location, now_ms() - 1000)
    assert main(["upgrade", "--yes", *here]) == 1
    assert "mx1.example.org (last heard from at " in capsys.readouterr().err and len(asked) == 1
    alive(location, 0)
    assert main(["upgrade", "--yes", *here]) == 0
    assert "The store now has format 2." in capsys.readouterr().out
    assert main(["upgrade", *here]) == 0
    assert "nothing to upgrade" in capsys.readouterr().out
    assert main(["check", *here]) == 0
