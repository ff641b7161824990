"""A milter that reads every message whole and discards it: the baseline for the gateway's load benchmark.

    python -m tests.benchmarks.discard_milter SOCKET

It has its own wire code and imports nothing of Mailhold: if it became faster together with the product, the ratio would
hide that. KEEP IT AS IT IS: figures from before a change cannot be compared with figures after it.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from pathlib import Path
from typing import cast

#: Milter protocol 6: no replies except to the end of a message; leading spaces are kept.
_WANTED = 0x100 | 0x200 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x80 | 0x40000 | 0x80000 | 0x100000
_DISCARD = struct.pack(">I", 1) + b"d"


class Discarding(asyncio.Protocol):
    """The session of one MTA."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 5:
            (length,) = struct.unpack_from(">I", buffer, start)
            end = start + 4 + length
            if end > len(buffer):
                break
            self._take(buffer[start + 4], bytes(buffer[start + 5 : end]))
            start = end
        del buffer[:start]

    def _take(self, command: int, data: bytes) -> None:
        if command in b"LB":  # a header field, a part of the body
            self._parts.append(data)
        elif command == ord("E"):  # the end of the message
            self._parts.clear()
            self._transport.write(_DISCARD)
        elif command == ord("O"):  # negotiation
            _version, _actions, offered = struct.unpack_from(">III", data)
            self._transport.write(struct.pack(">IcIII", 13, b"O", 6, 0, _WANTED & offered))
        elif command in b"AK":  # message aborted, or connection given up
            self._parts.clear()
        elif command == ord("Q"):
            self._transport.close()


async def main(path: Path) -> None:
    """Serve MTAs on a unix socket that everybody may open; print `ready` once listening."""
    server = await asyncio.get_running_loop().create_unix_server(Discarding, path, backlog=256)
    path.chmod(0o666)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
