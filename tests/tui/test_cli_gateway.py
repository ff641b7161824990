"""`mailhold gateway`: enrolling, and what it prints and checks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from store.enrolment import open_with_credentials
from store.opening import Unlock, add_key_file, open_store
from tests.conftest import PASSPHRASE
from tui.cli import main


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
    assert "opened as gateway mx1" in capsys.readouterr().out
    config.write_text(config.read_text() + '[engines.clamd]\naddress = "127.0.0.1:1"\n')
    assert main(["gateway", "--config", str(config), "--check-config"]) == 1
    assert "mailhold: clamd:" in capsys.readouterr().err
    config.write_text(config.read_text() + "nonsense = 1\n")
    assert main(["gateway", "--config", str(config), "--check-config"]) == 2
    assert "line 8" in capsys.readouterr().err
    assert main(["gateway", "--config", str(config)]) == 2


@pytest.mark.parametrize(
    "words", [["enroll"], ["enroll", "mx1"], ["run", "mx1"], ["--credentials", "x"], ["--config", "/nowhere"]]
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
