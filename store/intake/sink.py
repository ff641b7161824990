"""SMTP and LMTP listeners for content filters, quarantines and other MTAs.

A listener without a next hop is where messages end: an accepted one has been taken. With a next hop it is a filter:
an accepted message is sent on, and its client is told so only when the next hop has it, so that nothing is ever only
here; a discarded one is not sent on. Scanners' header fields count only on a listener that is marked trusted.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Literal

from store.intake.listening import Listener
from store.intake.smtp.session import Handler, Options, Session

if TYPE_CHECKING:
    from store.mail.relay import Relay

__all__ = ["Handler", "SinkServer"]

_READ_AHEAD = 256 * 1024


class SinkServer(Listener[Session]):
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
        super().__init__(f"the {protocol.upper()} listener")
        self._options = Options(handler, protocol == "lmtp", max_size, trusted, host_name, next_hop)

    async def _start_unix(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.start_unix_server(self._serve, sock=listener, limit=_READ_AHEAD)

    async def _start_tcp(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, host, port, backlog=256, limit=_READ_AHEAD)

    async def stop(self, grace: float = 10.0) -> None:
        """As `Listener.stop`; the clients of messages that come to no end in time are told to try again."""
        await super().stop(grace)
        for session in list(self._sessions):
            session.abandon()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self._options, reader, writer)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
