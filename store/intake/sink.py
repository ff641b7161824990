"""SMTP and LMTP listeners for content filters, quarantines and other MTAs.

A listener without a next hop is where messages end: an accepted one has been taken. With a next hop it is a filter:
an accepted message is sent on, and its client is told so only when the next hop has it, so that nothing is ever only
here; a discarded one is not sent on. Scanners' header fields count only on a listener that is marked trusted.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from store.intake.listening import unix_listener
from store.intake.smtp.session import Handler, Options, Session
from store.terms.errors import StoreError

if TYPE_CHECKING:
    from store.mail.relay import Relay

__all__ = ["Handler", "SinkServer"]

_READ_AHEAD = 256 * 1024


class SinkServer:
    """Serves SMTP or LMTP clients.

    `handler` judges each message: one outcome for all recipients, or a list with one for each. `max_size` is the
    largest message in bytes; `next_hop` gets what is accepted; `host_name` is this host's name (ASCII).
    """

    def __init__(
        self,
        handler: Handler,
        *,
        protocol: Literal["lmtp", "smtp"],
        max_size: int,
        trusted: bool = False,
        next_hop: Relay | None = None,
        host_name: str = "localhost",
    ) -> None:
        self._options = Options(handler, protocol == "lmtp", max_size, trusted, host_name, next_hop)
        self._what = f"the {protocol.upper()} listener"
        self._sessions: set[Session] = set()
        self._servers: list[asyncio.Server] = []
        self.paths: list[Path] = []

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    async def listen_unix(self, path: Path, *, mode: int = 0o660, group: str = "") -> None:
        """Listen on a unix socket that `group` may open. Raises StoreError, UsageError where there is no such group."""
        listener = unix_listener(path, self._what, mode=mode, group=group)
        self._servers.append(await asyncio.start_unix_server(self._serve, sock=listener, limit=_READ_AHEAD))
        self.paths.append(path)

    async def listen_tcp(self, host: str, port: int) -> int:
        """Listen on a TCP port (0: any). Returns the port. Raises StoreError."""
        try:
            server = await asyncio.start_server(self._serve, host, port, backlog=256, limit=_READ_AHEAD)
        except OSError as error:
            raise StoreError(
                f"{self._what.capitalize()} cannot listen on {host}:{port}: {error.strerror or error}."
            ) from None
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def stop(self, grace: float = 10.0) -> None:
        """Take no new session and no new message.

        Messages that are under way have `grace` seconds to come to their end; the clients of others are told to try
        again.
        """
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
        for session in list(self._sessions):
            session.abandon()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self._options, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
