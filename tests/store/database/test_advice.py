"""What is said of a store that cannot be written to: the owner's permissions are blamed only if they are the cause."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.database.advice import advice_on
from tests import small_disk

READ_ONLY, FAILED = "attempt to write a readonly database", "disk I/O error"


@pytest.mark.integration
def test_a_file_system_that_became_read_only_is_named() -> None:
    with small_disk.small_disk(1) as disk:
        file = disk / "mail.store"
        file.touch()
        with small_disk.read_only(disk):
            for text in (READ_ONLY, FAILED):
                assert "file system is read-only" in advice_on(text, str(file))


def test_permissions_are_blamed_only_if_they_forbid_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mail.store"
    file.touch()
    assert "disk errors" in advice_on(READ_ONLY, str(file))  # a failing disk under files that the user may write to
    for forbidden in (file, tmp_path):
        monkeypatch.setattr(os, "access", lambda path, _mode, forbidden=forbidden: path != forbidden)
        assert "permissions" in advice_on(READ_ONLY, str(file))
    assert "disk errors" in advice_on(FAILED, str(tmp_path / "gone"))
    assert "permissions" in advice_on(READ_ONLY, str(tmp_path / "gone"))
    assert "permissions" in advice_on("permission denied for table store", None)  # a server's
