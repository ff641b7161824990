"""Heads seen of a store, kept in a file outside its database, to detect a database that was restored from a backup.

A user's memory is `$XDG_STATE_HOME/mailhold/seen/<store id>` (default `~/.local/state`); a gateway's is in its state
directory (`store.gateway.seen`). It is JSON, readable by its owner only. Several processes may write it: they merge the
newest head of each writer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from store.authority.heads import Vector
from store.authority.kept_rows import SeenRow
from store.helpers.clock import now_ms
from store.helpers.decoding import json_decoder, msgpack_decoder
from store.helpers.secret_files import NotPlain, locked, open_plain, replaced

#: Max size of a memory (bytes): heads and settings are small.
_MOST = 64 * 1024 * 1024


class SeenHead(msgspec.Struct, frozen=True, array_like=True):
    """A head as stored in its row, not verified."""

    writer: int
    vector: bytes
    signature: bytes


class WentBy(NamedTuple):
    """The configuration that a gateway used: the fields of `Seen`."""

    versions: dict[str, int]
    configuration: list[SeenRow]
    grants: list[tuple[int, bytes, bytes]]


class Seen(msgspec.Struct, frozen=True):
    """The content of a memory. `at` is the time of writing (Unix ms).

    `versions` are the configuration versions that a gateway used, `configuration` the newest rows, and `grants` the
    rows with the keys to them (generation, sealed, signature).
    """

    store: str
    at: int = 0
    heads: list[SeenHead] = []
    versions: dict[str, int] = {}
    configuration: list[SeenRow] = []
    grants: list[tuple[int, bytes, bytes]] = []


class Memory:
    """The memory of one store, in the file `path`.

    A file that is missing, unreadable or of another store counts as empty.
    """

    def __init__(self, path: Path, store_id: bytes, *, make_folder: bool = False) -> None:
        self._path = path
        self._make_folder = make_folder
        self._store = store_id.hex()

    def read(self) -> Seen:
        """Read the memory."""
        try:
            descriptor = open_plain(self._path)
            with os.fdopen(descriptor, "rb") as file:
                found = json_decoder(Seen).decode(file.read(_MOST))
        except (NotPlain, OSError, ValueError, msgspec.MsgspecError):
            return Seen(self._store)
        return found if found.store == self._store else Seen(self._store)

    def keep(self, heads: Iterable[SeenHead] = (), went_by: WentBy | None = None) -> str:
        """Merge into the memory, durably. Return why that failed, or ""."""
        try:
            if self._make_folder:
                self._path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            with locked(self._path):
                before = self.read()
                policy = WentBy(before.versions, before.configuration, before.grants) if went_by is None else went_by
                merged = Seen(self._store, now_ms(), _merged([*before.heads, *heads]), *policy)
                if msgspec.structs.replace(merged, at=before.at) != before:
                    with replaced(self._path) as file:
                        file.write(msgspec.json.encode(merged))
        except OSError as error:
            return f"{self._path}: {error.strerror or error}"
        return ""


def user_memory(store_id: bytes) -> Memory:
    """Return the memory of the user who runs this program."""
    return Memory(_user_path(store_id), store_id, make_folder=True)


def user_spent(store_id: bytes) -> Path:
    """Return the path of the record of sent deliveries for the user who runs this program."""
    path = _user_path(store_id)
    return path.with_name(f"{path.name}.spent")


def _user_path(store_id: bytes) -> Path:
    folder = os.environ.get("XDG_STATE_HOME", "")
    try:
        base = Path(folder) if folder.startswith("/") else Path("~/.local/state").expanduser()
    except RuntimeError:
        base = Path("/nonexistent")  # A user without a home directory: nothing is kept.
    return base / "mailhold" / "seen" / store_id.hex()


def _merged(heads: Iterable[SeenHead]) -> list[SeenHead]:
    """Keep the newest head of each writer."""
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
