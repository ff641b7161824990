"""Save copies to files: the raw bytes unchanged, under names that no message can choose.

A file is named `<time placed, UTC>-<id>-<subject>.eml`. It is newly created (never overwriting, never through a link),
with mode 0600, and is synced to disk before it is reported as saved.
"""

from __future__ import annotations

import errno
import os
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from store.authority.acts import Act
from store.helpers.file_names import safe_filename
from store.helpers.secret_files import open_new, write_all
from store.terms.errors import MailholdError, SaveError, TamperedError
from store.terms.progress import Cancelled, Progress
from store.terms.records import Copy

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Why a read-only store refuses to save copies, and what works instead.
SAVED_BY_SHOW = (
    "Saving is recorded in Events, so it changes the store. To write a message to a file anyway: `mailhold show --raw "
    "ID >FILE`."
)
_PAGE = 200
#: Copies recorded by one event.
_TOLD = 500
_SLUG_CHARACTERS, _SLUG_BYTES = 60, 120
_ATTEMPTS = 10_000


class SaveResult(msgspec.Struct):
    """The result of a save: `saved` holds (id, the file's path), `failed` (id, reason)."""

    saved: list[tuple[int, Path]] = msgspec.field(default_factory=list)
    failed: list[tuple[int, str]] = msgspec.field(default_factory=list)
    cancelled: bool = False


def save_copies(
    vault: Vault,
    ids: Sequence[int],
    folder: Path,
    *,
    operator: str = "",
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> SaveResult:
    """Save each copy to a file of its own in `folder`, which is created (mode 0700) if missing.

    Each 500 copies are recorded in the trail before they are written, because the files are not encrypted. `progress`
    is called with numbers of copies. Raises SaveError if the folder cannot be used, and StoreUnavailable, UnlockError
    if the trail cannot be written. Copies that fail are in `failed`.
    """
    result = SaveResult()
    detail = f"to {os.fsencode(folder).decode('utf-8', 'replace')}"
    with (
        _Folder(folder) as target,
        Act(vault, "save", operator=operator, copies=ids, detail=detail, one_part=_TOLD) as act,
    ):
        for done, (copy_id, copy) in enumerate(_copies(vault, ids)):
            if cancelled is not None and cancelled():
                result.cancelled = True
                break
            if done % _TOLD == 0:
                act.part(ids[done : done + _TOLD])
            try:
                name = file_name(copy or vault.get(copy_id))
                result.saved.append((copy_id, target.write(name, vault.raw(copy_id))))
            except MailholdError as error:
                result.failed.append((copy_id, str(error)))
            if progress is not None:
                progress(done + 1, len(ids))
        act.done = len(result.saved)
        act.stopped = "cancelled" if result.cancelled else ""
    return result


def file_name(copy: Copy) -> str:
    """Name a file like `20261124T074103Z-17-invoice-88213.eml`: sortable, unique by the id, and safe on any file
    system.
    """
    try:
        placed = datetime.fromtimestamp(copy.stored_at / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError, OSError):
        placed = "unknown-time"
    return safe_filename(f"{placed}-{copy.id}-{slug(copy.record.subject)}.eml", f"{placed}-{copy.id}.eml")


def slug(subject: str) -> str:
    """Join a subject's letters and digits, in any script, by dashes; `no-subject` if it has none."""
    words, length, size = [], 0, 0
    folded = unicodedata.normalize("NFC", subject[:1000]).casefold()
    for word in "".join(character if character.isalnum() else " " for character in folded).split():
        length, size = length + len(word) + 1, size + len(word.encode("utf-8", "ignore")) + 1
        if length > _SLUG_CHARACTERS or size > _SLUG_BYTES:
            break
        words.append(word)
    return "-".join(words) or "no-subject"


def _copies(vault: Vault, ids: Sequence[int]) -> Iterator[tuple[int, Copy | None]]:
    """Yield each id with its copy, read a page at a time and in order.

    The copy is None if it is gone, or if a record on its page is damaged: then each is to be read alone, so that only
    the damaged one fails.
    """
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        try:
            found = {copy.id: copy for copy in vault.get_many(page)}
        except TamperedError:
            found = {}
        for copy_id in page:
            yield copy_id, found.get(copy_id)


class _Folder:
    """An open folder.

    Files are created relative to its descriptor, so renaming or replacing the folder has no effect.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Folder:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise SaveError(_reason(error, f"The folder {self._path} cannot be used")) from None
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError:
            # Some network file systems cannot sync a folder; each file was synced by itself.
            pass
        os.close(self._descriptor)

    def write(self, name: str, data: bytes) -> Path:
        """Create the file `name`, or a similar name that is free. Raises SaveError; leaves no half-written file."""
        descriptor, name = self._create(name)
        try:
            write_all(descriptor, data)
        except BaseException as error:
            os.unlink(name.encode(), dir_fd=self._descriptor)
            if isinstance(error, OSError):
                raise SaveError(_reason(error, f"It could not be written to {self._path}")) from None
            raise
        return self._path / name

    def _create(self, name: str) -> tuple[int, str]:
        stem, dot, extension = name.rpartition(".")
        for attempt in range(1, _ATTEMPTS):
            candidate = name if attempt == 1 else f"{stem}-{attempt}{dot}{extension}"
            try:
                # Encode as UTF-8 whatever the locale: a locale without the subject's letters must not prevent saving.
                return open_new(candidate.encode(), folder=self._descriptor), candidate
            except FileExistsError:
                continue
            except OSError as error:
                raise SaveError(_reason(error, f"No file can be created in {self._path}")) from None
        raise SaveError(f"{self._path} holds {_ATTEMPTS:,} files named {name}. Choose another folder.")


def _reason(error: Exception, what: str) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return f"{what}: the disk or the quota is full. Make room, or choose another folder."
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what}: this user may not write there. Choose a folder of your own."
    if number in (errno.ENOTDIR, errno.EEXIST):
        return f"{what}: it is a file, not a folder. Choose a folder."
    return f"{what} ({getattr(error, 'strerror', None) or error}). Choose another folder."
