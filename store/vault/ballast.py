"""Ballast: a file beside a SQLite store that is given up when the disk is full.

SQLite writes a deletion to its write-ahead log first, which needs space exactly when there is none. Giving up the
ballast makes that space; it is made again when there is room for it. Only to open the store takes a little space too,
for the log and its index: that much is cut off the ballast.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Enough for many batches of deletions.
BALLAST_BYTES = 4 * 1024 * 1024
#: Enough for the log and its index while the store is read.
SLICE_BYTES = 256 * 1024


class Ballast:
    """The ballast of the store at `path`. None of its methods raises."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".ballast")

    def load(self) -> None:
        """Make the ballast, where it is not there as a whole and the disk has room to spare."""
        try:
            present = os.path.lexists(self.path)
            if present and self.path.lstat().st_size >= BALLAST_BYTES:
                return
            if shutil.disk_usage(self.path.parent).free < 4 * BALLAST_BYTES:
                return
            flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            handle = os.open(self.path, flags | (0 if present else os.O_CREAT | os.O_EXCL), 0o600)
            try:
                os.posix_fallocate(handle, 0, BALLAST_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()

    def cut(self) -> bool:
        """Free a little of the space. Whether there was any to free."""
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                left = os.fstat(handle).st_size - SLICE_BYTES
                if left > 0:
                    os.ftruncate(handle, left)
            finally:
                os.close(handle)
        except OSError:
            return False
        return left > 0 or self.give_up()

    def give_up(self) -> bool:
        """Free the space. Whether there was any to free."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
