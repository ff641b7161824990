"""Files that only their owner may read: made, replaced, checked and read."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from store.helpers import secret_files
from store.helpers.secret_files import NotPlain, WrongSize, open_plain, prepared, read_secret, replaced, write_new


def test_a_new_file_is_the_owners_alone_and_goes_over_nothing(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_new(path, b"x" * 100_000)
    assert path.read_bytes() == b"x" * 100_000 and stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for taken in (path, tmp_path / "link"):
        with pytest.raises(FileExistsError):
            write_new(taken, b"other")
    assert path.read_bytes()[:1] == b"x" and not (tmp_path / "elsewhere").exists()


def test_half_a_file_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    left = [3]

    def write(descriptor: int, data: memoryview) -> int:
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: left.pop()])

    monkeypatch.setattr(secret_files.os, "write", write)
    with pytest.raises(OSError, match="No space"):
        write_new(tmp_path / "secret", b"abcdef")
    assert list(tmp_path.iterdir()) == []


def test_name_and_content_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []
    monkeypatch.setattr(secret_files.os, "fsync", lambda fd: synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)))
    write_new(tmp_path / "new", b"x")
    with replaced(tmp_path / "new") as file:
        file.write(b"y")
    assert synced == [False, True, False, True]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for data in (b"one", b"two"):
        with replaced(path) as file:
            file.write(data)
        assert path.read_bytes() == data and stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ZeroDivisionError), replaced(path) as file:
        file.write(b"thr")
        raise ZeroDivisionError
    assert path.read_bytes() == b"two" and list(tmp_path.iterdir()) == [path]


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to the pipe").symlink_to(tmp_path / "pipe")
    (tmp_path / "plain").write_bytes(b"x")
    (tmp_path / "to the file").symlink_to(tmp_path / "plain")
    os.close(open_plain(tmp_path / "to the file"))
    monkeypatch.setattr(secret_files.os, "open", lambda *_a, **_k: pytest.fail("it was opened"))
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "to the pipe", Path("/dev/zero"), Path("/dev/tty")):
        with pytest.raises(NotPlain):
            read_secret(path, 1, 10)
    with pytest.raises(NotPlain):
        open_plain(tmp_path / "to the file", follow=False)


def test_what_changes_between_look_and_opening_is_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").write_bytes(b"x")
    plain = (tmp_path / "plain").stat()
    monkeypatch.setattr(Path, "stat", lambda *_a, **_k: plain)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotPlain):
        open_plain(tmp_path / "pipe")


def test_size_is_judged_before_a_byte_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write_new(path, b"12345")
    assert read_secret(path, 5, 5) == (b"12345", "")
    monkeypatch.setattr(secret_files.os, "read", lambda *_: pytest.fail("it was read"))
    for smallest, largest in ((6, 9), (0, 4)):
        with pytest.raises(WrongSize) as refused:
            read_secret(path, smallest, largest)
        assert refused.value.size == 5


def test_who_may_read_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write_new(path, b"x")
    for mode, told in ((0o600, ""), (0o400, ""), (0o640, "chmod 600"), (0o604, "chmod 600"), (0o622, "chmod 600")):
        path.chmod(mode)
        exposed = read_secret(path, 1, 1).exposed
        assert told in exposed and bool(told) == bool(exposed)
    path.chmod(0o600)
    if os.geteuid() == 0:
        # Root reads anybody's file; another user only their own and root's.
        monkeypatch.setattr(secret_files.os, "geteuid", lambda: 12345)
        assert read_secret(path, 1, 1).exposed == ""
        os.chown(path, 54321, -1)
    else:
        monkeypatch.setattr(secret_files.os, "geteuid", lambda: os.getuid() + 1)
    assert "belongs to another user" in read_secret(path, 1, 1).exposed


@pytest.mark.parametrize("links", [True, False])
def test_what_others_fill_gets_its_name_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "file"
    with prepared(path) as beside:
        beside.write_text("first")
        assert not path.exists() and beside.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == "first"
    with pytest.raises(FileExistsError), prepared(path) as beside:
        beside.write_text("second")
    with pytest.raises(ZeroDivisionError), prepared(path, over=True) as beside:
        beside.write_text(str(1 // 0))
    assert path.read_text() == "first"
    with prepared(path, over=True) as beside:
        beside.write_text("third")
    assert path.read_text() == "third" and list(tmp_path.iterdir()) == [path]
