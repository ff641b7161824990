"""A backup: one file with the whole store as it was at one moment. It gets its name only after it was verified.

For SQLite, the file is a store that can be opened directly; for PostgreSQL, an archive of `pg_dump`. Without a key, the
file, its tables and counts are verified; with a key, also that it opens the file, and every copy, signature and chain.
An archive cannot be opened, so there the key verifies the store instead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from store.authority.audit import newest_at
from store.check import check
from store.database.access import reach
from store.database.connection import StoreDatabase, beside, is_url, real_location, shown_location, sound, translated
from store.database.copying import copy_file, file_problems
from store.database.dumping import dump
from store.database.modes import Use
from store.database.schema import Models
from store.database.tables import FORMAT, TABLES_OF
from store.database.verifying import differences
from store.helpers.secret_files import prepared
from store.opening.opening import Unlock, look_at, open_store, store_row
from store.terms.errors import BackupError, TamperedError, UsageError
from store.terms.progress import Cancelled, Progress
from store.vault.counters import counted, counters

if TYPE_CHECKING:
    from store.vault.vault import Vault


@dataclass
class Backup:
    """A backup at `path` of `size` bytes, with so many `messages`.

    `newest_event` is the time of the newest event (Unix ms), None if there is none. `sealed` says whether seals and
    signatures were verified, `broken` what is wrong in the backup, whether or not it is in the store as well.
    """

    path: Path
    size: int = 0
    messages: int = 0
    format: int = FORMAT
    newest_event: int | None = None
    sealed: bool = False
    broken: list[tuple[str, str]] = field(default_factory=list)


def destination(location: str, target: Path, *, force: bool = False) -> Path:
    """Return the file that a backup to `target` writes: `target`, or in a folder a file named by store and time.

    Raises UsageError for an existing file (with `force` only for a store in use), and StoreMissing, StoreFormat and
    StoreUnavailable where there is no store to back up.
    """
    look_at(location)
    path = target.absolute()
    if path.is_dir():
        name = Path("mailhold.dump" if is_url(location) else location)
        path /= f"{name.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{name.suffix}"
    if not os.path.lexists(path):
        return path
    if not is_url(location) and path.exists() and path.samefile(location):
        raise UsageError(f"{target} is the store itself. Give another file for the backup.")
    if not force:
        raise UsageError(f"{path} already exists. Give another file or a folder, or add --force to replace it.")
    if beside(str(path), "-wal").exists():
        raise UsageError(f"{path} is a store in use (its log is beside it). Give another file.")
    return path


def back_up(
    location: str,
    path: Path,
    unlock: Unlock | None = None,
    *,
    force: bool = False,
    copying: Progress = lambda done, total: None,
    checking: Progress = lambda done, total: None,
    cancelled: Cancelled = lambda: False,
) -> Backup:
    """Write a backup of the store to `path`, from `destination`, while others work on the store, and verify it.

    `copying` is called with (pages done, total), `checking` with (copies done, total). If something is broken in the
    store, the backup is written nevertheless, but does not replace another one. Raises BackupError, KeyboardInterrupt
    where it is `cancelled`, and what opening the store raises; `path` is then as it was before.
    """
    location = real_location(location)
    vault = None if unlock is None else open_store(location, unlock, Use.READ, former=True)
    db = reach(location, Use.READ) if vault is None else vault.db
    try:
        with prepared(path, over=force) as temporary:
            backup = Backup(path)
            with translated(location), sound("the store's row"):
                backup.format = store_row(db, Models(db), location, former=True).format
            if is_url(location):
                _archive(db, vault, temporary, backup, checking, cancelled)
            else:
                _copy(db, temporary, backup, location, copying, cancelled)
                if unlock is not None and backup.format == FORMAT:
                    with_key = open_store(str(temporary), unlock, Use.STILL)
                    try:
                        _check(with_key, backup, checking, cancelled)
                    finally:
                        with_key.close()
            backup.size = temporary.stat().st_size
            if backup.broken and os.path.lexists(path):
                what, why = backup.broken[0]
                raise BackupError(
                    f"{path} was not replaced, because the new backup has problems ({what}: {why}). Run `mailhold "
                    "check`. To write it anyway, give another file."
                )
    except FileExistsError:
        raise BackupError(f"Another program has just created {path}. Give another file.") from None
    except OSError as error:
        raise BackupError(f"The backup {path} cannot be written: {error.strerror}. Give another place.") from None
    finally:
        if vault is None:
            db.close_all()
        else:
            vault.close()
    return backup


def _copy(
    db: StoreDatabase,
    temporary: Path,
    backup: Backup,
    location: str,
    progress: Progress,
    cancelled: Cancelled,
) -> None:
    """Copy a SQLite store's file, and verify what can be verified without a key."""

    def told(done: int, total: int) -> None:
        if cancelled():
            raise KeyboardInterrupt
        progress(done, total)

    with translated(location):
        copy_file(db, temporary, told)
    copy = reach(str(temporary), Use.STILL)
    try:
        with translated(str(temporary)):
            if problems := file_problems(copy):
                raise BackupError(
                    f"The backup is damaged, and was not kept ({problems[0]}). The store {location} may be damaged as "
                    "well: run `mailhold check`, and look for errors of its disk in the system's log."
                )
            _count(copy, backup)
    finally:
        copy.close_all()


def _archive(
    db: StoreDatabase,
    vault: Vault | None,
    temporary: Path,
    backup: Backup,
    progress: Progress,
    cancelled: Cancelled,
) -> None:
    """Write a PostgreSQL store's archive and, with a key, verify the store."""
    with translated(shown_location(vault.location) if vault else "in PostgreSQL"):
        backup.newest_event = newest_at(db)
        backup.messages = dump(db, temporary, backup.format, cancelled)["message"]
        if vault is None or backup.format != FORMAT:
            _look(db, backup)
    if vault is not None and backup.format == FORMAT:
        _check(vault, backup, progress, cancelled)


def _count(db: StoreDatabase, backup: Backup) -> None:
    """Store the copy's figures in `backup`, and what is inconsistent in it."""
    backup.newest_event = newest_at(db)
    held = counted(db, has_bin=backup.format >= FORMAT)
    backup.messages = held.messages
    _look(db, backup)
    try:
        told = counters(db)
    except TamperedError as error:
        backup.broken.append((error.what, error.why))
    else:
        if (told.messages, told.used_bytes) != (held.messages, held.used_bytes):
            backup.broken.append(("the table of counters", "its counts do not match the copies"))


def _look(db: StoreDatabase, backup: Backup) -> None:
    backup.broken += [("the tables", why) for why in differences(db, TABLES_OF[backup.format])]


def _check(vault: Vault, backup: Backup, progress: Progress, cancelled: Cancelled) -> None:
    result = check(vault, progress, cancelled)
    if result.cancelled:
        raise KeyboardInterrupt
    backup.sealed, backup.broken = True, result.broken
