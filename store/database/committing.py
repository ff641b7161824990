"""Commits of SQLite, and what is to be done where one fails."""

from __future__ import annotations

import sqlite3

#: What is said where nobody can tell whether a commit succeeded.
DOUBT = "What was being written may be there when it is opened again."


class Doubtful(sqlite3.OperationalError):
    """A commit failed, and whoever opens the store after a crash may find it done."""


def _take_back(connection: sqlite3.Connection) -> bool:
    """Make sure that a commit which failed stays undone: its end may be in the log, and be found there after a crash.

    Another commit is written over it, which changes nothing. Returns whether that succeeded.
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
    """Commit what `connection` has begun. Raises Doubtful where that failed, and it may all the same be in the log."""
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR and not _take_back(connection):
            raise Doubtful(str(error)) from error
        raise
