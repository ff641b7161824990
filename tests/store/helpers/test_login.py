"""The logged-in user as known to the system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.helpers import login


@pytest.mark.parametrize(
    ("said", "uid"), [("1234", 1234), ("0\n", 0), (str(2**32 - 1), os.getuid()), ("", os.getuid()), ("x", os.getuid())]
)
def test_the_login_counts_where_the_kernel_knows_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, uid: int
) -> None:
    (tmp_path / "loginuid").write_text(said)
    monkeypatch.setattr(login, "_LOGIN_UID", tmp_path / "loginuid")
    assert login.login_uid() == uid


def test_a_kernel_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "_LOGIN_UID", tmp_path / "none")
    assert login.login_uid() == os.getuid()


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = login.login_uid()
    for name in ("LOGNAME", "USER", "SUDO_USER", "SUDO_UID"):
        monkeypatch.setenv(name, "4321")
    assert login.login_uid() == before
