"""`mailhold restore` shows what is older than last seen, asks, and reports cancelled releases."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from store.authority.audit import events, record_event
from store.authority.settings import Settings
from store.delivery.queue import release
from store.opening.opening import Unlock, open_store
from store.opening.slots import add_key_file
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tui.commands.cli import main


@pytest.fixture
def older(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a store with a waiting release, put back from a backup that lacks three events; set its key file."""
    add_key_file(vault, tmp_path / "key", "ann")
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("MAILHOLD_STORE", vault.location)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
    copy_id = vault.put(b"Subject: x\r\n\r\nx\r\n", CopyRecord(envelope_recipients=("bob@corp.example",)))
    release(vault, [copy_id], original=True)
    assert main(["backup", str(tmp_path / "backup")]) == 0
    for _ in range(3):
        record_event(vault, "saved", operator="ann")
    vault.close()
    shutil.copyfile(tmp_path / "backup", vault.location)
    return vault.location


def test_restore(
    older: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Path(older).read_bytes()
    assert main(["settings", "set", "max_size=7 GB"]) == 1
    assert "older than what was seen" in capsys.readouterr().err
    assert main(["restore"]) == 2
    said = capsys.readouterr()
    assert "It lacks: 3 events.\n1 delivery waits and may have been sent since the backup: cancelled.\n" in said.out
    assert "  delivery 1, ordered " in said.out and "add --yes" in said.err
    asked: list[str] = []
    monkeypatch.setattr("tui.commands.restore.can_ask", lambda: True)
    monkeypatch.setattr("tui.commands.restore.ask", lambda question: asked.append(question) or "n")
    assert main(["restore"]) == 2
    assert "What it lacks stays lost" in asked[0]
    assert Path(older).read_bytes() == before
    monkeypatch.setattr("tui.commands.restore.ask", lambda _: "y")
    assert main(["restore"]) == 0
    assert "The store is accepted." in capsys.readouterr().out
    with closing(open_store(older, Unlock.key_file(tmp_path / "key"))) as opened:
        newest = events(opened)[0]
    assert (newest.operator, newest.action) == ("ann", "store restored")
    assert newest.detail == "lacks 3 events; releases called off: 1"
    assert main(["settings", "set", "max_size=7 GB"]) == 0
    assert main(["check"]) == 0
    capsys.readouterr()
    assert main(["restore", "--yes"]) == 0
    assert "The store holds everything that was seen of it on this machine, last at " in capsys.readouterr().out


@pytest.mark.usefixtures("older")
def test_keeping_orders(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["restore", "--yes", "--keep-orders", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("seen_at").endswith("Z")
    assert told == {"older": "3 events", "called_off": [], "kept": [1]}
    assert main(["queue", "--json"]) == 0
    assert [each["state"] for each in json.loads(capsys.readouterr().out)] == ["queued"]
