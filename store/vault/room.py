"""Disk space of an open SQLite store when its disk is full: in its log, its ballast, and the free pages of its file.

A deletion takes space in the log, which is free again once the log's pages are copied to the database file. So on a
full disk the log is emptied after each small batch and reused from its start. Emptying needs space in the file if the
log holds new copies, and the first batch may need some in the log. Both come from the ballast: each slice given up is
at once allocated to the file or the log, before another program takes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from store.database.connection import (
    PAGE_SIZE,
    DiskFull,
    beside,
    disk_full,
    is_url,
    pragma,
    pragma_to_its_end,
)
from store.database.log_file import checkpoint
from store.terms.errors import StoreUnavailable
from store.vault.ballast import BALLAST_BYTES, SLICE_BYTES, Ballast
from store.vault.session import Session

T = TypeVar("T")
#: Free space (bytes) below which the disk counts as short: then pages freed by deletions are given back to it.
_SHORT_BYTES = 1024 * 1024
#: Space (bytes) with which a batch of copies can be moved between Backup and the bin.
MOVING_BYTES = 128 * 1024
#: Seconds between checks whether the ballast is complete.
_LOOK_SECONDS = 60.0
#: Pages given back to the disk at first, and in total. Moving a page may write up to three to the log.
_FEW_PAGES, _MANY_PAGES = 16, 4096
#: Opens a folder that need not be readable.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class Room:
    """Manages the disk space of one session's store. Does nothing for PostgreSQL."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._path = None if is_url(session.location) else Path(session.location).absolute()
        #: The store's folder, open: a path would be looked up for each put.
        self._folder: int | None = None
        self._ballast = None if self._path is None else Ballast(self._path)
        self._look_at = 0.0
        self._emptied = False
        #: File descriptor of the store's file. Never closed: closing it would drop this process's locks on the file.
        self._file: int | None = None
        #: Whether this session has met a full disk.
        self.tight = False

    def keep(self) -> None:
        """Complete the ballast, at most once in 60 seconds, because that queries the disk. Never raises."""
        if self._ballast is not None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._ballast.load()

    def admit(self, size: int) -> None:
        """Refuse copies of `size` bytes that would fit in the log but not in the file. Raises DiskFull.

        Otherwise the log could never be emptied again, and nothing could be deleted.
        """
        if self._path is None or self._free() >= 2 * size + SLICE_BYTES + BALLAST_BYTES:
            return
        # After a checkpoint, the next transaction reuses the log from its start.
        log = self._log_bytes() if self.empty_log() else 0
        with self._session.reading():
            spare = int(pragma(self._session.db, "freelist_count")) * PAGE_SIZE
        if size > spare and self._free() < size + max(0, size - log) + SLICE_BYTES:
            raise disk_full(self._session.location)

    def _free(self) -> int:
        """Return the disk's free bytes, or a huge number if the system does not say."""
        try:
            disk = os.statvfs(self._open_folder() if self._folder is None else self._folder)
        except OSError:
            return 1 << 62
        return disk.f_bavail * disk.f_frsize

    def _open_folder(self) -> int:
        assert self._path is not None
        with self._session.lock:
            if self._folder is None:
                self._folder = os.open(self._path.parent, _FOLDER)
            return self._folder

    def _log_bytes(self) -> int:
        try:
            return beside(self._session.location, "-wal").stat().st_size
        except OSError:
            return 0

    def make(self, *, frees: bool = True) -> bool:
        """Make space in the log after the disk was full. Returns whether any was made, so that a retry makes sense.

        Gives up ballast only for work that itself `frees` space, so that some is always left for deletions.
        """
        if self._ballast is None:
            return False
        self.tight = True
        if not self._emptied:
            self._emptied = True
            if self.empty_log():
                return True
        size = self._ballast.cut() if frees else 0
        if size:
            self._put_by(size)
            self.empty_log()
        return size > 0

    def with_space(self, work: Callable[[], T]) -> T:
        """Call `work`, again with more space as long as the disk is full and there is some for it. Raises DiskFull.

        In an open transaction only once.
        """
        if self._session.db.in_transaction():
            return work()
        while True:
            try:
                done = work()
            except DiskFull:
                if not self.make(frees=False):
                    raise
            else:
                self.done()
                return done

    def done(self) -> None:
        """Empty the log after work in the space made by `make` succeeded."""
        self._emptied = False
        if self.tight:
            self.empty_log()

    def has_some(self) -> bool:
        """Whether copies can probably be moved: on the disk or in the log."""
        return self._path is None or max(self._free(), self._log_bytes()) >= MOVING_BYTES

    def tighten(self) -> bool:
        """Return whether the disk is short of space. If so, empty the log after each piece of work from now on."""
        short = self.is_short()
        self.tight = self.tight or short
        return short

    def is_short(self) -> bool:
        """Whether less than 1 MB of the disk is free."""
        return self._path is not None and self._free() < _SHORT_BYTES

    def empty_log(self) -> bool:
        """Copy the log's pages to the file, so that the log is reused from its start. Returns whether all were copied.

        Does not wait for other processes.
        """
        try:
            with self._session.writing():
                return checkpoint(self._session.db)
        except StoreUnavailable:
            return False

    def _put_by(self, size: int) -> None:
        """Allocate `size` bytes given up by the ballast: to the database file if it lacks space, else to the log."""
        assert self._path is not None
        try:
            with self._session.reading():
                pages = int(pragma(self._session.db, "page_count"))
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            held = os.fstat(self._file).st_size
            if pages * PAGE_SIZE > held:
                os.posix_fallocate(self._file, held, min(size, pages * PAGE_SIZE - held))
                return
            log = os.open(beside(self._session.location, "-wal"), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.posix_fallocate(log, os.fstat(log).st_size, size)
            finally:
                os.close(log)
        except (OSError, StoreUnavailable):
            pass  # Another program took the space first; the caller tries the next slice.

    def settle(self) -> None:
        """Shrink the file after deletions on a full disk.

        Its freed pages first refill the ballast; the rest go to the disk.
        """
        if self._ballast is None:
            return
        db = self._session.db
        left, pages = _MANY_PAGES, _FEW_PAGES
        while left > 0 and pages > 0:
            try:
                with self._session.writing():
                    before = int(pragma(db, "page_count"))
                    pragma_to_its_end(db, f"incremental_vacuum({pages})")
                    checkpoint(db)
                    freed = before - int(pragma(db, "page_count"))
            except DiskFull:
                pages //= 4
                continue
            except StoreUnavailable:
                break
            self._ballast.take()
            if freed <= 0:
                break
            left, pages = left - freed, min(2 * pages, _MANY_PAGES // 16)
        self._ballast.take()

    def close(self) -> None:
        """Refill the ballast from the space of the log. Call it once nobody has the store open any more."""
        if self._ballast is not None and self.tight:
            self._ballast.take()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
