"""`mailhold setup --root DIR` says that users are made on the machine itself, and its advice keeps to that folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.installing.places import Places, Wanted
from tui.commands.cli import main
from tui.commands.setup import _say_next


def test_it_says_whose_users_it_makes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "--root", str(tmp_path), "--mta", "none", "--dry-run"]) == 0
    assert "system user and group mailhold (of this machine)" in capsys.readouterr().out
    assert main(["setup", "--mta", "none", "--dry-run"]) == 0
    assert "of this machine" not in capsys.readouterr().out


def test_it_asks_with_these_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert main(["setup", "--root", str(tmp_path), "--mta", "none"]) == 2
    told = capsys.readouterr()
    assert f"The files go below {tmp_path}; users and groups are made on this machine itself." in told.out + told.err
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize("systemd", [True, False])
def test_what_comes_next_is_below_the_root(
    tmp_path: Path, systemd: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.installing.accounts.runs_systemd", lambda: systemd)
    _say_next(Places(Wanted(root=tmp_path, mta="none")), [])
    said = capsys.readouterr().out
    assert f"mailhold setup --root {tmp_path} --operator USER" in said and "systemctl" not in said
    _say_next(Places(Wanted(mta="none")), [])
    said = capsys.readouterr().out
    assert "mailhold setup --operator USER" in said and ("systemctl" in said) == systemd
