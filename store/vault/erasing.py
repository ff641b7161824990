"""Overwrite what an operator deletes for good, in the database file and, by truncating it, in the log.

SQLite leaves deleted bytes in place until the space is reused, and whoever has the key could still open them. Copies
removed by rotation are not overwritten: that would make every put several times slower.

Some bytes remain nevertheless: pieces of records and small bodies in unused parts of pages within which SQLite moved
rows; whatever the file system, a snapshot, a flash disk or a backup kept; and on PostgreSQL everything, at least until
the server's VACUUM.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from store.database.connection import pragma
from store.database.log_file import cut_log
from store.database.orm import SqliteDatabase
from store.terms.errors import StoreUnavailable
from store.vault.session import Session

#: Maximum bytes overwritten per batch: holds the write lock for about 30 ms.
ERASED_BYTES = 4 * 1024 * 1024
#: Attempts to truncate the log after a deletion, and seconds between them. Most reads are short.
_TRIES, _PAUSE = 10, 0.03


class Erasing:
    """Erases deleted copies of one vault."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: Whether the log may still hold deleted copies.
        self.pending = False

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """Make this thread's deletions inside the block overwrite the deleted bytes. Only SQLite can do that."""
        db = self._session.db
        pragma(db, "secure_delete=ON")
        self.pending = isinstance(db, SqliteDatabase)
        try:
            yield
        finally:
            pragma(db, "secure_delete=FAST")

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Make rows that this thread moves inside the block overwrite their old place.

        A later deletion could not: it does not know where they were.
        """
        db = self._session.db
        pragma(db, "secure_delete=ON")
        try:
            yield
        finally:
            pragma(db, "secure_delete=FAST")

    def finish(self, tries: int = _TRIES) -> bool:
        """Truncate the log, without blocking others. Returns whether no deleted copies are left in it.

        It succeeds only at a moment when nobody reads an earlier state of the store; hence the `tries`.
        """
        while self.pending and tries > 0:
            tries -= 1
            try:
                with self._session.writing():
                    self.pending = not cut_log(self._session.db)
            except StoreUnavailable:
                pass
            if self.pending and tries:
                time.sleep(_PAUSE)
        return not self.pending
