"""Ballast: a reserve file beside a SQLite store, given up slice by slice when the disk is full.

A deletion is first written to the write-ahead log, which needs space exactly when there is none. Giving up ballast
makes that space; the ballast is recreated when the disk has room again. Even opening the store takes a little space,
for the log's index.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from store.database.connection import BALLAST
from store.helpers.companions import give_access

#: Enough for all pages in the log that do not have a place in the database file yet.
BALLAST_BYTES = 4 * 1024 * 1024
#: The ballast is at most a 12th of the disk.
_SHARE = 12
#: Given up at a time: space in the log for one batch of deletions.
SLICE_BYTES = 256 * 1024
#: Space for the log's index and the log's first page.
INDEX_BYTES = 64 * 1024
_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Ballast:
    """The ballast of the store at `path`. None of its methods raises."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + BALLAST)
        self._store = path

    def load(self) -> None:
        """Create or complete the ballast if the disk has four times the missing space free."""
        try:
            missing = self._missing()
            if missing > 0 and shutil.disk_usage(self.path.parent).free >= 4 * missing:
                self._grow(missing)
        except OSError:
            pass

    def take(self) -> bool:
        """Grow the ballast slice by slice into whatever space is free. Returns whether it is complete."""
        try:
            while (missing := self._missing()) > 0:
                self._grow(min(missing, SLICE_BYTES))
        except OSError:
            return False
        return True

    def cut(self, most: int = SLICE_BYTES) -> int:
        """Give up to `most` bytes of the ballast back to the disk. Returns how many, 0 without ballast."""
        try:
            handle = os.open(self.path, _FLAGS)
            try:
                size = os.fstat(handle).st_size
                if size > most:
                    os.ftruncate(handle, size - most)
                    return most
            finally:
                os.close(handle)
            self.path.unlink()
        except OSError:
            return 0
        return size

    def _size(self) -> int:
        return self.path.lstat().st_size if os.path.lexists(self.path) else 0

    def _missing(self) -> int:
        """Return how many bytes the ballast lacks. Raises OSError."""
        whole = min(BALLAST_BYTES, shutil.disk_usage(self.path.parent).total // _SHARE)
        return whole // SLICE_BYTES * SLICE_BYTES - self._size() if whole > SLICE_BYTES else whole - self._size()

    def _grow(self, size: int) -> None:
        """Make the ballast `size` bytes larger. Raises OSError."""
        present = os.path.lexists(self.path)
        handle = os.open(self.path, _FLAGS | (0 if present else os.O_CREAT | os.O_EXCL), 0o600)
        try:
            if not present:
                give_access(handle, self._store)
            before = os.fstat(handle).st_size
            try:
                os.posix_fallocate(handle, before, size)
            except OSError:
                if before:
                    os.ftruncate(handle, before)
                else:
                    self.path.unlink()
                raise
        finally:
            os.close(handle)
