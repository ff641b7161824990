"""SQLite's write-ahead log: bringing its pages to the database file, and cutting it off."""

from __future__ import annotations

from store.database.connection import BUSY_SECONDS
from store.database.orm import Database


def checkpoint(db: Database) -> bool:
    """Bring the pages of SQLite's log to its file, without waiting for anybody. Whether all of them are there."""
    busy, logged, brought = db.connection().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return bool(not busy and logged == brought)


def cut_log(db: Database) -> bool:
    """Bring the pages of SQLite's log to its file and cut it off, waiting for nobody. Whether that is done."""
    connection = db.connection()
    checkpoint(db)  # Most of the work is done while others write.
    connection.execute("PRAGMA busy_timeout=0")
    try:
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_SECONDS * 1000)}")
