"""Ballast: a file beside a SQLite store that is given up when the disk is full.

SQLite writes a deletion to its write-ahead log first, which needs space exactly when there is none. Giving up the
ballast makes that space; it is made again when there is room for it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Enough for many batches of deletions.
BALLAST_BYTES = 4 * 1024 * 1024


class Ballast:
    """The ballast of the store at `path`. None of its methods raises."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".ballast")

    def load(self) -> None:
        """Make the ballast, where it is not there and the disk has room to spare."""
        try:
            if self.path.exists() or shutil.disk_usage(self.path.parent).free < 4 * BALLAST_BYTES:
                return
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self.path, flags, 0o600)
            try:
                os.posix_fallocate(handle, 0, BALLAST_BYTES)
            finally:
                os.close(handle)
        except OSError:
            self.give_up()

    def give_up(self) -> bool:
        """Free the space. Whether there was any to free."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
