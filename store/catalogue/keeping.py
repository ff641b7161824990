"""Decides when the catalogue's snapshot is read, saved and deleted.

A snapshot that still holds deleted copies is replaced within about a minute; one that only lacks new copies is replaced
once it lacks many.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from store.database.connection import is_url
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.catalogue.follow import Follower
    from store.vault.vault import Vault

#: Below this many copies no snapshot is kept.
SNAPSHOT_COPIES = 3_000
_QUIET_SECONDS = 3.0
_STALE_SECONDS = 60.0
_SAVE_AGAIN_SECONDS = 300.0
_SAVE_SHARE = 0.05


def snapshot_path(vault: Vault) -> Path | None:
    """Return where the snapshot is: beside a store that is a file, else in this user's cache folder.

    None for a user without a home directory.
    """
    if not is_url(vault.location):
        return Path(f"{vault.location}.snapshot")
    folder = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(folder) if folder.startswith("/") else Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return base / "mailhold" / f"{vault.store_id.hex()}.snapshot"


class SnapshotKeeper:
    """Manages the snapshot of one catalogue. Without a `path` no snapshot is kept."""

    def __init__(self, vault: Vault, path: Path | None) -> None:
        self._vault = vault
        self.path = path
        self._saving = threading.RLock()
        self._saved: tuple[int, int] | None = None
        self._saved_at = 0.0
        self._save_took = 0.0
        self._deleted_at: tuple[float, float] | None = None

    def resume(self, follower: Follower) -> tuple[int, int] | None:
        """Load the snapshot into `follower`.

        Returns the range of ids still to load, or None if there is no usable snapshot.
        """
        from store.catalogue.snapshot import SnapshotError, discard, open_snapshot

        self._saved = None
        if self.path is None:
            return None
        try:
            opened = open_snapshot(self._vault, self.path)
            if opened is None:
                return None
            span = follower.resume(*opened)
        except SnapshotError:
            discard(self.path)
            return None
        self._saved = (0, 0)
        self._saved_at = time.monotonic()
        if follower.deletions:
            self.note_deletion()
        return span

    def note_deletion(self) -> None:
        """Note that the saved snapshot still holds copies that are now deleted."""
        now = time.monotonic()
        self._deleted_at = (self._deleted_at[0] if self._deleted_at else now, now)

    def save_if_due(self, follower: Follower, stopping: threading.Event) -> float | None:
        """Save if it is due. Returns the seconds until the next save (<= 0: saved now), or None if none is planned."""
        with self._saving:
            wait = None if stopping.is_set() else self._save_in(follower)
            if wait is not None and wait <= 0:
                self.save(follower)
            return wait

    def close(self, follower: Follower) -> None:
        """Save if the snapshot holds deleted copies or lacks enough new ones to slow the next start."""
        if self.path is None:
            return
        with self._saving:
            size = len(follower.state.frame)
            unsaved = follower.arrivals - self._saved[0] if self._saved else size
            if self._deleted_at is not None or unsaved > min(SNAPSHOT_COPIES, 0.01 * size):
                self.save(follower)

    def _save_in(self, follower: Follower) -> float | None:
        """Return the seconds until a snapshot is due; None if none is planned."""
        now = time.monotonic()
        if self.path is None:
            return None
        if self._deleted_at is not None:
            first, last = self._deleted_at
            return max(0.0, min(last + _QUIET_SECONDS, first + max(_STALE_SECONDS, 30 * self._save_took)) - now)
        if self._saved is None:
            return 0.0 if self._worthwhile(follower) else None
        if follower.arrivals - self._saved[0] > max(SNAPSHOT_COPIES, _SAVE_SHARE * len(follower.state.frame)):
            return max(0.0, self._saved_at + _SAVE_AGAIN_SECONDS - now)
        return None

    def _worthwhile(self, follower: Follower) -> bool:
        return len(follower.state.frame) > SNAPSHOT_COPIES

    def save(self, follower: Follower) -> None:
        """Save the snapshot. If that fails and the old one holds deleted copies, delete the old one."""
        from store.catalogue import snapshot

        assert self.path is not None
        with self._saving:
            started = time.monotonic()
            stale = self._deleted_at is not None
            self._deleted_at = None
            try:
                if self._worthwhile(follower):
                    snapshot.save(self._vault, self.path, *follower.marks())
                else:
                    snapshot.discard(self.path)
            except (OSError, MailholdError):
                if stale:
                    snapshot.discard(self.path)
            self._saved = (follower.arrivals, follower.deletions)
            self._saved_at = time.monotonic()
            self._save_took = self._saved_at - started
