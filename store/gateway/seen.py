"""The newest versions of the configuration that a gateway went by, kept outside the database with what else it saw.

A row that is put back as it was does verify, and so does a database without the row. While a gateway runs it knows
better; this file lets it know better after a restart too. It names kinds and numbers, nothing that is secret, and lies
in systemd's StateDirectory, or beside the credentials where there is none.
"""

from __future__ import annotations

import os
from pathlib import Path

from store.authority.memory import Memory


class SeenVersions:
    """What was seen of one store. A file that is missing, unreadable or of another store says nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: tuple[bytes, dict[str, int]] | None = None

    def of(self, store_id: bytes) -> dict[str, int]:
        """The newest version of each name that was ever taken up from this store."""
        return dict(Memory(self._path, store_id).read().versions)

    def keep(self, store_id: bytes, versions: dict[str, int]) -> str:
        """Keep them durably, where they are others than before. Returns why that failed, or ""."""
        wanted = (store_id, dict(versions))
        if wanted == self._kept:
            return ""
        problem = Memory(self._path, store_id).keep(versions=versions)
        if not problem:
            self._kept = wanted
        return problem


def seen_path(credentials: Path) -> Path:
    """Where the file of the gateway with these credentials lies."""
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return (Path(folder) if folder else credentials.parent) / f"{credentials.name}.seen"
