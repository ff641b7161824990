"""Read a client's input: lines of commands, and chunks of a message."""

from __future__ import annotations

import asyncio
import socket

#: Max length of a command line with its line end, in bytes. RFC 5321 requires 512, and more for each extension.
MAX_LINE = 4096
_CHUNK = 256 * 1024


class LineTooLong(Exception):
    """A command line was too long, and was skipped."""


class Input:
    """Reads a connection. Raises EOFError if the client is gone, TimeoutError if it is silent too long."""

    def __init__(self, reader: asyncio.StreamReader, tcp: socket.socket | None) -> None:
        self._reader = reader
        self._tcp = tcp
        # Bytes read from the connection, and the offset of the next unhandled one.
        self._pending, self._at = b"", 0

    @property
    def has_line(self) -> bool:
        """Whether the next command is buffered, so that its reply can be sent together with those before it."""
        return self._pending.find(b"\n", self._at) >= 0

    @property
    def at_end(self) -> bool:
        """Whether the client has closed its side and everything it sent is handled."""
        return self._at == len(self._pending) and self._reader.at_eof()

    async def line(self, timeout: float) -> bytes:
        """Return the next line without its end (CR LF, or a bare LF). Raises LineTooLong."""
        kept, length = b"", 0
        while True:
            end = self._pending.find(b"\n", self._at)
            stop = end if end >= 0 else len(self._pending)
            length += stop - self._at
            if length < MAX_LINE:
                kept += self._pending[self._at : stop]
            if end >= 0:
                self._at = end + 1
                if length >= MAX_LINE:
                    raise LineTooLong
                return kept.removesuffix(b"\r")
            self._at = len(self._pending)
            self._pending, self._at = await self.chunk(timeout), 0

    async def chunk(self, timeout: float) -> bytes:
        """Return the bytes that have arrived, at least one. Raises EOFError at the end, TimeoutError after `timeout`
        seconds.
        """
        if self._at < len(self._pending):
            chunk = self._pending[self._at :]
            self._pending, self._at = b"", 0
            return chunk
        async with asyncio.timeout(timeout):
            chunk = await self._reader.read(_CHUNK)
        if not chunk:
            raise EOFError
        if self._tcp is not None:
            # Without TCP_QUICKACK a client waits 40 ms for an acknowledgement. Linux resets it after each read.
            self._tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return chunk

    def give_back(self, rest: bytes) -> None:
        """Put back bytes that were read with a message but are the next commands."""
        self._pending, self._at = rest + self._pending[self._at :], 0
