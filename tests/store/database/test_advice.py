"""What is said of a store that cannot be written to: the owner's permissions are blamed only if they are the cause."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from store.database import file_systems
from store.database.access import reach, read_only
from store.database.advice import advice_on
from store.database.modes import Use
from store.opening.opening import create_store
from store.terms.errors import StoreReadOnly
from tests import small_disk
from tests.conftest import PASSPHRASE

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


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("connection failed: Connection refused", "runs and that this machine can reach it"),
        ("connection timeout expired", "runs and that this machine can reach it"),
        ("consuming input failed: server closed the connection unexpectedly", "runs and that this machine can reach"),
        ("failed to resolve host 'db.example': Name or service not known", "runs and that this machine can reach it"),
        ("FATAL:  the database system is in recovery mode", "starting or stopping"),
        ("terminating connection due to administrator command", "starting or stopping"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        (
            "FATAL:  remaining connection slots are reserved for non-replication superuser connections",
            "max_connections",
        ),
        ('FATAL:  password authentication failed for user "mailhold"', "the password in the store's location"),
        ("cannot execute UPDATE in a read-only transaction", "standby or was set to read-only"),
        ("canceling statement due to lock timeout", "locked it for too long"),
        ("canceling statement due to statement timeout", "statement_timeout"),
        ("terminating connection due to idle-in-transaction timeout", "did nothing for too long"),
        ('FATAL:  database "mailhold" does not exist', "check that the database exists"),
    ],
)
def test_a_servers_errors_name_what_to_do_about_them(text: str, advice: str) -> None:
    assert advice in advice_on(text, None)


def test_a_file_system_that_stopped_writing_is_named_though_it_is_mounted_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ext4 since Linux 6.15: neither statvfs nor access tells."""
    location = str(tmp_path / "mail.store")
    create_store(location, passphrase=PASSPHRASE)[0].close()
    device = tmp_path.stat().st_dev
    other, own = f"{os.major(device)}:{os.minor(device) + 1}", f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(file_systems, "_MOUNTS", mounts)
    line = "36 35 {} / /mnt rw,relatime shared:1 - ext4 /dev/sdb rw,errors=remount-ro{}\n"
    for text in ("", "odd\n", line.format(other, ",emergency_ro"), line.format(own, "")):
        mounts.write_text(text)
        assert read_only(location) is None
    mounts.write_text(line.format(other, "") + line.format(own, ",emergency_ro"))
    with pytest.raises(StoreReadOnly, match="its file system stopped writing after an error"):
        reach(location, Use.WRITE)
    db = reach(location, Use.READ)
    db.close_all()
    assert db.read_only is not None and "stopped writing" in db.read_only.why
    assert "repair it, and mount it again" in advice_on(READ_ONLY, location)
    assert "repair it, and mount it again" in advice_on(FAILED, location)
