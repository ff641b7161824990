"""Files next to a store have its permissions: open to its group if intended, and to nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from store.helpers.companions import give_access
from store.vault.ballast import Ballast


@pytest.mark.parametrize(("store", "beside"), [(0o600, 0o600), (0o660, 0o660), (0o666, 0o660), (0o777, 0o660)])
def test_the_mode_is_that_of_the_store_without_others(tmp_path: Path, store: int, beside: int) -> None:
    location = tmp_path / "mail.store"
    location.touch()
    location.chmod(store)
    before = os.umask(0o077)
    try:
        Ballast(location).take()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "mail.store.ballast").stat().st_mode) == beside


def test_a_store_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        give_access(descriptor, tmp_path / "none")
    finally:
        os.close(descriptor)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_root_gives_it_to_the_store_s_owner(tmp_path: Path) -> None:
    location = tmp_path / "mail.store"
    location.touch()
    os.chown(location, 65534, 65534)
    Ballast(location).take()
    status = (tmp_path / "mail.store.ballast").stat()
    assert (status.st_uid, status.st_gid) == (65534, 65534)
