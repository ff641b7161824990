"""Files that only their owner may read: how to create, replace and read them.

A new file never overwrites another or follows a symbolic link, has mode 0600 from the start, and is on the disk, name
and content, before it is relied on. A file to read is checked before it is opened, so that a FIFO or a device cannot
block the process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple


class NotPlain(Exception):
    """It is not a plain file; `str` says what it is."""


class WrongSize(Exception):
    """The size (`size` bytes) shows that it is not the expected file."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Secret(NamedTuple):
    """The content of a file, and how other users could access it ("" if they cannot), as text to follow its name."""

    data: bytes
    exposed: str


def open_new(path: str | bytes | Path, *, folder: int | None = None, append: bool = False) -> int:
    """Create a file and return its descriptor; `folder`: a folder's descriptor that `path` is relative to.

    Raises OSError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if append else 0)
    return os.open(path, flags, 0o600, dir_fd=folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all data, sync it to the disk, and close the descriptor in any case. Raises OSError."""
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Create a new file durably. Raises OSError (FileExistsError); no half-written file stays."""
    descriptor = open_new(path)
    try:
        write_all(descriptor, data)
        sync_folder(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def replaced(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` at the end, durably and atomically.

    Until then it is named `PATH.HEX.tmp`. Raises OSError, and what the block raises; `path` is unchanged then.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    descriptor = open_new(beside)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file lock `PATH.lock`, after waiting for other processes that hold it. Raises OSError."""
    lock = path.with_name(f"{path.name}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def prepared(path: Path, *, over: bool = False) -> Iterator[Path]:
    """Create an empty file for others to fill; at the end it gets the name `path`, durably and atomically.

    Until then it is named `PATH.HEX.tmp`. It replaces an existing file only with `over`. Raises OSError
    (FileExistsError), and what the block raises; `path` is unchanged then.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    os.close(open_new(beside))
    try:
        yield beside
        _sync(beside, os.O_RDWR)
        if over:
            beside.replace(path)
        else:
            _name_new(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _name_new(beside: Path, path: Path) -> None:
    """Rename, but never over an existing file."""
    try:
        path.hardlink_to(beside)
    except FileExistsError:
        raise
    except OSError:  # The file system has no hard links.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        beside.rename(path)
    else:
        beside.unlink()


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names of new files in it are durable. Raises OSError."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_plain(path: Path, *, follow: bool = True) -> int:
    """Open a plain file for reading and return its descriptor; without `follow`, symbolic links are refused.

    Raises NotPlain, OSError, and ValueError if the path is not valid.
    """
    require_plain(path.stat(follow_symlinks=follow))
    # The file may have been replaced since: open without blocking, and check again.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        require_plain(os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_secret(path: Path, smallest: int, largest: int) -> Secret:
    """Read a file of `smallest` to `largest` bytes, and report whether only this user (and root) can access it.

    The caller refuses an exposed file only after checking the content: nobody should be told to change the mode of a
    file that is not a secret. Raises NotPlain and WrongSize before reading, and OSError.
    """
    descriptor = open_plain(path)
    try:
        status = os.fstat(descriptor)
        if not smallest <= status.st_size <= largest:
            raise WrongSize(status.st_size)
        data = os.read(descriptor, largest + 1)
    finally:
        os.close(descriptor)
    if len(data) != status.st_size:
        raise WrongSize(len(data))
    return Secret(data, _exposed(status))


def require_plain(status: os.stat_result) -> None:
    """Raise NotPlain unless this is a plain file."""
    if stat.S_ISDIR(status.st_mode):
        raise NotPlain("a folder")
    if not stat.S_ISREG(status.st_mode):
        raise NotPlain("not a regular file")


def _exposed(status: os.stat_result) -> str:
    me = os.geteuid()
    if me and status.st_uid not in (me, 0):
        return "belongs to another user: make a copy that is your own"
    return "is open to other users: run chmod 600 on it" if status.st_mode & 0o077 else ""
