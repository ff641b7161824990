"""The room that is left to an open store whose disk is full: its log, its ballast, and the free pages of its file.

A deletion takes room in the log, and gives it back once the log's pages are in the file. So on a full disk the log is
emptied after each small batch, and begins anew in the room that it has. That takes room in the file where the log holds
copies that are new, and at first some in the log: the ballast has it, and what is cut off is put there at once, before
another program takes it.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

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

#: Less room than this on the disk is none for other programs: what is deleted is given back to it.
_SHORT_BYTES = 1024 * 1024
#: Seconds after which it is looked again whether the ballast is there.
_LOOK_SECONDS = 60.0
#: Pages that are given back to the disk at first, and in all. Moving a page takes up to three in the log.
_FEW_PAGES, _MANY_PAGES = 16, 4096


class Room:
    """The room beside one session. A store on PostgreSQL has none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._path = None if is_url(session.location) else Path(session.location).absolute()
        self._folder = "" if self._path is None else str(self._path.parent)
        self._ballast = None if self._path is None else Ballast(self._path)
        self._look_at = 0.0
        self._emptied = False
        #: A descriptor of the store's file. It is never closed: this process would lose the locks that it has on it.
        self._file: int | None = None
        #: Whether the disk was full for this session.
        self.tight = False

    def keep(self) -> None:
        """Make the ballast, where it is not there; now and then, for it costs a look at the disk. Never raises."""
        if self._ballast is not None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_SECONDS
            self._ballast.load()

    def admit(self, size: int) -> None:
        """Refuse copies of `size` bytes that would fit in the log and not in the file. Raises DiskFull.

        The log could then never be emptied, and nothing could be deleted.
        """
        if self._path is None or self._free() >= 2 * size + SLICE_BYTES + BALLAST_BYTES:
            return
        # With the log's pages in the file, the next transaction takes the log's room from its start.
        log = self._log_bytes() if self.empty_log() else 0
        with self._session.reading():
            spare = int(pragma(self._session.db, "freelist_count")) * PAGE_SIZE
        if size > spare and self._free() < size + max(0, size - log) + SLICE_BYTES:
            raise disk_full(self._session.location)

    def _free(self) -> int:
        """Return the free bytes of the disk; if the system does not tell, a huge number."""
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return 1 << 62
        return disk.f_bavail * disk.f_frsize

    def _log_bytes(self) -> int:
        try:
            return beside(self._session.location, "-wal").stat().st_size
        except OSError:
            return 0

    def make(self, *, frees: bool = True) -> bool:
        """Make room in the log after the disk was full. Whether it is worth trying again: there was some to make.

        The ballast is given up for what `frees` room alone: else a deletion would find none.
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

    def done(self) -> None:
        """Empty the log after something succeeded in the room that was made."""
        self._emptied = False
        if self.tight:
            self.empty_log()

    def is_short(self) -> bool:
        """Whether the disk is as good as full."""
        return self._path is not None and self._free() < _SHORT_BYTES

    def empty_log(self) -> bool:
        """Bring the log's pages to the file, so that the log begins anew; wait for nobody. Whether all are there."""
        try:
            with self._session.writing():
                return checkpoint(self._session.db)
        except StoreUnavailable:
            return False

    def _put_by(self, size: int) -> None:
        """Keep `size` bytes that came free for the store: for what its file lacks, else for its log."""
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
            pass  # Another program was faster: the next slice is tried.

    def settle(self) -> None:
        """After deletions on a full disk: make the ballast again of the pages that came free, and give back others."""
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
        """Make the ballast again of what the log took up. For a store that nobody has open any more."""
        if self._ballast is not None and self.tight:
            self._ballast.take()
