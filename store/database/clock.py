"""The clock that all users of a store compare due times with: the server's for PostgreSQL, else this machine's."""

from __future__ import annotations

import time

from store.database.connection import PostgresStore, StoreDatabase, run
from store.helpers.clock import now_ms

# Not now(), which returns the time at which the transaction began.
_SERVER = "SELECT CAST(FLOOR(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp()) * 1000) AS BIGINT)"


def decides_ms(db: StoreDatabase) -> int:
    """Return the time (Unix milliseconds UTC) on PostgreSQL's server or, for SQLite, on this machine."""
    if isinstance(db, PostgresStore):
        return int(run(db, _SERVER).fetchone()[0])
    return now_ms()


class DecidingClock:
    """The deciding clock, queried only by `read`; in between it advances with this machine's monotonic clock."""

    def __init__(self, db: StoreDatabase) -> None:
        self._db = db
        self._ahead: float | None = None

    def read(self) -> int:
        """Query the server for the time now and return it (Unix milliseconds UTC). Blocking."""
        now = decides_ms(self._db)
        if isinstance(self._db, PostgresStore):
            self._ahead = now - time.monotonic() * 1000
        return now

    def now(self) -> int:
        """Return the time now (Unix milliseconds UTC) without a query.

        Before the first `read` it is this machine's time.
        """
        return now_ms() if self._ahead is None else int(self._ahead + time.monotonic() * 1000)
