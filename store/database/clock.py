"""The clock that decides when something that waits may be done, for all who use a store."""

from __future__ import annotations

import time

from store.database.connection import PostgresStore, StoreDatabase, run
from store.helpers.clock import now_ms

# Not the time of the transaction, which stands still in it.
_SERVER = "SELECT CAST(FLOOR(EXTRACT(EPOCH FROM pg_catalog.clock_timestamp()) * 1000) AS BIGINT)"


def decides_ms(db: StoreDatabase) -> int:
    """Unix milliseconds UTC by the clock that decides: PostgreSQL's own, with SQLite that of this machine."""
    if isinstance(db, PostgresStore):
        return int(run(db, _SERVER).fetchone()[0])
    return now_ms()


class DecidingClock:
    """The clock that decides, read from the server by `read` alone, and kept between by what no clock change moves."""

    def __init__(self, db: StoreDatabase) -> None:
        self._db = db
        self._ahead: float | None = None

    def read(self) -> int:
        """Unix milliseconds now, as the server says. Blocking."""
        now = decides_ms(self._db)
        if isinstance(self._db, PostgresStore):
            self._ahead = now - time.monotonic() * 1000
        return now

    def now(self) -> int:
        """Unix milliseconds now. Asks nobody, once `read` did."""
        return now_ms() if self._ahead is None else int(self._ahead + time.monotonic() * 1000)
