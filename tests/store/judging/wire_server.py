"""A scripted server on a unix socket, in place of a scanner."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from store.mail.incoming import Incoming

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class WireServer:
    """Answers each connection with `talk`, which a test can replace while it runs; `connections` counts them."""

    def __init__(self, path: Path, talk: Talk) -> None:
        self.path = path
        self.talk = talk
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.talk(reader, writer)
                await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()


@contextlib.asynccontextmanager
async def serving(path: Path, talk: Talk) -> AsyncIterator[WireServer]:
    """Run a WireServer."""
    server = WireServer(path, talk)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read everything and answer nothing."""
    while await reader.read(65536):
        pass
    await asyncio.Event().wait()


def incoming(raw: bytes = b"Subject: x\r\n\r\nbody\r\n", **changes: object) -> Incoming:
    """Make a message as a listener passes it on."""
    values: dict[str, object] = {"sender": "s@example.org", "recipients": ["r@example.com"], **changes}
    return Incoming(raw, **values)
