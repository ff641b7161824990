"""A copy of a SQLite store's file as it was at one moment, made while others write to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from store.database.connection import StoreDatabase, run, snapshot
from store.terms.errors import BackupError

#: Pages that are copied at once.
STEP = 1024
#: How many problems of a file are told at most.
_MOST = 20


def copy_file(db: StoreDatabase, path: Path, progress: Callable[[int, int], None]) -> None:
    """Fill the empty file `path` with all of the SQLite database `db`. Raises BackupError where its disk is full.

    One read transaction reaches from the first page to the last. What others commit meanwhile is not in the copy, and
    nobody waits; only the log does not shrink before the end. `progress` is told how many pages of how many are done,
    and may raise.
    """
    with closing(sqlite3.connect(path)) as target, snapshot(db):
        for each in ("journal_mode=OFF", "synchronous=OFF"):  # The file has no name yet, and is synced before it has.
            target.execute(f"PRAGMA {each}").fetchone()
        run(db, "SELECT COUNT(*) FROM sqlite_master").fetchone()
        try:
            db.connection().backup(
                target, pages=STEP, progress=lambda _status, left, total: progress(total - left, total)
            )
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise
            raise BackupError(
                f"The backup cannot be written: the disk of {path.parent} is full. Free space there, or name another."
            ) from None


def file_problems(db: StoreDatabase) -> list[str]:
    """List what SQLite's integrity check finds wrong with pages, rows and indexes."""
    found = [str(text) for (text,) in run(db, f"PRAGMA integrity_check({_MOST})").fetchall()]
    return [] if found == ["ok"] else found
