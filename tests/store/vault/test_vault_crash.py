"""Processes that are killed, forked, cut off or out of disk space: no acknowledged copy is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority.settings import Settings
from store.check import check
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.errors import StoreError, StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.ballast import Ballast
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE

#: Puts copies, in threads and in groups, and deletes some; prints each acknowledgement on a line.
_CHILD = """
import sys, threading
from store.opening.opening import Unlock, open_store
from store.terms.records import CopyRecord
location, passphrase, seed, turns = sys.argv[1:5]
vault = open_store(location, Unlock.passphrase(passphrase))
lock = threading.Lock()
def say(*words):
    with lock:
        print(*words, flush=True)
def work(index):
    for turn in range(int(turns)):
        raw = b"%s %d %d " % (seed.encode(), index, turn) * 200
        copy_id = vault.put(raw, CopyRecord(subject="x"))
        say("put", copy_id, raw[:20].hex())
        if turn % 5 == 4:
            say("deleting", copy_id)
            vault.delete([copy_id])
            say("deleted", copy_id)
        if turn % 7 == 6:
            for copy_id in vault.put_many((raw, CopyRecord(), None) for _ in range(20)):
                say("put", copy_id, raw[:20].hex())
threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
vault.close()
say("done")
"""


def _start(location: str, seed: int, turns: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _CHILD, location, PASSPHRASE, str(seed), str(turns)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class _Account:
    """The acknowledgements of the children."""

    def __init__(self) -> None:
        self.kept: dict[int, str] = {}
        self.gone: set[int] = set()
        self.doubtful: set[int] = set()

    def hear(self, line: str) -> None:
        match line.split():
            case ["put", copy_id, start]:
                assert int(copy_id) not in self.kept, "an id was given out twice"
                self.kept[int(copy_id)] = start
            case ["deleting", copy_id]:
                self.doubtful.add(int(copy_id))
            case ["deleted", copy_id]:
                self.gone.add(int(copy_id))

    def settle(self, vault: Vault) -> None:
        """Assert that every acknowledged copy is there, byte for byte, and every acknowledged deletion is done."""
        there = set(vault.ids())
        for copy_id, start in self.kept.items():
            if copy_id in self.gone:
                assert copy_id not in there
            elif copy_id not in self.doubtful or copy_id in there:
                raw = vault.raw(copy_id)
                assert raw[:20].hex() == start and raw == raw[: len(raw) // 200] * 200


def test_killed_at_random_moments(any_vault: Vault) -> None:
    source, account = random.Random(7), _Account()
    for turn in range(6):
        child = _start(any_vault.location, turn, 10_000)
        assert child.stdout is not None
        for _ in range(source.randrange(1, 120)):
            account.hear(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        for line in child.communicate(timeout=30)[0].splitlines(keepends=True):
            if line.endswith("\n"):
                account.hear(line)
    account.settle(any_vault)
    result = check(any_vault)
    assert result.broken == []
    assert result.checked > 20


def test_processes_at_the_same_time(any_vault: Vault) -> None:
    account = _Account()
    children = [_start(any_vault.location, seed, 12) for seed in range(3)]
    for child in children:
        out, error = child.communicate(timeout=120)
        assert out.endswith("done\n"), error
        for line in out.splitlines():
            account.hear(line)
    account.settle(any_vault)
    assert len(any_vault.ids()) == len(account.kept) - len(account.gone)
    result = check(any_vault)
    assert (result.broken, result.open_epochs) == ([], [])


def test_a_forked_child_serves_no_key_of_its_parent(any_vault: Vault, record: CopyRecord) -> None:
    any_vault.put(b"before", record)
    child = os.fork()
    if child == 0:
        outcome = 3
        try:
            any_vault.put(b"child", record)
        except StoreError as error:
            outcome = 0 if "fork" in str(error) else 2
        finally:
            os._exit(outcome)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    any_vault.put(b"after", record)
    assert [any_vault.raw(copy_id) for copy_id in any_vault.ids()] == [b"before", b"after"]
    assert check(any_vault).broken == []


def test_a_store_that_was_removed_is_not_written_to(vault: Vault, record: CopyRecord) -> None:
    vault.put(b"before", record)
    path = Path(vault.location)
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(StoreUnavailable, match="not there any more"):
        vault.put(b"lost", record)
    path.with_name("elsewhere").rename(path)
    assert vault.raw(vault.put(b"kept", record)) == b"kept"


@pytest.mark.integration
def test_a_server_that_ends_our_connections(empty_postgres: str, record: CopyRecord, sql: Callable[..., Any]) -> None:
    import psycopg

    vault, _recovery = create_store(empty_postgres, passphrase=PASSPHRASE)
    first = vault.put(b"before", record)
    with psycopg.connect(empty_postgres, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'mailhold' AND pid <> pg_backend_pid()"
        )
    with pytest.raises(StoreUnavailable):
        vault.put(b"lost", record)
    assert vault.raw(first) == b"before"
    assert vault.raw(vault.put(b"after", record)) == b"after"
    assert check(vault).broken == []
    vault.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a file system of 24 MB."""
    folder = Path(tempfile.mkdtemp(prefix="mailhold-disk-"))
    if os.getuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "mailhold-test", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.mark.integration
