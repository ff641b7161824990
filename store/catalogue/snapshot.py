"""The catalogue's snapshot: one file of sealed parts, so that the next start need not decrypt every record.

Layout: 8 bytes of magic, then parts, each with 8 bytes of length (big-endian) and the output of `Vault.seal`. The first
part, sealed under the role ``snapshot``, is the header (msgpack): meaning of the codes, store id, marks, a random name.
The others are zstd-compressed sections of the frame (`store.catalogue.sections`). Each is sealed under a role made of
the name and its number, so that parts of two snapshots cannot be mixed.

A snapshot may be stale, or replaced by an older one, so it is used only after its `Marks` were reconciled with the
store (`store.catalogue.follow`). It holds only copies of the frame that it was made of.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

import msgspec

from store.database.connection import is_url
from store.helpers.companions import give_access
from store.helpers.decoding import msgpack_decoder
from store.helpers.secret_files import NotPlain, open_plain, replaced
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.catalogue.frame import Frame
    from store.vault.vault import Vault

_MAGIC = b"MHSNAP1\n"
_ROLE = "snapshot"
_MAX_PART = 1 << 32
_ABANDONED_SECONDS = 600
#: Begin the names of sections: of rows, which are named like the column that they hold, and of texts as they are shown.
_ROWS, _SHOWN = "rows ", "shown "
#: Number of sections (about 1 MB each) that are read and unsealed ahead.
_AHEAD = 12
#: Sections that every query needs: of ids and times, of small stores (which have one for all rows), of rules' names.
_ALWAYS = ("id", "stored_at", "", "rules")


class Marks(NamedTuple):
    """How far a frame reflects its store: newest copy id, newest tombstone, damaged copies, newest bin journal row.

    `witnesses`: digests of some of the newest rows, by id. A store restored from an old copy of its file gives the same
    ids to other messages; the digests reveal that.
    """

    last_id: int
    tombstone: int
    damaged: list[int]
    witnesses: dict[int, bytes]
    bin_row: int = 0


class _Header(msgspec.Struct, array_like=True):
    meaning: list[str]
    store_id: bytes
    name: str
    layout: list[str]
    marks: Marks


class SnapshotError(Exception):
    """The snapshot cannot be used: it is damaged, altered, of another store or of another release."""


def save(vault: Vault, path: Path, frame: Frame, marks: Marks) -> None:
    """Write the snapshot and replace the old one atomically. Only sealed bytes touch the disk.

    Raises OSError if it cannot be written; the old snapshot is kept then.
    """
    from store.catalogue.sections import MEANING, layout_of, sections, tight

    # A process that ends right after it loaded all copies did not tighten them, and each later start would read more.
    frame = tight(frame)
    by_itself = is_url(vault.location)
    if by_itself:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_abandoned(path)
    with replaced(path) as file:
        if not by_itself:
            give_access(file.fileno(), Path(vault.location))
        name = secrets.token_hex(16)
        header = _Header(MEANING, vault.store_id, name, layout_of(frame), marks)
        file.write(_MAGIC)
        _write_part(file, vault.seal(_ROLE, msgspec.msgpack.encode(header)))
        for number, section in enumerate(sections(frame, "zstd", compact=True)):
            _write_part(file, vault.seal(_section_role(name, number), section))


def open_snapshot(vault: Vault, path: Path, *, columns: Collection[str] | None = None) -> tuple[Frame, Marks] | None:
    """Read the snapshot; None if there is none. Raises SnapshotError.

    With `columns`, only these, the ids and the times are read, and texts only as they are searched. The others must not
    be used: such a frame serves one query and must never be saved.
    """
    try:
        descriptor = open_plain(path, follow=False)
    except FileNotFoundError:
        return None
    except NotPlain:
        raise SnapshotError("it is not a file") from None
    except OSError as error:
        raise SnapshotError(str(error)) from error
    with os.fdopen(descriptor, "rb") as file, ThreadPoolExecutor(1, "snapshot") as pool:
        try:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise SnapshotError("it is not a snapshot")
            header = msgpack_decoder(_Header).decode(vault.unseal(_ROLE, _read_part(file)))
            left_out = frozenset() if columns is None else _left_out(header.layout, columns)
            parts = _ahead(pool, _sections(vault, file, header, left_out))
            # Imported here: it runs while the pool's thread reads and unseals the first parts, and takes as long.
            from store.catalogue.sections import MEANING, frame_of

            if header.meaning != MEANING or header.store_id != vault.store_id:
                raise SnapshotError("it was made by another release")
            layout = [name for name in header.layout if name not in left_out]
            missing = {name.removeprefix(_ROWS) for name in left_out if not name.startswith(_SHOWN)}
            frame = frame_of(layout, parts, left_out=missing)
            if file.read(1):
                raise SnapshotError("there is more in it than there should be")
        except (TamperedError, msgspec.MsgspecError, ValueError, OSError) as error:
            raise SnapshotError(str(error)) from error
    return frame, header.marks


def _left_out(layout: Collection[str], columns: Collection[str]) -> frozenset[str]:
    """Return the names of the sections that a query of these columns does not need."""
    kept = {*columns, *_ALWAYS}
    return frozenset(name for name in layout if name.startswith(_SHOWN) or name.removeprefix(_ROWS) not in kept)


def _ahead(pool: ThreadPoolExecutor, source: Iterator[bytes]) -> Iterator[bytes]:
    """Iterate over `source`; the pool's one thread fetches ahead, starting now."""
    waiting = deque(pool.submit(next, source, None) for _ in range(_AHEAD))

    def parts() -> Iterator[bytes]:
        while (part := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, source, None))
            yield part

    return parts()


def discard(path: Path) -> None:
    """Delete the snapshot, if there is one."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        pass  # Harmless: readers reject a stale snapshot.


def _sections(vault: Vault, file: IO[bytes], header: _Header, left_out: Collection[str]) -> Iterator[bytes]:
    for number, name in enumerate(header.layout):
        if name in left_out:
            file.seek(_length(file), os.SEEK_CUR)
            continue
        yield vault.unseal(_section_role(header.name, number), _read_part(file))


def _section_role(name: str, number: int) -> str:
    return f"{_ROLE} {name} {number}"


def _write_part(file: IO[bytes], part: bytes) -> None:
    file.write(len(part).to_bytes(8, "big"))
    file.write(part)


def _read_part(file: IO[bytes]) -> bytes:
    return file.read(_length(file))


def _length(file: IO[bytes]) -> int:
    """Read the length (bytes) of the next part."""
    length = int.from_bytes(file.read(8), "big")
    left = os.fstat(file.fileno()).st_size - file.tell()
    if length > min(left, _MAX_PART):
        raise SnapshotError("it is cut off")
    return length


def _remove_abandoned(path: Path) -> None:
    """Delete temporary files of processes that were killed while saving."""
    for file in path.parent.iterdir():
        try:
            ours = file.name.startswith(f"{path.name}.") and file.suffix == ".tmp"
            if ours and time.time() - file.stat().st_mtime > _ABANDONED_SECONDS:
                file.unlink()
        except OSError:
            continue
