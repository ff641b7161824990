"""Connections to a scanner: one request at a time on each, kept for the next one where the scanner allows that.

They are asyncio protocols, because asyncio's streams cost more than the rest of a request. A scanner closes a
connection that is idle, and all of them when it restarts. So a request that fails on a kept connection is made again on
a new one: scanning a message twice does no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from store.mail.endpoint import Address

T = TypeVar("T")
#: Reads an answer from what was received, and whether the scanner closed the connection. Returns None if more has to
#: come; raises what the answer is instead.
Reader = Callable[[bytearray, bool], T | None]
#: Seconds for which an idle connection is kept: clamd closes its own after 30 (CommandReadTimeout), and less is rare.
IDLE = 5.0
#: Max bytes that are sent in one piece: asyncio copies what it cannot send at once.
_TOGETHER = 1024 * 1024 + 4096


class Connection(asyncio.Protocol):
    """A connection to a scanner. `requests` counts those made on it; `lasting`: it can serve another."""

    def __init__(self) -> None:
        self.requests = 0
        self.lasting = False
        self.idle_since = 0.0
        self._received = bytearray()
        self._reader: Reader[Any] | None = None
        self._answer: asyncio.Future[Any] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._closed = False
        self._error: Exception | None = None

    async def send(self, *parts: bytes) -> None:
        """Send data, large parts piece by piece. Returns early if the scanner closed: it may have answered before."""
        pieces = parts
        if sum(map(len, parts)) <= _TOGETHER:
            pieces = (b"".join(parts),)
        for piece in pieces:
            for start in range(0, len(piece), _TOGETHER):
                if self._closed:
                    return
                self._transport.write(piece[start : start + _TOGETHER])
                if self._writable is not None:
                    await self._writable

    async def answer(self, reader: Reader[T]) -> T:
        """Wait for the answer that `reader` finds.

        Raises EOFError if the connection ends before, OSError, or what `reader` raises.
        """
        self._reader = reader
        self._answer = asyncio.get_running_loop().create_future()
        if self._received or self._closed:
            self._read()
        try:
            found: T = await self._answer
            return found
        finally:
            self._reader = self._answer = None

    def usable(self, now: float) -> bool:
        """Whether an idle connection can take the next request: open, silent, and not idle for long."""
        return not (self._closed or self._received) and now - self.idle_since < IDLE

    def close(self) -> None:
        """Close at once: unsent data is of no use any more."""
        self._transport.abort()

    # --- asyncio.Protocol --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._read()

    def eof_received(self) -> None:
        self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error)

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        writable, self._writable = self._writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def _end(self, error: Exception | None) -> None:
        self._closed = True
        self._error = self._error or error
        self.resume_writing()
        self._read()

    def _read(self) -> None:
        future = self._answer
        if self._reader is None or future is None or future.done():
            return
        try:
            found = self._reader(self._received, self._closed)
        except Exception as error:
            future.set_exception(error)
            return
        if found is not None:
            self._received.clear()
            future.set_result(found)
        elif self._closed:
            future.set_exception(self._error or EOFError())


class Connections:
    """The connections to one scanner at `address`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._kept: list[Connection] = []

    async def request(self, ask: Callable[[Connection], Awaitable[T]]) -> T:
        """Let `ask` make its request on a connection. Raises OSError if there is none, and what `ask` raises.

        If a kept connection fails, `ask` is called again with a new one.
        """
        kept = self._take()
        if kept is not None:
            try:
                return await self._on(kept, ask)
            except (OSError, EOFError) as error:
                if isinstance(error, TimeoutError):
                    raise
                self.close()  # the others are as old
        return await self._on(await self._open(), ask)

    def close(self) -> None:
        """Close the kept connections."""
        while self._kept:
            self._kept.pop().close()

    def _take(self) -> Connection | None:
        """Take the connection that was used last, and close those that are of no use any more."""
        now = time.monotonic()
        while self._kept:
            connection = self._kept.pop()
            if connection.usable(now):
                return connection
            connection.close()
        return None

    async def _on(self, connection: Connection, ask: Callable[[Connection], Awaitable[T]]) -> T:
        connection.lasting = False
        connection.requests += 1
        try:
            result = await ask(connection)
        except BaseException:
            connection.close()
            raise
        if connection.lasting:
            connection.idle_since = time.monotonic()
            self._kept.append(connection)
        else:
            connection.close()
        return result

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        if self._address.path:
            _, connection = await loop.create_unix_connection(Connection, self._address.path)
        else:
            _, connection = await loop.create_connection(Connection, self._address.host, self._address.port)
        return connection
