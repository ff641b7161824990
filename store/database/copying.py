"""Copy a SQLite store's file as it was at one moment, while other processes write to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from store.database.connection import StoreDatabase, run, snapshot
from store.terms.errors import BackupError

#: Pages copied per step.
STEP = 1024
#: Maximum problems of a file that are listed.
_MOST = 20


def copy_file(db: StoreDatabase, path: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the whole SQLite database `db` to the empty file `path`. Raises BackupError where its disk is full.

    The copy is made in a single read transaction, so it lacks commits made meanwhile. Writers do not wait, but the log
    cannot be truncated before the end. `progress` is called with (pages done, total pages) and may raise to stop.
    """
    with closing(sqlite3.connect(path)) as target, snapshot(db):
        for each in ("journal_mode=OFF", "synchronous=OFF"):  # The caller syncs the file before giving it a name.
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
                f"The backup cannot be written: the disk of {path.parent} is full. Free space there, or give another "
                "folder."
            ) from None


def file_problems(db: StoreDatabase) -> list[str]:
    """List what SQLite's integrity check finds wrong with pages, rows and indexes."""
    found = [str(text) for (text,) in run(db, f"PRAGMA integrity_check({_MOST})").fetchall()]
    return [] if found == ["ok"] else found
