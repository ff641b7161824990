"""Listen on TCP ports and unix sockets, for any protocol: many sessions at once, and a clean stop.

A unix socket cannot be opened before its mode and group are set.
"""

from __future__ import annotations

import asyncio
import grp
import os
import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from store.terms.errors import StoreError, UsageError


class AnySession(Protocol):
    """One client's connection."""

    @property
    def busy(self) -> bool:
        """Whether a message is in progress."""

    def stop(self) -> None:
        """Accept no further message."""

    async def finished(self) -> None:
        """Wait for the message in progress."""


S = TypeVar("S", bound=AnySession)


class Listener(ABC, Generic[S]):
    """Serves clients, each in a session of its own. `what` names the listener in errors ("the milter")."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._sessions: set[S] = set()
        self._servers: list[asyncio.Server] = []
        self.paths: list[Path] = []

    @abstractmethod
    async def _start_unix(self, listener: socket.socket) -> asyncio.Server: ...

    @abstractmethod
    async def _start_tcp(self, host: str, port: int) -> asyncio.Server: ...

    @property
    def sessions(self) -> int:
        """The number of connected clients."""
        return len(self._sessions)

    async def listen_unix(self, path: Path, *, mode: int = 0o660, group: str = "") -> None:
        """Listen on a unix socket that `group` may open. Raises StoreError, and UsageError if there is no such
        group.
        """
        listener = unix_listener(path, self._what, mode=mode, group=group)
        self._servers.append(await self._start_unix(listener))
        self.paths.append(path)

    async def listen_tcp(self, host: str, port: int) -> int:
        """Listen on a TCP port (0 = any). Returns the port. Raises StoreError."""
        try:
            server = await self._start_tcp(host, port)
        except OSError as error:
            what = f"{self._what[:1].upper()}{self._what[1:]}"
            raise StoreError(f"{what} cannot listen on {host}:{port}: {error.strerror or error}.") from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def stop(self, grace: float = 10.0) -> None:
        """Accept no new session and no new message; wait up to `grace` seconds for messages in progress."""
        for server in self._servers:
            server.close()
        for path in self.paths:
            path.unlink(missing_ok=True)
        sessions = list(self._sessions)
        for session in sessions:
            session.stop()
        waiting = [asyncio.ensure_future(session.finished()) for session in sessions if session.busy]
        if waiting:
            _done, late = await asyncio.wait(waiting, timeout=grace)
            for waiter in late:
                waiter.cancel()


def unix_listener(path: Path, what: str, *, mode: int = 0o660, group: str = "") -> socket.socket:
    """Open a unix socket on `path` for `what` ("the milter"), which `group` may connect to.

    Replaces a socket that no process serves; fails if another process serves it, or if another file is there. Raises
    StoreError, and UsageError if there is no such group.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.unlink(missing_ok=True)
        _refuse_if_taken(path, what)
        listener.bind(str(made))
        if group:
            os.chown(made, -1, grp.getgrnam(group).gr_gid)
        made.chmod(mode)
        listener.listen(256)
        listener.setblocking(False)
        made.rename(path)
    except BaseException as error:
        listener.close()
        with suppress(OSError):
            made.unlink()
        if isinstance(error, KeyError):
            raise UsageError(
                f"There is no group `{group}` for the socket of {what}. Give a group that the MTA's user is in."
            ) from None
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            if not path.parent.is_dir():
                why = f"there is no folder {path.parent}. `mailhold gateway --check-config` says how to make it"
            raise StoreError(f"{what[:1].upper()}{what[1:]} cannot listen on {path}: {why}.") from None
        raise
    return listener


def _refuse_if_taken(path: Path, what: str) -> None:
    if path.exists() and not path.is_socket():
        raise StoreError(f"The socket {path} of {what} cannot be made: there is a file with that name. Choose another.")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        return
    finally:
        probe.close()
    raise StoreError(f"Another process is listening on the socket {path} of {what}. Stop it first.")
