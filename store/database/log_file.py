"""Checkpoint and truncate SQLite's write-ahead log."""

from __future__ import annotations

from store.database.connection import BUSY_SECONDS
from store.database.orm import Database


def checkpoint(db: Database) -> bool:
    """Copy the log's pages to the database file without waiting for locks. Returns whether all were copied."""
    busy, logged, brought = db.connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return bool(not busy and logged == brought)


def cut_log(db: Database) -> bool:
    """Copy the log's pages to the database file and truncate the log, without waiting for locks.

    Returns whether the log was truncated.
    """
    connection = db.connection()
    checkpoint(db)  # First without blocking writers, so that little is left for the truncating checkpoint, which does.
    connection.execute("PRAGMA busy_timeout=0")
    try:
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
