"""Connect to a store's database, read-write if this user and disk permit it, otherwise read-only.

Even SQLite's readers create files: the write-ahead log and its index, beside the store. If those files do not exist and
cannot be created, the store is read without its log.
"""

from __future__ import annotations

import os
from pathlib import Path

from store.database.connection import DiskFull, StoreDatabase, beside, connect, is_url, run, translated
from store.database.file_systems import is_read_only, stopped_writing
from store.database.modes import Mode, ReadOnly, Use
from store.terms.errors import StoreUnavailable

_REPAIR = "Look in the system's log why, repair it, and mount it again."


def read_only(location: str) -> ReadOnly | None:
    """Return why this user cannot write to the store's file, None if nothing prevents it (always for PostgreSQL)."""
    if is_url(location):
        return None
    path = Path(location).absolute()
    files = [path, *(each for each in _log(location) if each.exists())]
    if all(os.access(each, os.W_OK) for each in files) and (len(files) == 3 or os.access(path.parent, os.W_OK)):
        stopped = "its file system stopped writing after an error"
        return ReadOnly(location, stopped, _REPAIR) if stopped_writing(path) else None
    if is_read_only(path):
        return ReadOnly(location, "its file system is read-only", "Mount it for writing, or give another store.")
    what = "its folder" if all(os.access(each, os.W_OK) for each in files) else "it"
    return ReadOnly(location, f"this user may not write to {what}", "Check who owns it and its permissions.")


def reach(location: str, use: Use) -> StoreDatabase:
    """Open a connection that can read the database at `location`. Its `read_only` says why it cannot write, or is None.

    Raises StoreUnavailable, for `Use.WRITE` also where the store can only be read. Raises DiskFull where there is no
    room for the log's index, except for `Use.READ`.
    """
    if use is Use.STILL:
        return _connected(location, Mode.FROZEN, ReadOnly(location, "it is a backup", "Copy it, and open the copy."))
    barred = read_only(location)
    if barred is not None:
        if use is Use.WRITE:
            raise barred.refusal()
        return _read(location, barred)
    try:
        return _connected(location, Mode.WRITE)
    except DiskFull:
        if use is not Use.READ:
            raise
        return reach_on_full_disk(location)


def reach_on_full_disk(location: str) -> StoreDatabase:
    """Open a read-only connection to a store whose disk has no free space. Raises StoreUnavailable."""
    return _read(location, ReadOnly(location, "its disk is full", "Free space on the disk, then open it again."))


def _read(location: str, why: ReadOnly) -> StoreDatabase:
    log, index = _log(location)
    # Only if both exist: SQLite would create them owned by this user, which could lock out the store's owner.
    if log.exists() and index.exists():
        try:
            return _connected(location, Mode.READ, why)
        except StoreUnavailable:
            pass
    why = why._replace(old=log.exists() and log.stat().st_size > 0)
    return _connected(location, Mode.FROZEN, why)


def _log(location: str) -> tuple[Path, Path]:
    return beside(location, "-wal"), beside(location, "-shm")


def _connected(location: str, mode: Mode, why: ReadOnly | None = None) -> StoreDatabase:
    db = connect(location, mode, why)
    try:
        with translated(location):
            run(db, "SELECT 1" if is_url(location) else "SELECT COUNT(*) FROM sqlite_master").fetchone()
    except BaseException:
        db.close_all()
        raise
    return db
