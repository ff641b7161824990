"""The milter's listener."""

from __future__ import annotations

import asyncio
import socket

from store.intake.listening import Listener
from store.intake.milter.reminder import Reminder
from store.intake.milter.session import Handler, Session

#: Seconds between the notices to the MTA that a message is still being judged.
PROGRESS_SECONDS = 10.0


class MilterServer(Listener[Session]):
    """Serves MTAs over the milter protocol. `handler` judges each message; `max_size` is the largest message
    in bytes.
    """

    def __init__(self, handler: Handler, *, max_size: int) -> None:
        super().__init__("the milter")
        self._handler = handler
        self._max_size = max_size
        self._reminder = Reminder(PROGRESS_SECONDS)

    def _session(self) -> Session:
        return Session(
            self._handler,
            max_size=self._max_size,
            reminder=self._reminder,
            opened=self._sessions.add,
            closed=self._sessions.discard,
        )

    async def _start_unix(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_unix_server(self._session, sock=listener, backlog=256)

    async def _start_tcp(self, host: str, port: int) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(self._session, host, port, backlog=256)
