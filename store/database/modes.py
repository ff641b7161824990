"""What a store is opened for, how its file is connected to, and why it can only be read."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from store.terms.errors import StoreReadOnly


class Use(Enum):
    """What a store is opened for."""

    WRITE = "to be changed, or not at all"
    READ = "to be read: no space is given up for it"
    EITHER = "to be changed where that is possible, else to be read"
    STILL = "to be read: a file that nobody else has open, and beside which none is made"


class Mode(Enum):
    """How a SQLite file is opened: the query part of its URI."""

    #: Not rwc: opening a store that was removed must fail instead of creating an empty one.
    WRITE = "?mode=rw"
    #: Makes the log's index in memory if nobody else has the file open, which needs no space on the disk.
    READ = "?mode=ro&readonly_shm=1"
    #: Uses no log, index or locks.
    FROZEN = "?immutable=1"


class ReadOnly(NamedTuple):
    """Why a store can only be read. `old` if its write-ahead log, which may hold newer changes, cannot be read."""

    location: str
    why: str
    advice: str
    old: bool = False

    def says(self, store: str) -> str:
        """Return the sentence that tells a user why `store` is read-only."""
        log = " Its newest changes may be missing: its write-ahead log cannot be read." if self.old else ""
        return f"{store} is open for reading only: {self.why}.{log}"

    def refusal(self) -> StoreReadOnly:
        """Make the error for a caller that wants to change the store."""
        return StoreReadOnly(f"The store {self.location} cannot be changed: {self.why}. {self.advice}")
