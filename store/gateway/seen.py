"""The newest versions of the configuration that a gateway went by, kept outside the database with what else it saw.

A row that is put back as it was does verify, and so does a database without the row. While a gateway runs it knows
better; this file lets it know better after a restart too. What it holds of the configuration is sealed. It lies
in systemd's StateDirectory, or beside the credentials where there is none.
"""

from __future__ import annotations

import os
from pathlib import Path

from store.authority.memory import Memory, WentBy


class SeenVersions:
    """What was seen of one store. A file that is missing, unreadable or of another store says nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: tuple[bytes, WentBy] | None = None

    def of(self, store_id: bytes) -> WentBy:
        """Return the newest version of each name taken up from this store so far, and its content."""
        seen = Memory(self._path, store_id).read()
        return WentBy(dict(seen.versions), seen.configuration, seen.grants)

    def keep(self, store_id: bytes, went_by: WentBy) -> str:
        """Keep it durably, where it is another than before. Returns why that failed, or ""."""
        wanted = (store_id, went_by)
        if wanted == self._kept:
            return ""
        problem = Memory(self._path, store_id).keep(went_by=went_by)
        if not problem:
            self._kept = wanted
        return problem


def seen_path(credentials: Path) -> Path:
    """Where the file of the gateway with these credentials lies."""
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return (Path(folder) if folder else credentials.parent) / f"{credentials.name}.seen"
