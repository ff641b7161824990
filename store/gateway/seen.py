"""The newest configuration versions that a gateway has used, kept outside the database with what else it has seen.

A row restored from a backup verifies, and so does a database without the row. A running gateway knows newer versions;
this file lets it know them after a restart too. Configuration in it is sealed. It is in systemd's StateDirectory, or
beside the credentials if there is none.
"""

from __future__ import annotations

import os
from pathlib import Path

from store.authority.memory import Memory, WentBy


class SeenVersions:
    """What a gateway has seen of one store. A file that is missing, unreadable or of another store counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: tuple[bytes, WentBy] | None = None

    def of(self, store_id: bytes) -> WentBy:
        """Return the newest versions of the configuration used from this store, with their rows and grants."""
        seen = Memory(self._path, store_id).read()
        return WentBy(dict(seen.versions), seen.configuration, seen.grants)

    def keep(self, store_id: bytes, went_by: WentBy) -> str:
        """Save `went_by` durably, if it changed. Return why that failed, or ""."""
        wanted = (store_id, went_by)
        if wanted == self._kept:
            return ""
        problem = Memory(self._path, store_id).keep(went_by=went_by)
        if not problem:
            self._kept = wanted
        return problem


def seen_path(credentials: Path) -> Path:
    """Return the path of the file for the gateway with these credentials."""
    folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return (Path(folder) if folder else credentials.parent) / f"{credentials.name}.seen"