def test_a_full_disk(small_disk: Path, record: CopyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.vault.ballast.BALLAST_BYTES", 2 * 1024 * 1024)
    vault, _recovery = create_store(str(small_disk / "mail.store"), passphrase=PASSPHRASE)
    ballast = small_disk / "mail.store.ballast"
    source = random.Random(3)
    ids: list[int] = []
    with pytest.raises(StoreUnavailable, match="disk is full"):
        while True:
            ids.append(vault.put(source.randbytes(50_000), record))
    assert len(ids) > 50 and ballast.exists()
    filler = (small_disk / "filler").open("wb", buffering=0)
    try:
        for size in (65536, 512):
            while True:
                filler.write(bytes(size))
    except OSError:
        pass
    assert vault.delete(ids[:-20]).deleted == ids[:-20]
    assert ballast.stat().st_size == 2 * 1024 * 1024
    assert vault.ids() == ids[-20:]
    assert vault.raw(vault.put(b"there is room again", record)) == b"there is room again"
    assert check(vault).broken == []
    vault.close()
    filler.close()


@pytest.mark.integration
def test_a_store_on_a_full_disk_opens_and_copies_can_be_deleted(
    small_disk: Path, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed store has no write-ahead log and no index of it: opening it takes room."""
    monkeypatch.setattr("store.vault.ballast.BALLAST_BYTES", 2 * 1024 * 1024)
    path = str(small_disk / "mail.store")
    vault, _recovery = create_store(path, passphrase=PASSPHRASE)
    ballast = small_disk / "mail.store.ballast"
    source = random.Random(4)
    ids = vault.put_many((source.randbytes(50_000), record, None) for _ in range(200))
    vault.put(b"x", record)
    vault.close()
    assert ballast.stat().st_size == 2 * 1024 * 1024
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    for _ in range(2):
        again = open_store(path, Unlock.passphrase(PASSPHRASE))
        assert len(again.ids()) == 201 and check(again).broken == []
        again.close()
    assert ballast.stat().st_size == 2 * 1024 * 1024
    again = open_store(path, Unlock.passphrase(PASSPHRASE))
    assert again.delete(ids).deleted == ids
    again.close()
    assert ballast.stat().st_size == 2 * 1024 * 1024
    ballast.unlink()
    with (small_disk / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    with pytest.raises(StoreUnavailable, match="disk is full"):
        open_store(path, Unlock.passphrase(PASSPHRASE))


@pytest.mark.integration
def test_a_smaller_maximum_gives_space_back_to_a_full_disk(
    small_disk: Path, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.ballast.BALLAST_BYTES", 2 * 1024 * 1024)
    path = small_disk / "mail.store"
    vault, _recovery = create_store(str(path), passphrase=PASSPHRASE)
    source = random.Random(5)
    vault.put_many((source.randbytes(50_000), record, None) for _ in range(200))
    vault.put(b"x", record)
    vault.close()
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(4096))
    vault = open_store(str(path), Unlock.passphrase(PASSPHRASE))
    change_settings(vault, Settings(max_size=4 * 1024 * 1024))
    vault.close()
    assert path.stat().st_size < 5 * 1024 * 1024


def test_a_ballast_that_was_cut_is_made_whole_and_nothing_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.ballast.BALLAST_BYTES", 1 << 20)
    ballast = Ballast(tmp_path / "s")
    assert not ballast.cut()
    ballast.load()
    assert ballast.cut() and ballast.path.stat().st_size < 1 << 20
    ballast.load()
    assert ballast.path.stat().st_size == 1 << 20
    while ballast.cut():
        pass
    assert not ballast.path.exists()
    (tmp_path / "precious").write_bytes(b"x" * 1_000_000)
    ballast.path.symlink_to(tmp_path / "precious")
    assert not ballast.cut()
    ballast.load()
    assert (tmp_path / "precious").stat().st_size == 1_000_000


def test_a_ballast_that_the_disk_has_no_room_for_is_taken_away_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, start: int, size: int) -> None:
        os.ftruncate(handle, size // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    ballast = Ballast(tmp_path / "s")
    ballast.load()
    assert not ballast.path.exists()


def test_the_ballast_lies_beside_the_store(vault: Vault, record: CopyRecord) -> None:
    ballast = Path(vault.location + ".ballast")
    assert not ballast.exists()
    vault.put(b"x", record)
    assert ballast.stat().st_mode & 0o777 == 0o600
    assert not ballast.read_bytes().strip(b"\0")


def test_unlock_after_a_kill(store: str) -> None:
    """A store whose process was killed opens normally: its write-ahead log is applied."""
    child = _start(store, 1, 10_000)
    assert child.stdout is not None
    line = child.stdout.readline()
    child.kill()
    child.communicate(timeout=30)
    from store.opening.opening import open_store

    vault = open_store(store, Unlock.passphrase(PASSPHRASE))
    assert int(line.split()[1]) in vault.ids()
    vault.close()
