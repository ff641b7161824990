"""A relay in its own process, which accepts every message and prints which it accepted, and for whom."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from pathlib import Path

from tests.store.mail.smtp_server import ScriptedServer
from tests.torture.processes import Process


def _serve() -> None:
    asyncio.run(_serving())


async def _serving() -> None:
    async with ScriptedServer() as server:
        print("port", server.port, flush=True)
        seen = 0
        while True:
            # Each message is printed before the next is read: only the whole process can be killed here.
            for taken in server.taken[seen:]:
                match = re.search(rb"^X-Number: (\d+) ", taken.content, re.MULTILINE)
                number = int(match[1]) if match else -1
                for address in taken.rcpt:
                    print("taken", number, address, flush=True)
            seen = len(server.taken)
            await asyncio.sleep(0.01)


class Relay:
    """The process. `port` is where it listens."""

    def __init__(self, folder: Path) -> None:
        self.process = Process(folder, "relay", _serve)
        until = time.monotonic() + 30
        while not (lines := self.process.lines()):
            assert time.monotonic() < until and self.process.running(), self.process.err
            time.sleep(0.01)
        self.port = int(lines[0][1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def taken(self) -> Counter[tuple[int, str]]:
        """Return how often it accepted each message for each address, by the message's number."""
        return Counter((int(words[1]), words[2]) for words in self.process.lines() if words[0] == "taken")

    def stop(self) -> Counter[tuple[int, str]]:
        """Stop it after it has printed all it accepted, and return that."""
        seen: Counter[tuple[int, str]] | None = None
        while seen != (seen := self.taken()):
            time.sleep(0.1)
        self.process.kill()
        return seen
