"""A backup: one file that holds the whole store as it was at one moment, and that is verified before it has its name.

Of SQLite it is a store that can be opened as it is; of PostgreSQL an archive of `pg_dump`. Without a key the file, its
tables and counts are verified; with one also that the key opens it, and every copy, signature and chain. An archive
cannot be opened: what the key verifies then is the store that it was made of.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from store.authority.audit import newest_at
from store.check import check
from store.database.access import reach
from store.database.connection import StoreDatabase, beside, is_url, shown_location, sound, translated
from store.database.copying import copy_file, file_problems
from store.database.dumping import dump
from store.database.modes import Use
from store.database.schema import Models
from store.database.tables import FORMAT, TABLES_OF
from store.database.verifying import differences
from store.helpers.secret_files import prepared
from store.opening.opening import Unlock, look_at, open_store, store_row
from store.terms.errors import BackupError, TamperedError, UsageError
from store.vault.counters import counted, counters

if TYPE_CHECKING:
    from store.vault.vault import Vault

Progress = Callable[[int, int], None]


@dataclass
class Backup:
    """A backup at `path` of `size` bytes, with so many `messages`.

    `newest_event` is when the newest event was written (Unix ms), None where there is none. `sealed` tells whether
    seals and signatures were verified, `broken` what is wrong in it: it was so in the store, or it is new.
    """

    path: Path
    size: int = 0
    messages: int = 0
    format: int = FORMAT
    newest_event: int | None = None
    sealed: bool = False
    broken: list[tuple[str, str]] = field(default_factory=list)


def destination(location: str, target: Path, *, force: bool = False) -> Path:
    """Return the file that a backup to `target` writes: `target` itself, or a file in that folder, named by store and
    time.

    Raises UsageError for a file that is there already, but with `force` only for a store in use, and StoreMissing,
    StoreFormat and StoreUnavailable where there is no store to copy.
    """
    look_at(location)
    path = target.absolute()
    if path.is_dir():
        name = Path("mailhold.dump" if is_url(location) else location)
        path /= f"{name.stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}{name.suffix}"
    if not os.path.lexists(path):
        return path
    if not is_url(location) and path.exists() and path.samefile(location):
        raise UsageError(f"{target} is the store itself: name another file for its backup.")
    if not force:
        raise UsageError(f"{path} is there already: name another file or a folder, or give --force to replace it.")
    if beside(str(path), "-wal").exists():
        raise UsageError(f"{path} is a store in use, its log is beside it: name another file.")
    return path


def back_up(
    location: str,
    path: Path,
    unlock: Unlock | None = None,
    *,
    force: bool = False,
    copying: Progress = lambda done, total: None,
    checking: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Backup:
    """Write a backup of the store to `path`, which `destination` gave, while others work on it, and verify it.

    `copying` is told pages and `checking` copies that are done, of how many. Where something is broken in the store,
    the backup is written all the same, but over no other. Raises BackupError, KeyboardInterrupt where it is
    `cancelled`, and what opening the store raises; nothing is left at `path` then, or what was there.
    """
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
                    f"{path} was left as it was, since the new backup is not whole ({what}: {why}). Run `mailhold "
                    "check`, and name another file to have it all the same."
                )
    except FileExistsError:
        raise BackupError(f"{path} was made by somebody else meanwhile: name another file.") from None
    except OSError as error:
        raise BackupError(f"The backup {path} cannot be written: {error.strerror}. Name another place.") from None
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
    cancelled: Callable[[], bool],
) -> None:
    """Copy SQLite's file, and verify what needs no key."""

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
    cancelled: Callable[[], bool],
) -> None:
    """Write PostgreSQL's archive, and verify with a key the store that it is of."""
    with translated(shown_location(vault.location) if vault else "in PostgreSQL"):
        backup.newest_event = newest_at(db)
        backup.messages = dump(db, temporary, backup.format, cancelled)["message"]
        if vault is None or backup.format != FORMAT:
            _look(db, backup)
    if vault is not None and backup.format == FORMAT:
        _check(vault, backup, progress, cancelled)


def _count(db: StoreDatabase, backup: Backup) -> None:
    """Note what the copy holds, and what of it does not fit together."""
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
            backup.broken.append(("the table of counters", "it does not count what is there"))


def _look(db: StoreDatabase, backup: Backup) -> None:
    backup.broken += [("the tables", why) for why in differences(db, TABLES_OF[backup.format])]


def _check(vault: Vault, backup: Backup, progress: Progress, cancelled: Callable[[], bool]) -> None:
    result = check(vault, progress, cancelled)
    if result.cancelled:
        raise KeyboardInterrupt
    backup.sealed, backup.broken = True, result.broken
