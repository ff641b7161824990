"""Whether a gateway still runs: it holds a lock that ends with its process.

A beat in the database says that a gateway ran some seconds ago; the lock says at once that it does not any more. Of a
store in SQLite it is on a file beside the store, which tells on the same machine; in PostgreSQL it is an advisory lock
of the connection that says the beats, which the server gives up when that ends, and tells everywhere.

The file also names what the gateway's worker was called in leases: the next process of the same gateway takes back what
the last one held. PostgreSQL has no place beside the store: there the file lies with what else the gateway keeps.
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
#: The file is touched before each beat: it is not older than that by more (ms).
_TOUCHED_MS = 30_000
#: PostgreSQL's list of advisory locks of two numbers, in this database.
_LOCKS = (
    "SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
    "AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) "
    "AND classid = ? AND objid = ?"
)
_HELD = f"SELECT EXISTS ({_LOCKS})"
#: Shared, since each thread of the gateway that says a beat holds it, and once by each connection.
_HOLD = (
    "SELECT pg_catalog.pg_try_advisory_lock_shared(?, ?) "
    f"WHERE NOT EXISTS ({_LOCKS} AND pid = pg_catalog.pg_backend_pid())"
)
_NUMBERS = (1 << 31) - 1


def _path(location: str, gateway_id: int) -> Path:
    return Path(f"{Path(location).absolute()}.gateway-{gateway_id}")


def hold(vault: Reader, gateway_id: int) -> None:
    """Hold, with this thread's connection to PostgreSQL, the lock that says that a gateway runs. In a transaction."""
    if is_url(vault.location):
        key = _key(vault, gateway_id)
        run(vault.db, _HOLD, *key, *key)


def _key(vault: Reader, gateway_id: int) -> tuple[int, int]:
    return int.from_bytes(vault.store_id[:4], "big") & _NUMBERS, gateway_id & _NUMBERS


def is_gone(vault: Reader, gateway_id: int, alive_at: int) -> bool:
    """Return True if the gateway that was alive at that time (Unix ms) no longer runs.

    False also where nobody can tell: of a store in SQLite, a file that was not touched with the last beats says
    nothing, since the gateway may run on another machine. Raises StoreUnavailable.
    """
    if is_url(vault.location):
        with vault.reading():
            return not run(vault.db, _HELD, *_key(vault, gateway_id)).fetchone()[0]
    try:
        descriptor = os.open(
            _path(vault.location, gateway_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
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
        if not is_url(location):
            give_access(self._descriptor, Path(location).absolute())  # Operators look whether the lock is held.
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
