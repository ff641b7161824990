"""Overwriting what an operator deletes for good: in the file as it is deleted, and in the log by cutting that off.

SQLite leaves deleted bytes where they are until their place is taken, and whoever has the key could open them. What
rotation removes is not overwritten: that would take many times as long, with every put.

Some bytes stay all the same: pieces of records and of small bodies in a page's unused part, where SQLite moved rows
within it before; what the file system, a snapshot of it, a flash disk or a backup kept; and on PostgreSQL everything
until the server's VACUUM, and after.
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

#: Bytes that a batch overwrites: about 30 ms of the write lock.
ERASED_BYTES = 4 * 1024 * 1024
#: Tries to cut the log off after a deletion, and seconds between them: readers are short.
_TRIES, _PAUSE = 10, 0.03


class Erasing:
    """The erasure of what one vault deletes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        #: Whether the log may hold what was deleted.
        self.pending = False

    @contextmanager
    def overwriting(self) -> Iterator[None]:
        """Let this thread's deletions inside overwrite what they delete. SQLite alone can do that."""
        db = self._session.db
        pragma(db, "secure_delete=ON")
        self.pending = isinstance(db, SqliteDatabase)
        try:
            yield
        finally:
            pragma(db, "secure_delete=FAST")

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Let rows that this thread moves inside leave nothing where they were: who deletes them later cannot know."""
        db = self._session.db
        pragma(db, "secure_delete=ON")
        try:
            yield
        finally:
            pragma(db, "secure_delete=FAST")

    def finish(self, tries: int = _TRIES) -> bool:
        """Cut the log off, which nobody is made to wait for. Whether nothing that was deleted is left in it.

        That takes a moment in which nobody reads an earlier state of the store.
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
