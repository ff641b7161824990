"""Where a scanner listens, as a configuration writes it, and a connection to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from store.terms.errors import UsageError


class Address(NamedTuple):
    """A unix socket's `path`, or else `host` and `port`."""

    path: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """``unix:/path``, ``host:port`` or ``[v6]:port``. Raises UsageError."""
    scheme, _, path = text.partition(":")
    if scheme == "unix":
        if not path.startswith("/"):
            raise UsageError(f"`{text}` names no socket: write unix: and an absolute path.")
        return Address(path, "", 0)
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare and bare == host) or not (port.isascii() and port.isdigit()):
        raise UsageError(f"`{text}` is no address of a scanner: write unix:/path, host:port or [v6 address]:port.")
    if not 0 < int(port) < 65536:
        raise UsageError(f"`{text}` has no port between 1 and 65535.")
    return Address("", bare, int(port))


@contextlib.asynccontextmanager
async def connected(
    address: Address, limit: int = 64 * 1024
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection for one question, dropped at the end whatever happened. `limit` is the longest answer in bytes."""
    if address.path:
        reader, writer = await asyncio.open_unix_connection(address.path, limit=limit)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port, limit=limit)
    try:
        yield reader, writer
    finally:
        # What is not sent by now is of no use to anybody: no waiting for it.
        writer.transport.abort()
