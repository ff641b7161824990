"""`mailhold gateway`: enrolling, its output and its checks."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from store.enrolment.enrolled import beat
from store.enrolment.enrolment import open_with_credentials
from store.enrolment.presence import Presence
from store.opening.opening import Unlock, open_store
from store.opening.slots import add_key_file
from store.terms.records import CopyRecord
from tests.conftest import PASSPHRASE
from tui.commands.cli import main


@pytest.fixture
def key(store: str, tmp_path: Path) -> Path:
    vault = open_store(store, Unlock.passphrase(PASSPHRASE))
    add_key_file(vault, tmp_path / "key")
    vault.close()
    return tmp_path / "key"


def enroll(store: str, key: Path, *more: str) -> int:
    return main(["gateway", "enroll", *more, "--store", store, "--key-file", str(key)])


def test_enrol_and_check(store: str, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    credentials = tmp_path / "credentials"
    assert enroll(store, key, "mx1", "--credentials", str(credentials)) == 0
    assert "number 2" in capsys.readouterr().out
    open_with_credentials(store, credentials).close()
    assert enroll(store, key, "mx1", "--credentials", str(tmp_path / "other")) == 2
    assert "already" in capsys.readouterr().err
    config = tmp_path / "mailhold.toml"
    config.write_text(
        f'[store]\nlocation = "{store}"\ncredentials = "{credentials}"\n[milter]\nlisten = ["unix:{tmp_path}/m"]\n'
    )
    assert main(["gateway", "--config", str(config), "--check-config"]) == 0
    said = capsys.readouterr().out
    assert "opened as gateway mx1" in said and "\n▲ settings: no relay is set" in said
    config.write_text(config.read_text() + '[engines.clamd]\naddress = "127.0.0.1:1"\n')
    assert main(["gateway", "--config", str(config), "--check-config"]) == 1
    assert "✗ clamd answers: " in capsys.readouterr().out
    config.write_text(config.read_text() + "nonsense = 1\n")
    assert main(["gateway", "--config", str(config), "--check-config"]) == 2
    assert "line 8" in capsys.readouterr().err
    assert main(["gateway", "--config", str(config)]) == 2


def test_list_and_revoke(
    store: str, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ["--store", store, "--key-file", str(key)]
    assert main(["gateway", "list", *here]) == 0
    assert capsys.readouterr().out == "No gateway is enrolled.\n"
    assert enroll(store, key, "mx1", "--credentials", str(tmp_path / "credentials")) == 0
    capsys.readouterr()
    assert main(["gateway", "list", *here]) == 0
    assert capsys.readouterr().out.endswith("  not running, or its [delivery] is off\n")
    gateway = open_with_credentials(store, tmp_path / "credentials")
    presence = Presence(store, 2)
    assert main(["gateway", "list", *here]) == 0
    assert capsys.readouterr().out.endswith("  running; its [delivery] is off, or it cannot write to the store\n")
    presence.end()
    Path(f"{store}.gateway-2").unlink()
    copy_id = gateway.put(b"Subject: x\r\n\r\nx\r\n", CopyRecord(envelope_recipients=("a@x.example",)))
    beat(gateway)
    assert main(["settings", "set", "relay=smtp://127.0.0.1:1", *here]) == 0
    assert main(["deliver", str(copy_id), "--original", *here]) == 0
    capsys.readouterr()
    assert main(["gateway", "revoke", "mx1", *here]) == 2
    assert "add --yes" in capsys.readouterr().err
    asked: list[str] = []
    monkeypatch.setattr("tui.commands.gateway.can_ask", lambda: True)
    monkeypatch.setattr("tui.commands.gateway.ask", lambda question: asked.append(question) or "n")
    assert main(["gateway", "revoke", "mx1", *here]) == 2
    assert "Revoke gateway mx1?" in asked[0] and "Stop it first" in asked[0]
    gateway.close()
    assert main(["gateway", "revoke", "mx1", "--yes", *here]) == 0
    said = capsys.readouterr().out
    assert (
        "Gateway mx1 is revoked" in said
        and "(1 epoch)" in said
        and "`mailhold queue retry 1`" in said
        and len(asked) == 1
    )
    assert main(["gateway", "list", *here]) == 0
    assert capsys.readouterr().out.split()[:3] == ["2", "mx1", "enrolled"]
    assert main(["gateway", "list", *here]) == 0
    assert capsys.readouterr().out.rstrip().endswith("revoked")
    assert main(["gateway", "revoke", "mx1", "--yes", *here]) == 2
    assert "already revoked" in capsys.readouterr().err
    assert "password" not in said
    assert enroll(store, key, "mx2", "--credentials", str(tmp_path / "other")) == 0
    assert main(["settings", "set", "relay=smtps://user:pass@127.0.0.1:1", *here]) == 0
    assert main(["gateway", "revoke", "mx2", "--yes", *here]) == 0
    assert "knew the relay's password. Change the password at the relay" in capsys.readouterr().out
    assert main(["check", *here]) == 0


@pytest.mark.parametrize(
    "words",
    [
        ["enroll"],
        ["revoke"],
        ["list", "mx1"],
        ["enroll", "mx1"],
        ["run", "mx1"],
        ["--credentials", "x"],
        ["--config", "/nowhere"],
    ],
)
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gateway", *words]) == 2
    assert capsys.readouterr().err.startswith("mailhold: ")


def test_the_example_and_the_unit_are_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["gateway", "--example-config"]) == 0
    assert "[engines.clamd]" in capsys.readouterr().out
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert main(["gateway", "--systemd-unit"]) == 0
    unit = capsys.readouterr().out
    assert "@MAILHOLD@" not in unit and "Type=notify" in unit
    assert f"ExecStart={Path(sys.executable).parent}/mailhold gateway" in unit


def test_a_clock_that_is_wrong_is_said_where_it_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    (tmp_path / "1.eml").write_text("From: a@x.example\nTo: b@y.example\nSubject: x\n\nhi\n")
    assert main(["init"]) == main(["import", str(tmp_path / "1.eml")]) == 0
    assert main(["settings", "set", "relay=smtp://127.0.0.1:9"]) == main(["deliver", "1", "--also", "c@y.example"]) == 0
    assert main(["gateway", "enroll", "mx1", "--credentials", str(tmp_path / "mx1")]) == 0
    with closing(sqlite3.connect(tmp_path / "backup.db")) as db, db:
        db.execute("UPDATE gateway SET alive_at = alive_at + ? WHERE id = 2", (4_000_000_000_000,))
        db.execute("UPDATE delivery SET next_attempt_at = next_attempt_at + 31536000000")
    capsys.readouterr()
    assert main(["gateway", "list"]) == 0
    assert "a clock is wrong" in capsys.readouterr().out
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "1 delivery waits with an impossible time" in out and "gateway mx1: unknown: its last sign of life" in out
    assert main(["status", "--json"]) == 0
    assert {"odd_times": 1, "wrong_clocks": ["mx1"]}.items() <= json.loads(capsys.readouterr().out).items()
    assert main(["queue"]) == 0
    assert "time problem: its time is in the future" in capsys.readouterr().out
