"""The room that is left to an open store whose disk is full: its ballast, and the free pages of its file."""

from __future__ import annotations

from pathlib import Path

from store.database.connection import is_url, pragma_to_its_end
from store.terms.errors import StoreUnavailable
from store.vault.ballast import Ballast
from store.vault.session import Session


class Room:
    """The room beside one session. A store on PostgreSQL has none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ballast = None if is_url(session.location) else Ballast(Path(session.location).absolute())
        self._tried = False

    def keep(self) -> None:
        """Make the ballast, where it is not there; once, for it costs a look at the disk. Never raises."""
        if self._ballast is not None and not self._tried:
            self._tried = True
            self._ballast.load()

    def make(self) -> bool:
        """Give up the ballast of a store whose disk is full. Whether that freed anything."""
        return self._ballast is not None and self._ballast.give_up()

    def settle(self) -> None:
        """After deletions on a full disk: give freed pages back to it, and make the ballast again."""
        if self._ballast is None:
            return
        try:
            with self._session.writing():
                for each in ("wal_checkpoint(TRUNCATE)", "incremental_vacuum(4096)", "wal_checkpoint(TRUNCATE)"):
                    pragma_to_its_end(self._session.db, each)
        except StoreUnavailable:
            pass
        self._ballast.load()
