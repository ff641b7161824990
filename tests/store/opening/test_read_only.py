"""Stores that can be read but not changed: on a read-only mount, without write permission, on a full disk."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.check import check
from store.database.modes import Use
from store.opening.opening import Unlock, create_store, open_store
from store.terms.errors import StoreUnavailable
from store.vault.vault import Vault
from tests import small_disk
from tests.conftest import PASSPHRASE
from tui.commands.cli import main

_KEY = "key"


def _make(folder: Path, put_some: Callable[..., list[int]], count: int = 3) -> str:
    location = str(folder / "mail.store")
    vault, _recovery = create_store(location, passphrase=PASSPHRASE, key_file=folder / _KEY)
    put_some(vault, count)
    vault.close()
    return location


def _open(location: str, use: Use = Use.READ) -> Vault:
    return open_store(location, Unlock.passphrase(PASSPHRASE), use)


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk.small_disk(12) as folder:
        yield folder


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command on a store; return its exit code, output and errors."""

    def call(location: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("MAILHOLD_STORE", location)
        monkeypatch.setenv("MAILHOLD_KEY_FILE", str(Path(location).with_name(_KEY)))
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return code, out, err

    return call


@pytest.mark.integration
def test_a_store_on_a_read_only_mount_is_read(
    disk: Path, put_some: Callable[..., list[int]], command: Callable[..., tuple[int, str, str]]
) -> None:
    location = _make(disk, put_some)
    before = sorted(disk.iterdir())
    with small_disk.read_only(disk):
        vault = _open(location, Use.EITHER)
        assert vault.read_only is not None and not vault.read_only.old
        assert len(vault.ids()) == 3 and check(vault).broken == [] and vault.change_token() == vault.change_token()
        with pytest.raises(StoreUnavailable, match=r"cannot be changed: its file system is read-only\. Mount"):
            vault.delete([1])
        vault.close()
        with pytest.raises(StoreUnavailable, match="cannot be changed"):
            _open(location, Use.WRITE)
        for words in (["list"], ["show", "1"], ["status"], ["check"], ["settings"], ["queue"], ["rules"], ["keys"]):
            code, out, err = command(location, *words, "--json")
            assert code == 0 and json.loads(out) is not None, words
            assert err == f"mailhold: The store {location} is open for reading only: its file system is read-only.\n"
        for words in (["delete", "1", "--yes"], ["save", "1", "--to", "/tmp"], ["settings", "set", "max_size=2MB"]):
            code, out, err = command(location, *words)
            assert (code, out) == (1, "") and "cannot be changed: its file system is read-only" in err, words
    assert sorted(disk.iterdir()) == before


@pytest.mark.integration
def test_what_a_killed_process_left_in_the_log_is_read_on_a_read_only_mount(
    disk: Path, put_some: Callable[..., list[int]], tmp_path: Path, command: Callable[..., tuple[int, str, str]]
) -> None:
    location = _make(tmp_path, put_some)
    vault = _open(location, Use.WRITE)
    put_some(vault, 2)
    for name in ("mail.store", "mail.store-wal", "mail.store-shm", _KEY):
        shutil.copy2(tmp_path / name, disk / name)
    vault.close()
    copied = str(disk / "mail.store")
    with small_disk.read_only(disk):
        code, out, err = command(copied, "list", "--json")
        assert len(json.loads(out)) == 5 and "may be missing" not in err
    (disk / "mail.store-shm").unlink()
    with small_disk.read_only(disk):
        code, out, err = command(copied, "list", "--json")
        assert (code, len(json.loads(out))) == (0, 3)
        assert "Its newest changes may be missing: its write-ahead log cannot be read." in err
    code, out, err = command(copied, "list", "--json")
    assert (code, len(json.loads(out)), err) == (0, 5, "")


@pytest.fixture
def shared() -> Iterator[Path]:
    """Make a folder that every user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="mailhold-shared-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def _as_another(work: Callable[[], Any]) -> Any:
    """Return the result of `work` in a process without write access to its owner's files."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            os.write(writing, json.dumps(work()).encode())
        except BaseException as error:
            os.write(writing, json.dumps(repr(error)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.wait()
    return json.loads(answer)


def _read(location: str) -> list[object]:
    vault = _open(location, Use.EITHER)
    assert vault.read_only is not None
    try:
        vault.delete([1])
    except StoreUnavailable as error:
        return [vault.ids(), vault.read_only.why, vault.read_only.old, "Check who owns it" in str(error)]
    return []


def test_a_store_that_belongs_to_somebody_else_is_read_and_left_alone(
    shared: Path, put_some: Callable[..., list[int]]
) -> None:
    location = _make(shared, put_some)
    Path(location).chmod(0o444)
    shared.chmod(0o555)
    files = sorted(shared.iterdir())
    assert _as_another(lambda: _read(location)) == [[1, 2, 3], "this user may not write to it", False, True]
    shared.chmod(0o777)
    assert _as_another(lambda: _read(location)) == [[1, 2, 3], "this user may not write to it", False, True]
    assert sorted(shared.iterdir()) == files


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users")
def test_a_store_that_somebody_else_has_open_is_read_as_it_is_now(
    shared: Path, put_some: Callable[..., list[int]]
) -> None:
    location = _make(shared, put_some)
    Path(location).chmod(0o644)
    owner = _open(location, Use.WRITE)
    put_some(owner, 2)
    assert _as_another(lambda: _read(location)) == [[1, 2, 3, 4, 5], "this user may not write to it", False, True]
    put_some(owner, 1)
    owner.close()


def test_a_folder_that_nobody_may_write_to_holds_a_store_to_read(
    shared: Path, put_some: Callable[..., list[int]]
) -> None:
    location = _make(shared, put_some)
    Path(location).chmod(0o666)
    shared.chmod(0o555)
    assert _as_another(lambda: _read(location)) == [[1, 2, 3], "this user may not write to its folder", False, True]
    shared.chmod(0o755)


@pytest.mark.integration
def test_a_store_that_changes_under_a_reader_without_locks_is_noticed(
    disk: Path, put_some: Callable[..., list[int]]
) -> None:
    location = _make(disk, put_some)
    with small_disk.read_only(disk):
        reader = _open(location, Use.EITHER)
        token = reader.change_token()
        assert reader.change_token() == token
    writer = _open(location, Use.WRITE)
    put_some(writer, 1)
    with pytest.raises(StoreUnavailable, match=r"was changed while it was being read. Open it again"):
        reader.change_token()
    reader.close()
    writer.close()


@pytest.mark.integration
def test_reading_on_a_full_disk_takes_no_room_and_gives_none_up(
    disk: Path, put_some: Callable[..., list[int]], command: Callable[..., tuple[int, str, str]]
) -> None:
    location = _make(disk, put_some)
    ballast = Path(location + ".ballast")
    size = ballast.stat().st_size
    small_disk.fill(disk)
    for _ in range(3):
        for words in (["list"], ["show", "1"], ["status"], ["check"]):
            code, out, err = command(location, *words, "--json")
            assert code == 0 and json.loads(out), err
            assert "is open for reading only: its disk is full." in err
        assert ballast.stat().st_size == size
    ballast.unlink()
    small_disk.fill(disk)
    vault = _open(location, Use.EITHER)
    assert len(vault.ids()) == 3
    with pytest.raises(StoreUnavailable, match=r"its disk is full\. Free space on the disk, then open it again"):
        vault.delete([1])
    vault.close()
    code, out, err = command(location, "delete", "1", "--yes")
    assert code == 1 and "its disk is full" in err and "delete" not in err
