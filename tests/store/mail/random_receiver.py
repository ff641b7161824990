"""An SMTP receiver that fails, stalls and drops connections at random, and logs what it accepted."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter
from typing import ClassVar, NamedTuple

_MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]*)>", re.IGNORECASE | re.MULTILINE)


class Taken(NamedTuple):
    """A recipient of an accepted message: the receiver has it, whatever the client learns."""

    message_id: str
    address: str


class Drop(Exception):
    """Raised to cut the connection."""


class RandomReceiver:
    """Runs in its own thread. `taken` is its log; `faults` counts its faults, by name.

    Each fault has a probability; one random generator with a fixed seed decides, in the order of the commands.
    """

    #: (where, what): the probability. `before` and `after`: before and after the message is accepted at the final dot.
    CHANCES: ClassVar = {
        ("MAIL", "451 later"): 0.02,
        ("RCPT", "451 mailbox busy"): 0.04,
        ("RCPT", "550 no such user"): 0.04,
        ("RCPT", "stall"): 0.005,
        ("RCPT", "drop"): 0.01,
        ("DATA", "451 later"): 0.02,
        ("DATA", "drop"): 0.02,
        ("content", "drop"): 0.02,
        ("before", "drop"): 0.02,
        ("before", "stall"): 0.02,
        ("before", "452 no room"): 0.02,
        ("before", "554 refused"): 0.02,
        ("after", "drop"): 0.04,
        ("after", "stall"): 0.02,
        ("after", "stall and drop"): 0.015,
    }
    STALL = 0.7

    def __init__(self, seed: int) -> None:
        self.taken: list[Taken] = []
        self.faults: Counter[str] = Counter()
        self.port = 0
        self._random = random.Random(seed)
        self._up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> RandomReceiver:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
        self.port = int(server.sockets[0].getsockname()[1])
        self._up.set()
        await self._stop.wait()
        server.close()

    async def _fault(self, where: str) -> str:
        """Draw the fault at this point: "" for none, else a reply to give. Raises Drop."""
        dice = self._random.random()
        for (place, what), chance in self.CHANCES.items():
            if place != where:
                continue
            dice -= chance
            if dice >= 0:
                continue
            self.faults[f"{place} {what}"] += 1
            if "stall" in what:
                await asyncio.sleep(self.STALL)
            if "drop" in what:
                raise Drop
            return "" if "stall" in what else what
        return ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (Drop, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        await say("220 at your service")
        recipients: list[str] = []
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            verb = text[:4].upper()
            if verb == "EHLO":
                await say("250-at your service\r\n250 8BITMIME")
            elif verb == "MAIL":
                recipients = []
                await say(await self._fault("MAIL") or "250 ok")
            elif verb == "RCPT":
                fault = await self._fault("RCPT")
                if not fault:
                    recipients.append(text[9:].rstrip(">"))
                await say(fault or "250 ok")
            elif verb == "DATA":
                fault = await self._fault("DATA")
                await say(fault or "354 go on")
                if not fault:
                    await self._content(reader, recipients, say)
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("250 ok")

    async def _content(self, reader: asyncio.StreamReader, recipients: list[str], say: object) -> None:
        content = await reader.read(1)
        await self._fault("content")
        content += await reader.readuntil(b"\r\n.\r\n")
        fault = await self._fault("before")
        if not fault:
            found = _MESSAGE_ID.search(content)
            assert found
            self.taken += [Taken(found[1].decode(), address) for address in recipients]
            await self._fault("after")
        await say(fault or "250 taken")  # type: ignore[operator]
