"""What was seen of a store, kept outside its database: heads, so that a store that was put back as it was is known.

A user's memory is `$XDG_STATE_HOME/mailhold/seen/<store id>` (`~/.local/state` by default), a gateway's lies in its
state directory (`store.gateway.seen`). JSON, for its owner alone; several processes merge what they saw, each writer's
newest head counting.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec

from store.authority.heads import Vector
from store.authority.kept_rows import SeenRow
from store.helpers.clock import now_ms
from store.helpers.decoding import json_decoder, msgpack_decoder
from store.helpers.secret_files import NotPlain, open_plain, replaced

#: No memory is larger (bytes): heads are small, and so are settings.
_MOST = 64 * 1024 * 1024


class SeenHead(msgspec.Struct, frozen=True, array_like=True):
    """A head as its row held it. Not verified."""

    writer: int
    vector: bytes
    signature: bytes


class WentBy(NamedTuple):
    """What a gateway goes by: see `Seen`."""

    versions: dict[str, int]
    configuration: list[SeenRow]
    grants: list[tuple[int, bytes, bytes]]


class Seen(msgspec.Struct, frozen=True):
    """A memory's content. `at` is when it was written (Unix ms); `versions` are those of the configuration that a
    gateway went by, `configuration` its newest rows, and `grants` those of the keys to them (generation, sealed,
    signature).
    """

    store: str
    at: int = 0
    heads: list[SeenHead] = []
    versions: dict[str, int] = {}
    configuration: list[SeenRow] = []
    grants: list[tuple[int, bytes, bytes]] = []


class Memory:
    """What was seen of one store, in the file `path`. One that is missing, unreadable or of another store is empty."""

    def __init__(self, path: Path, store_id: bytes, *, make_folder: bool = False) -> None:
        self._path = path
        self._make_folder = make_folder
        self._store = store_id.hex()

    def read(self) -> Seen:
        """Read what is kept."""
        try:
            descriptor = open_plain(self._path)
            with os.fdopen(descriptor, "rb") as file:
                found = json_decoder(Seen).decode(file.read(_MOST))
        except (NotPlain, OSError, ValueError, msgspec.MsgspecError):
            return Seen(self._store)
        return found if found.store == self._store else Seen(self._store)

    def keep(self, heads: Iterable[SeenHead] = (), went_by: WentBy | None = None) -> str:
        """Merge what was seen with what is kept, durably. Returns why that failed, or ""."""
        try:
            if self._make_folder:
                self._path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            with self._locked():
                before = self.read()
                policy = WentBy(before.versions, before.configuration, before.grants) if went_by is None else went_by
                merged = Seen(self._store, now_ms(), _merged([*before.heads, *heads]), *policy)
                if msgspec.structs.replace(merged, at=before.at) != before:
                    with replaced(self._path) as file:
                        file.write(msgspec.json.encode(merged))
        except OSError as error:
            return f"{self._path}: {error.strerror or error}"
        return ""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = self._path.with_name(f"{self._path.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def user_memory(store_id: bytes) -> Memory:
    """Open the memory of the user who runs this program."""
    return Memory(_user_path(store_id), store_id, make_folder=True)


def user_spent(store_id: bytes) -> Path:
    """Where the user who runs this program keeps what was sent."""
    path = _user_path(store_id)
    return path.with_name(f"{path.name}.spent")


def _user_path(store_id: bytes) -> Path:
    folder = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(folder) if folder.startswith("/") else Path("~/.local/state").expanduser()
    except RuntimeError:
        base = Path("/nonexistent")  # A user without a home: nothing is kept.
    return base / "mailhold" / "seen" / store_id.hex()


def _merged(heads: Iterable[SeenHead]) -> list[SeenHead]:
    """Keep each writer's newest head."""
    newest: dict[int, tuple[tuple[int, int], SeenHead]] = {}
    for head in heads:
        try:
            vector = msgpack_decoder(Vector).decode(head.vector)
        except msgspec.MsgspecError:
            continue
        newness = (vector.generation, vector.sequence)
        if head.writer not in newest or newest[head.writer][0] < newness:
            newest[head.writer] = (newness, head)
    return [newest[writer][1] for writer in sorted(newest)]
