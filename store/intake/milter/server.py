"""The milter's listener: many sessions at once on a unix socket or a TCP port, and a clean stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from store.intake.listening import unix_listener
from store.intake.milter.session import Handler, Session
from store.terms.errors import StoreError


class MilterServer:
    """Serves MTAs. `handler` judges each message; `max_size` is the largest message in bytes."""

    def __init__(self, handler: Handler, *, max_size: int) -> None:
        self._handler = handler
        self._max_size = max_size
        self._sessions: set[Session] = set()
        self._servers: list[asyncio.Server] = []
        self.paths: list[Path] = []

    @property
    def sessions(self) -> int:
        """How many MTAs are connected."""
        return len(self._sessions)

    def _session(self) -> Session:
        return Session(self._handler, max_size=self._max_size, opened=self._sessions.add, closed=self._sessions.discard)

    async def listen_unix(self, path: Path, *, mode: int = 0o660, group: str = "") -> None:
        """Listen on a unix socket that `group` may open. Raises StoreError, UsageError where there is no such group."""
        listener = unix_listener(path, "the milter", mode=mode, group=group)
        server = await asyncio.get_running_loop().create_unix_server(self._session, sock=listener, backlog=256)
        self._servers.append(server)
        self.paths.append(path)

    async def listen_tcp(self, host: str, port: int) -> int:
        """Listen on a TCP port (0: any). Returns the port. Raises StoreError."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._session, host, port, backlog=256)
        except OSError as error:
            raise StoreError(f"The milter cannot listen on {host}:{port}: {error.strerror or error}.") from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def stop(self, grace: float = 10.0) -> None:
        """Take no new session and no new message; wait up to `grace` seconds for those that are being judged."""
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
