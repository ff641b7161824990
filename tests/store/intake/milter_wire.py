"""A milter client for tests at byte level: sends packets in any pieces, reads replies."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from pathlib import Path

#: Replies only to the negotiation and to the end of a message; leading spaces are kept.
WAIVED = 0x100 | 0x200 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x80 | 0x40000 | 0x80000 | 0x100000


def packet(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 1 + len(data)) + letter + data


def negotiation(protocol: int = WAIVED) -> bytes:
    return packet(b"O", struct.pack(">III", 6, 0x1FF, protocol))


def message(
    subject: str, body: bytes = b"body\r\n", to: Sequence[str] = ("a@gw.test",), headers: Sequence[bytes] = ()
) -> bytes:
    """Return the packets of a message, from its sender to its end."""
    found = [packet(b"M", b"<s@gw.test>\0")]
    found += [packet(b"R", f"<{address}>".encode() + b"\0") for address in to]
    found += [packet(b"L", b"Subject\0 " + subject.encode() + b"\0")]
    found += [packet(b"L", field) for field in headers]
    return b"".join([*found, packet(b"N"), packet(b"B", body), packet(b"E")])


class MilterClient:
    """A connection to the milter."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def unix(cls, path: Path, protocol: int = WAIVED) -> MilterClient:
        """Connect and negotiate."""
        client = cls(*await asyncio.open_unix_connection(path))
        await client.put(negotiation(protocol))
        assert (await client.reply())[:1] == b"O"
        return client

    async def put(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> bytes:
        """Read the next reply: its letter and data; b"" if the connection is closed."""
        try:
            async with asyncio.timeout(30):
                (length,) = struct.unpack(">I", await self.reader.readexactly(4))
                return await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
