"""Ballast: a file beside a SQLite store that is given up, a slice at a time, when the disk is full.

SQLite writes a deletion to its write-ahead log first, which needs space exactly when there is none. Giving up the
ballast makes that space; it is made again when there is room for it. Only to open the store takes a little space too,
for the log's index.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from store.database.connection import BALLAST
from store.helpers.companions import give_access

#: Enough for all that the log may hold whose place in the file is not there yet.
BALLAST_BYTES = 4 * 1024 * 1024
#: On a small disk it takes this part of it.
_SHARE = 12
#: Enough in the log for a batch of deletions.
SLICE_BYTES = 256 * 1024
#: Enough for the log's index, and the log's first page.
INDEX_BYTES = 64 * 1024
_FLAGS = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Ballast:
    """The ballast of the store at `path`. None of its methods raises."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + BALLAST)
        self._store = path

    def load(self) -> None:
        """Make the ballast, where it is not there as a whole and the disk has room to spare."""
        try:
            missing = self._missing()
            if missing > 0 and shutil.disk_usage(self.path.parent).free >= 4 * missing:
                self._grow(missing)
        except OSError:
            pass

    def take(self) -> bool:
        """Take what room there is, until the ballast is whole. Whether it is."""
        try:
            while (missing := self._missing()) > 0:
                self._grow(min(missing, SLICE_BYTES))
        except OSError:
            return False
        return True

    def cut(self, most: int = SLICE_BYTES) -> int:
        """Free up to `most` bytes of the space. Returns how many that were, 0 where there is no ballast."""
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
        """Return how many bytes it lacks. Raises OSError."""
        whole = min(BALLAST_BYTES, shutil.disk_usage(self.path.parent).total // _SHARE)
        return whole // SLICE_BYTES * SLICE_BYTES - self._size() if whole > SLICE_BYTES else whole - self._size()

    def _grow(self, size: int) -> None:
        """Make it `size` bytes larger. Raises OSError."""
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
