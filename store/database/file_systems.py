"""Whether a file system takes no writes, so that permissions alone do not say what a user may do."""

from __future__ import annotations

import os
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
#: The options by which Linux shows that a file system stopped writing after an error; it is still mounted "rw" then.
_STOPPED = {"emergency_ro", "shutdown"}


def is_read_only(path: Path) -> bool:
    """Return whether the file system of a path is mounted read-only. Raises OSError."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def stopped_writing(path: Path) -> bool:
    """Return whether the file system of a path stopped writing after an error, as ext4 does. Raises OSError."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False  # not Linux, or /proc is hidden
    fields = [line.split(" ") for line in mounts]
    return any(each[2:3] == [number] and not _STOPPED.isdisjoint(each[-1].split(",")) for each in fields)
