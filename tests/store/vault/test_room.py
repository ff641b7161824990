"""Disk space of a store: which copies it admits, when it empties its log, and the size of the ballast."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from store.database.connection import PAGE_SIZE, DiskFull, pragma
from store.opening.opening import Unlock, open_store
from store.terms.records import CopyRecord
from store.vault import ballast, room
from store.vault.ballast import Ballast
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE

MB = 1 << 20
SLICE = 256 * 1024
#: With less than this beyond twice the copies, the log is emptied first.
SPARE = SLICE + 4 * MB


class Disk(NamedTuple):
    """What `os.statvfs` reports of a disk with blocks of one byte."""

    f_blocks: int
    f_bavail: int
    f_bfree: int
    f_frsize: int = 1


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets the disk's free space and size, to the byte."""

    def be(free: int, total: int = 1 << 40) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _path: Disk(total, free, free))

    return be


def admits(vault: Vault, size: int) -> bool:
    try:
        vault.room.admit(size)
    except DiskFull as error:
        assert "its disk is full" in str(error)
        return False
    return True


def log(vault: Vault) -> Path:
    return Path(vault.location + "-wal")


def brought(vault: Vault) -> bool:
    """Return True if all pages of the log are in the file: it is complete without its log."""
    alone = Path(vault.location + ".alone")
    shutil.copy(vault.location, alone)
    with closing(sqlite3.connect(f"file:{alone}?immutable=1", uri=True)) as db:
        found = db.execute("SELECT COUNT(*) FROM message").fetchone()
    return bool(found == (vault.count().messages,))


@pytest.fixture
def logged(vault: Vault, record: CopyRecord) -> Vault:
    """Make a vault whose log holds a copy of 100,000 bytes that is not in its file."""
    vault.put(os.urandom(100_000), record)
    assert log(vault).stat().st_size > 100_000 and not brought(vault)
    return vault


@pytest.mark.parametrize("size", [0, 1, 5000, 3 * MB])
def test_with_room_to_spare_the_log_is_left_alone(logged: Vault, disk: Callable[..., None], size: int) -> None:
    disk(2 * size + SPARE)
    assert admits(logged, size) and not brought(logged)
    disk(2 * size + SPARE - 1)
    assert admits(logged, size) and brought(logged)


@pytest.mark.parametrize("more", [0, 1, PAGE_SIZE, MB])
def test_what_the_log_has_room_for_must_fit_in_the_file_and_the_rest_in_both(
    logged: Vault, disk: Callable[..., None], more: int
) -> None:
    size = log(logged).stat().st_size + more
    disk(size + more + SLICE)
    assert admits(logged, size)
    disk(size + more + SLICE - 1)
    assert not admits(logged, size)


def test_what_is_smaller_than_the_log_must_fit_in_the_file(logged: Vault, disk: Callable[..., None]) -> None:
    disk(20_000 + SLICE)
    assert admits(logged, 20_000)
    disk(20_000 + SLICE - 1)
    assert not admits(logged, 20_000)


