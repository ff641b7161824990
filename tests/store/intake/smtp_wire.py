"""An SMTP and LMTP client for tests at byte level that sends only what the test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple


class Reply(NamedTuple):
    """A complete reply: its code, and its text without the codes, lines joined by LF."""

    code: int
    text: str


class WireClient:
    """A connection to a listener."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def tcp(cls, port: int, greet: str = "") -> WireClient:
        """Connect, read the banner, and greet with `greet` ("EHLO", "LHLO") if given."""
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        assert (await client.reply()).code == 220
        if greet:
            assert (await client.ask(f"{greet} client.test")).code == 250
        return client

    async def reply(self) -> Reply:
        """Read the next reply; code 0 if the connection is closed."""
        lines = []
        while True:
            async with asyncio.timeout(20):
                line = await self.reader.readline()
            if not line:
                return Reply(0, "")
            lines.append(line[4:].decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), "\n".join(lines))

    async def ask(self, line: str | bytes) -> Reply:
        await self.put((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def put(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def envelope(self, sender: str = "s@gw.test", to: Sequence[str] = ("a@gw.test",)) -> None:
        """Send MAIL, RCPT and DATA; assert that each is accepted."""
        assert (await self.ask(f"MAIL FROM:<{sender}>")).code == 250
        for address in to:
            assert (await self.ask(f"RCPT TO:<{address}>")).code == 250
        assert (await self.ask("DATA")).code == 354

    async def message(self, raw: bytes, sender: str = "s@gw.test", to: Sequence[str] = ("a@gw.test",)) -> Reply:
        """Send a message (lines end in CR LF); return the first reply to it."""
        await self.envelope(sender, to)
        await self.put(stuffed(raw))
        return await self.reply()

    def close(self) -> None:
        self.writer.close()


def stuffed(raw: bytes) -> bytes:
    """Return a message as DATA carries it, with its end."""
    return (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
