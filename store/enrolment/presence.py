"""Presence of a gateway: it holds a lock that ends with its process.

A heartbeat in the database shows that a gateway ran some seconds ago; the lock shows at once that it does not run any
more. For SQLite, the lock is on a file beside the store, which works on the same machine only. For PostgreSQL, it is an
advisory lock of the connection that writes the heartbeats; the server releases it when that connection ends, and every
machine can see it.

The file also holds the name under which the gateway's worker holds leases, so that the gateway's next process can take
these over. For PostgreSQL the file is beside the gateway's other state.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from store.database.connection import is_url, run
from store.helpers.companions import give_access

if TYPE_CHECKING:
    from store.vault.reader import Reader

_MOST = 64
_TO_TEST = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: The gateway touches the file before each heartbeat. If the file is older than the heartbeat by more (ms), it is not
#: that gateway's.
_TOUCHED_MS = 30_000
#: This database's advisory locks with two given numbers.
_LOCKS = (
    "SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
    "AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) "
    "AND classid = ? AND objid = ?"
)
_HELD = f"SELECT EXISTS ({_LOCKS})"
#: A shared lock, because every thread that writes heartbeats takes it; once per connection.
_HOLD = (
    "SELECT pg_catalog.pg_try_advisory_lock_shared(?, ?) "
    f"WHERE NOT EXISTS ({_LOCKS} AND pid = pg_catalog.pg_backend_pid())"
)
_NUMBERS = (1 << 31) - 1


def _path(location: str, gateway_id: int) -> Path:
    return Path(f"{Path(location).absolute()}.gateway-{gateway_id}")


def hold(vault: Reader, gateway_id: int) -> None:
    """Take the lock of a running gateway on this thread's PostgreSQL connection. In a transaction."""
    if is_url(vault.location):
        key = _key(vault, gateway_id)
        run(vault.db, _HOLD, *key, *key)


def _key(vault: Reader, gateway_id: int) -> tuple[int, int]:
    return int.from_bytes(vault.store_id[:4], "big") & _NUMBERS, gateway_id & _NUMBERS


def is_gone(vault: Reader, gateway_id: int, alive_at: int) -> bool:
    """Return True if the gateway whose last heartbeat is `alive_at` (Unix ms) certainly no longer runs.

    False if that is unknown. With SQLite, a file that was not touched with the last heartbeats proves nothing: the
    gateway may run on another machine. Raises StoreUnavailable.
    """
    if is_url(vault.location):
        with vault.reading():
            return not run(vault.db, _HELD, *_key(vault, gateway_id)).fetchone()[0]
    held, touched = _tested(vault, gateway_id)
    return held is False and touched > alive_at - _TOUCHED_MS


def is_here(vault: Reader, gateway_id: int) -> bool:
    """Return True if the gateway certainly runs, even without heartbeats. False if that is unknown.

    With SQLite this shows a process on this machine. Raises StoreUnavailable.
    """
    if is_url(vault.location):
        with vault.reading():
            return bool(run(vault.db, _HELD, *_key(vault, gateway_id)).fetchone()[0])
    return _tested(vault, gateway_id)[0] is True


def _tested(vault: Reader, gateway_id: int) -> tuple[bool | None, int]:
    """Return whether a process holds the lock on a gateway's file (None: unknown), and when the file was touched.

    The time is Unix ms, 0 unless the lock is free.
    """
    try:
        descriptor = os.open(_path(vault.location, gateway_id), _TO_TEST)
    except OSError:
        return None, 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False, os.fstat(descriptor).st_mtime_ns // 1_000_000
    except BlockingIOError:
        return True, 0
    except OSError:
        return None, 0
    finally:
        os.close(descriptor)


class Presence:
    """Presence of this process as a running gateway. `owner` is the new name of its worker in leases.

    `former` is the name that the gateway's last process had, "" if unknown or if it may still run. `held` says whether
    this process holds the lock.
    """

    def __init__(self, location: str, gateway_id: int, kept: Path | None = None) -> None:
        """`kept` is the file to use for a store in PostgreSQL; without it there is no lock."""
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
        if not is_url(location):
            give_access(self._descriptor, Path(location).absolute())  # So that operators can test the lock.
        with suppress(OSError):
            self.former = os.pread(self._descriptor, _MOST, 0).decode("ascii", "replace").strip()
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, self.owner.encode(), 0)

    def touch(self) -> None:
        """Touch the file, with each heartbeat."""
        if self.held:
            with suppress(OSError):
                os.utime(self._descriptor)

    def end(self) -> None:
        """Release the lock: the gateway stops."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self.held = -1, False
