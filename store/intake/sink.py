"""SMTP and LMTP listeners for content filters, quarantines and other MTAs.

Without a next hop, messages end here: accepting one means that it was kept. With a next hop, the listener is a filter:
an accepted message is sent on, and its client gets the positive reply only after the next hop has accepted it, so that
no message exists only here; a discarded one is not sent on. Scanners' header fields count only on a trusted listener.
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
    largest message in bytes; accepted messages go to `next_hop`; `host_name` is this host's name (ASCII).
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
        """Stop as `Listener.stop`; clients whose messages do not finish in time are told to try again."""
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
