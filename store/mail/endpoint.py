"""Parse the address of a server, and connect to it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from store.terms.errors import UsageError

#: A host name or an address in brackets, with or without a port; or a bare IPv6 address.
_HOST = re.compile(r"(?:\[([^\[\]\s]+)\]|([^:\[\]\s]+))(?::([0-9]{1,10}))?|((?:[0-9A-Fa-f]*:){2,}[0-9A-Fa-f.]*)")


class Address(NamedTuple):
    """The `path` of a unix socket, or else `host` and `port`."""

    path: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Parse ``unix:/path``, ``host:port`` or ``[v6]:port``. Raises UsageError."""
    scheme, _, path = text.partition(":")
    if scheme == "unix":
        if not path.startswith("/"):
            raise UsageError(f"`{text}` is not a socket: write unix: and an absolute path.")
        return Address(path, "", 0)
    return Address("", *host_and_port(text, "not an address: write unix:/path, host:port or [v6 address]:port"))


def host_and_port(text: str, why: str, default: int = 0) -> tuple[str, int]:
    """Parse ``host:port`` or ``[v6]:port``; with a `default` port, also without one.

    Raises UsageError, worded with `why`.
    """
    match = _HOST.fullmatch(text.strip())
    if not match or not (match[3] or default):
        raise UsageError(f"`{text}` is {why}.")
    port = int(match[3] or default)
    if not 0 < port < 65536:
        raise UsageError(f"`{text}` has no port between 1 and 65535.")
    return match[1] or match[2] or match[4], port


@contextlib.asynccontextmanager
async def connected(
    address: Address, limit: int = 64 * 1024
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection for one request, and close it at the end.

    `limit` is the maximum length of an answer in bytes.
    """
    if address.path:
        reader, writer = await asyncio.open_unix_connection(address.path, limit=limit)
    else:
        reader, writer = await asyncio.open_connection(address.host, address.port, limit=limit)
    try:
        yield reader, writer
    finally:
        # Abort at once: unsent data is of no use any more.
        writer.transport.abort()
