"""Whether a gateway runs on this machine: it holds a lock on a file beside the store, which ends with its process.

A beat in the database says that a gateway ran some seconds ago; the lock says at once that it does not any more. The
file also names what the gateway's worker was called in leases: the next process of the same gateway takes back what
the last one held. PostgreSQL has no place beside the store: there the beats alone tell others, and the file lies with
what else the gateway keeps.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path

from store.database.connection import is_url

_MOST = 64
#: The file is touched before each beat: it is not older than that by more (ms).
_TOUCHED_MS = 30_000


def _path(location: str, gateway_id: int) -> Path:
    return Path(f"{Path(location).absolute()}.gateway-{gateway_id}")


def is_gone(location: str, gateway_id: int, alive_at: int) -> bool:
    """True where the gateway that was alive at that time (Unix ms) ran on this machine, and does not any more.

    False also where nobody can tell: a file that was not touched with the last beats says nothing.
    """
    if is_url(location):
        return False
    try:
        descriptor = os.open(_path(location, gateway_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_mtime_ns // 1_000_000 > alive_at - _TOUCHED_MS
    except OSError:
        return False
    finally:
        os.close(descriptor)


class Presence:
    """This process as a gateway that runs. `owner` is what its worker is called in leases from now on.

    `former` is what the last process of the gateway was called, "" where that is not known, or may still run. `held`
    says whether the lock is this process's.
    """

    def __init__(self, location: str, gateway_id: int, kept: Path | None = None) -> None:
        """`kept` is the file for a store in PostgreSQL; without one that gateway has none."""
        self.owner = secrets.token_hex(8)
        self.former = ""
        self.held = False
        self._descriptor = -1
        path = kept if is_url(location) else _path(location, gateway_id)
        if path is None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.end()
            return
        self.held = True
        with suppress(OSError):
            self.former = os.pread(self._descriptor, _MOST, 0).decode("ascii", "replace").strip()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, self.owner.encode(), 0)

    def touch(self) -> None:
        """Say with each beat that the lock is still meant."""
        if self.held:
            with suppress(OSError):
                os.utime(self._descriptor)

    def end(self) -> None:
        """Let go of the lock: the gateway does not run any more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self.held = -1, False
