"""What a statement of SQLite may do, asked while it is prepared: nothing that a trigger or a view does, and no DDL.

Whoever writes to the file can put a trigger beside a table, or a view in its place, and every process that has the
store open would execute it. Prepared statements are kept, so that asking costs nothing where it matters.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Common table expressions of our statements: SQLite calls them what it calls views.
EXPRESSIONS: frozenset[str] = frozenset()

_SCHEMA = frozenset(
    value
    for name, value in vars(sqlite3).items()
    if name.startswith(("SQLITE_CREATE_", "SQLITE_DROP_", "SQLITE_ALTER_", "SQLITE_REINDEX", "SQLITE_ANALYZE"))
)
_FOREIGN = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


class Authorizer:
    """Answers SQLite for all connections of one database."""

    def __init__(self) -> None:
        self._making = threading.local()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Let this thread make and drop tables."""
        self._making.allowed = True
        try:
            yield
        finally:
            self._making.allowed = False

    def __call__(
        self, action: int, _first: str | None, _second: str | None, _database: str | None, inner: str | None
    ) -> int:
        """SQLITE_OK or SQLITE_DENY. `inner` is the trigger, view or common table expression that asks, if one does."""
        if inner is not None and inner not in EXPRESSIONS:
            return sqlite3.SQLITE_DENY
        if action in _FOREIGN or (action in _SCHEMA and not getattr(self._making, "allowed", False)):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK
