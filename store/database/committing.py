"""Commit, and undo a commit that failed halfway in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from store.database.orm import PeeweeException

#: Added to the error when it is unknown whether the commit succeeded.
DOUBT = "The change that was being written may or may not be in the store."


class Doubtful(sqlite3.OperationalError):
    """A commit failed, but SQLite may find it in the log and apply it when the store is opened after a crash."""


class Unanswered(PeeweeException):
    """The connection to a server was lost during a commit, which the server may have made."""


@contextmanager
def answered(lost: Callable[[], bool]) -> Iterator[None]:
    """Raise Unanswered if a commit inside the block fails and `lost()` says that the connection was lost."""
    try:
        yield
    except PeeweeException as error:
        if lost():
            raise Unanswered(str(error)) from error
        raise


def _take_back(connection: sqlite3.Connection) -> bool:
    """Make sure that a failed commit stays undone, and return whether that worked.

    The failed commit's last frame may be in the log, where SQLite would find it after a crash. Another commit, which
    changes nothing, is written over it.
    """
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        [version] = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        return False
    return True


def commit(connection: sqlite3.Connection) -> None:
    """Commit the open transaction. Raises Doubtful where that failed but may nevertheless be in the log."""
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR and not _take_back(connection):
            raise Doubtful(str(error)) from error
        raise