def test_a_log_that_somebody_reads_has_no_room(logged: Vault, disk: Callable[..., None], record: CopyRecord) -> None:
    with closing(sqlite3.connect(logged.location, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM message").fetchone()
        logged.put(b"x", record)
        disk(2 * 20_000 + SLICE)
        assert admits(logged, 20_000)
        disk(2 * 20_000 + SLICE - 1)
        assert not admits(logged, 20_000)
    disk(20_000 + SLICE)
    assert admits(logged, 20_000)


def test_free_pages_of_the_file_have_room_whatever_the_disk_has(logged: Vault, disk: Callable[..., None]) -> None:
    logged.delete(logged.ids())
    with logged.reading():
        spare = int(pragma(logged.db, "freelist_count")) * PAGE_SIZE
    assert spare > 50_000
    disk(0)
    assert admits(logged, spare)
    assert not admits(logged, spare + 1)


def test_a_disk_that_does_not_say_has_room(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: object) -> Any:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "statvfs", refuse)
    assert admits(vault, 1 << 50) and not vault.room.is_short()


def test_a_copy_that_has_no_room_is_refused_and_all_that_come_with_it(
    vault: Vault, disk: Callable[..., None], record: CopyRecord
) -> None:
    disk(0)
    with pytest.raises(DiskFull):
        vault.put(b"x", record)
    with pytest.raises(DiskFull):
        vault.put_many((b"x", record, None) for _ in range(2))
    disk(1 << 40)
    assert vault.ids() == [] and vault.put(b"x", record) == 1


def test_a_disk_is_short_below_a_megabyte(vault: Vault, disk: Callable[..., None]) -> None:
    disk(MB)
    assert not vault.room.is_short()
    disk(MB - 1)
    assert vault.room.is_short()


def test_the_log_is_emptied_and_says_so(logged: Vault) -> None:
    with closing(sqlite3.connect(logged.location, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM message").fetchone()
        logged.put(b"x", CopyRecord())
        assert logged.room.empty_log() is False
    assert logged.room.empty_log() is True and brought(logged)


def test_it_is_looked_once_a_minute_whether_the_ballast_is_there(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, record: CopyRecord
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    beside = Path(vault.location + ".ballast")
    vault.put(b"x", record)
    assert beside.exists()
    beside.unlink()
    clock[0] += 59.9
    vault.put(b"x", record)
    assert not beside.exists()
    clock[0] += 0.1
    vault.put(b"x", record)
    assert beside.exists()


@pytest.mark.integration
def test_a_store_that_has_no_disk_beside_it_has_room(postgres_store: str, record: CopyRecord) -> None:
    with closing(open_store(postgres_store, Unlock.passphrase(PASSPHRASE))) as vault:
        assert admits(vault, 1 << 60) and not vault.room.is_short() and not vault.room.make()
        vault.room.keep()
        vault.room.settle()
        assert vault.put(b"x", record) == 1


def test_on_a_full_disk_the_log_is_emptied_before_any_ballast_is_given_up(logged: Vault, record: CopyRecord) -> None:
    beside = Path(logged.location + ".ballast")
    whole, length = beside.stat().st_size, log(logged).stat().st_size
    assert logged.room.make() and brought(logged)
    assert beside.stat().st_size == whole and log(logged).stat().st_size == length
    assert logged.room.make() and not beside.exists()
    assert log(logged).stat().st_size == length + whole, "the log has the room that the ballast had"
    assert not logged.room.make()
    logged.put(os.urandom(9000), record)
    assert not brought(logged)
    logged.room.done()
    assert brought(logged)
    logged.put(os.urandom(9000), record)
    assert logged.room.make() and brought(logged), "the log is emptied again"
    location = logged.location
    logged.close()
    assert beside.stat().st_size == whole and not Path(location + "-wal").exists()


def test_a_log_that_somebody_reads_is_not_emptied_and_ballast_is_given_up_at_once(
    logged: Vault, record: CopyRecord
) -> None:
    beside = Path(logged.location + ".ballast")
    with closing(sqlite3.connect(logged.location, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM message").fetchone()
        logged.put(b"x", record)
        assert logged.room.make() and not beside.exists()
        assert not logged.room.make()


def test_where_the_disk_was_never_full_the_log_is_left_alone(logged: Vault) -> None:
    logged.room.done()
    assert not brought(logged) and not logged.room.tight
    beside = Path(logged.location + ".ballast")
    beside.unlink()
    logged.close()
    assert not beside.exists()


def test_pages_that_came_free_are_given_back_and_the_ballast_made_of_them(vault: Vault, record: CopyRecord) -> None:
    beside = Path(vault.location + ".ballast")
    vault.put_many((os.urandom(9000), record, None) for _ in range(300))
    whole = beside.stat().st_size
    assert vault.room.make() and vault.room.make() and not beside.exists()
    vault.delete(vault.ids()[1:])
    vault.room.settle()
    with vault.reading():
        assert pragma(vault.db, "freelist_count") == 0
    assert vault.room.empty_log() and Path(vault.location).stat().st_size < 1_000_000
    assert beside.stat().st_size == whole
    assert len(vault.raw(vault.ids()[0])) == 9000


@pytest.fixture
def weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ballast:
    """Return a store's ballast of the default size, before it is made."""
    monkeypatch.setattr(ballast, "BALLAST_BYTES", 4 * MB)
    return Ballast(tmp_path / "mail.store")


def size(weight: Ballast) -> int:
    return weight.path.stat().st_size if weight.path.exists() else 0


@pytest.mark.parametrize(
    ("total", "whole"),
    [
        (1 << 40, 4 * MB),
        (48 * MB, 4 * MB),
        (48 * MB - 1, 15 * SLICE),
        (12 * SLICE + 12, SLICE),
        (24 * SLICE, 2 * SLICE),
        (24 * SLICE - 1, SLICE),
        (12 * SLICE, SLICE),
        (12 * SLICE - 1, SLICE - 1),
        (12_000, 1000),
    ],
)
def test_it_is_whole_slices_of_a_twelfth_of_a_small_disk(
    weight: Ballast, disk: Callable[..., None], total: int, whole: int
) -> None:
    disk(total, total)
    weight.load()
    assert size(weight) == whole
    weight.path.unlink()
    assert weight.take() and size(weight) == whole


def test_it_is_made_where_the_disk_has_four_times_as_much(weight: Ballast, disk: Callable[..., None]) -> None:
    disk(16 * MB - 1)
    weight.load()
    assert not weight.path.exists()
    disk(16 * MB)
    weight.load()
    assert size(weight) == 4 * MB and weight.path.stat().st_mode & 0o777 == 0o600
    assert weight.path.stat().st_blocks * 512 >= 4 * MB, "it takes up what it says"


def test_what_is_missing_is_made_where_the_disk_has_four_times_that(weight: Ballast, disk: Callable[..., None]) -> None:
    weight.take()
    assert weight.cut() == SLICE and weight.cut(1000) == 1000
    missing = SLICE + 1000
    disk(4 * missing - 1)
    weight.load()
    assert size(weight) == 4 * MB - missing
    disk(4 * missing)
    weight.load()
    assert size(weight) == 4 * MB


def test_it_is_cut_by_slices_until_it_is_gone(weight: Ballast) -> None:
    weight.take()
    assert [weight.cut() for _ in range(15)] == [SLICE] * 15
    assert size(weight) == SLICE
    assert weight.cut(SLICE - 1) == SLICE - 1 and size(weight) == 1
    assert weight.cut() == 1 and not weight.path.exists()
    assert weight.cut() == 0


def test_the_last_slice_takes_the_file_away(weight: Ballast) -> None:
    weight.path.write_bytes(bytes(SLICE))
    assert weight.cut() == SLICE and not weight.path.exists()


@pytest.mark.parametrize("there", [0, SLICE, SLICE + 5])
def test_where_the_room_ends_it_stays_as_it_was(weight: Ballast, monkeypatch: pytest.MonkeyPatch, there: int) -> None:
    """Like a file system without its own `fallocate`: it writes until there is no more room."""
    if there:
        weight.path.write_bytes(b"x" * there)

    def half(handle: int, offset: int, length: int) -> None:
        os.pwrite(handle, bytes(length // 2), offset)
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "posix_fallocate", half)
    weight.load()
    assert size(weight) == there and weight.path.exists() is bool(there)
    assert not weight.take()
    assert size(weight) == there and weight.path.exists() is bool(there)


def test_it_grows_behind_what_is_there(weight: Ballast, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    allocate = os.posix_fallocate

    def noting(handle: int, offset: int, length: int) -> None:
        asked.append((offset, length))
        allocate(handle, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", noting)
    weight.path.write_bytes(bytes(4 * MB - SLICE - 7))
    assert weight.take() and size(weight) == 4 * MB
    assert asked == [(4 * MB - SLICE - 7, SLICE), (4 * MB - 7, 7)], "a slice at a time"
    assert weight.take() and len(asked) == 2


def test_no_link_is_followed_and_no_descriptor_left(weight: Ballast, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"precious")
    weight.path.symlink_to(theirs)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        weight.load()
        assert not weight.take() and weight.cut(3) == 0
    assert theirs.read_bytes() == b"precious" and weight.path.is_symlink()
    weight.path.unlink()
    assert weight.take() and weight.cut() == SLICE
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_copies_can_be_moved_while_the_disk_or_the_log_has_room(
    vault: Vault, disk: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, logged_bytes, room_left in (
        (room.MOVING_BYTES, 0, True),
        (room.MOVING_BYTES - 1, 0, False),
        (0, room.MOVING_BYTES, True),
        (0, room.MOVING_BYTES - 1, False),
    ):
        disk(free)
        monkeypatch.setattr(vault.room, "_log_bytes", lambda has=logged_bytes: has)
        assert vault.room.has_some() is room_left, (free, logged_bytes)


def test_work_that_frees_nothing_leaves_the_ballast(logged: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballast, "BALLAST_BYTES", MB)
    beside = Path(logged.location + ".ballast")
    beside.write_bytes(bytes(MB))
    assert logged.room.make(frees=False) and beside.stat().st_size == MB, "the log is emptied first"
    assert not logged.room.make(frees=False) and beside.stat().st_size == MB
    assert logged.room.make() and beside.stat().st_size == MB - SLICE


def test_work_is_tried_again_while_there_is_more_room_for_it(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    makes = iter([True, True, False])
    monkeypatch.setattr(vault.room, "make", lambda *, frees: not frees and next(makes))
    fails = 2

    def work() -> str:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise DiskFull("full")
        return "done"

    assert vault.room.with_space(work) == "done"
    fails = 1
    with pytest.raises(DiskFull):
        vault.room.with_space(work)
    makes = iter([True])
    fails = 1
    with pytest.raises(DiskFull), vault.write():
        vault.room.with_space(work)


def test_the_folder_that_is_asked_for_its_space_is_opened_once_and_closed_with_the_store(
    store: str, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    statvfs = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda place: asked.append(place) or statvfs(place))
    vault = open_store(store, Unlock.passphrase(PASSPHRASE))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _number: vault.put(b"x", record), range(12)))
    [folder] = {place for place in asked if isinstance(place, int)}
    assert os.path.samestat(os.fstat(folder), Path(store).parent.stat())
    vault.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(folder)
