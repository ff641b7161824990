"""What an administrator can do about a database that does not work, by the driver's text."""

from __future__ import annotations

import os
from pathlib import Path

from store.database.file_systems import is_read_only, stopped_writing

_PERMISSIONS = "check who owns it and its permissions"
_DISK = "look for disk errors in the system's log"
_STOPPED = "its file system stopped writing after an error. Look in the system's log why, repair it, and mount it again"
_MOUNT = "its file system is read-only. Look in the system's log why, repair it, and mount it for writing"


def advice_on(text: str, file: str | None) -> str:
    """Say what to do about an error of the driver. `file` is the store's path, None for a database server."""
    refused = "readonly" in text or "read-only" in text or "permission" in text.lower()
    failed = "disk I/O error" in text
    if file is not None and (refused or failed):
        return _about_file(Path(file).absolute(), _PERMISSIONS if refused else _DISK)
    if refused:
        return _PERMISSIONS
    if failed:
        return _DISK
    if "locked" in text:
        return "another program locked it for too long, try again"
    return "check that the database exists and that this user may use it"


def _about_file(path: Path, otherwise: str) -> str:
    """Linux makes a file system read-only when its disk fails, also while the store is open; permissions stay then."""
    try:
        if is_read_only(path):
            return _MOUNT
        if stopped_writing(path):
            return _STOPPED
    except OSError:
        return otherwise
    return _DISK if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else otherwise
