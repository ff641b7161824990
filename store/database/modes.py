"""What a store is opened for, how its file is connected to, and why it may be that it can only be read."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from store.terms.errors import StoreUnavailable


class Use(Enum):
    """What a store is opened for."""

    WRITE = "to be changed, or not at all"
    READ = "to be read: no space is given up for it"
    EITHER = "to be changed where that is possible, else to be read"
    STILL = "to be read: a file that nobody else has open, and beside which none is made"


class Mode(Enum):
    """How a SQLite file is connected to: what SQLite's URI says of it."""

    #: A file that is not there is never made: what was removed would come back empty.
    WRITE = "?mode=rw"
    #: The log's index is made in memory where nobody has the file open: that takes no room on the disk.
    READ = "?mode=ro&readonly_shm=1"
    #: Without the log, its index, and any lock.
    FROZEN = "?immutable=1"


class ReadOnly(NamedTuple):
    """Why a store can be read and not changed. `old` where its log cannot be read, which may hold changes."""

    location: str
    why: str
    advice: str
    old: bool = False

    def says(self, store: str) -> str:
        """Return the sentence that tells a user why `store` is read-only."""
        log = " Its newest changes may be missing: its write-ahead log cannot be read." if self.old else ""
        return f"{store} is open for reading only: {self.why}.{log}"

    def refusal(self) -> StoreUnavailable:
        """Make the error for a caller that wants to change the store."""
        return StoreUnavailable(f"The store {self.location} cannot be changed: {self.why}. {self.advice}")
