"""SQLite authorizer: refuses DDL, ATTACH, and every action of a trigger or view, when a statement is prepared.

Anybody who can write to the file could add a trigger to a table or replace a table by a view, and every process that
has the store open would execute it. sqlite3 caches prepared statements, so repeated statements are not checked again
and cost nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Names of common table expressions in our statements. SQLite reports these to an authorizer as it does views.
EXPRESSIONS: frozenset[str] = frozenset()

_SCHEMA = frozenset(
    value
    for name, value in vars(sqlite3).items()
    if name.startswith(("SQLITE_CREATE_", "SQLITE_DROP_", "SQLITE_ALTER_", "SQLITE_REINDEX", "SQLITE_ANALYZE"))
)
_FOREIGN = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


class Authorizer:
    """The authorizer callback of all connections to one database."""

    def __init__(self) -> None:
        self._making = threading.local()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Allow this thread to create and drop tables inside the block."""
        self._making.allowed = True
        try:
            yield
        finally:
            self._making.allowed = False

    def __call__(
        self, action: int, _first: str | None, _second: str | None, _database: str | None, inner: str | None
    ) -> int:
        """Return SQLITE_OK or SQLITE_DENY.

        `inner` names the trigger, view or common table expression that acts, if any.
        """
        if inner is not None and inner not in EXPRESSIONS:
            return sqlite3.SQLITE_DENY
        if action in _FOREIGN or (action in _SCHEMA and not getattr(self._making, "allowed", False)):
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK
