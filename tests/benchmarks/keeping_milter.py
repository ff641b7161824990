"""The discarding milter, plus the least that keeping each message durably takes, by hand: the gateway's floor.

    python -m tests.benchmarks.keeping_milter SOCKET FILE

Its wire code is the discarding milter's own. A thread digests, compresses, seals and inserts all messages that wait, in
one transaction of plain SQLite with Mailhold's pragmas, and answers are sent once it is durable. It has uvloop if that
is installed, as the gateway has. It judges nothing, knows no policy, checks nothing, has one key, logs nothing, and
does not notice a message that is sent twice: what the gateway takes beyond it is for these.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import sys
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.gateway.event_loop import factory
from store.helpers.zstd import ZstdCompressor
from tests.benchmarks.discard_milter import _DISCARD, Discarding

PRAGMAS = (
    *("page_size=4096", "auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "secure_delete=FAST"),
    *("cache_size=-16384", "temp_store=MEMORY", "mmap_size=0", "wal_autocheckpoint=1024"),
)
TABLES = (
    "CREATE TABLE message (id INTEGER PRIMARY KEY, stored_at INTEGER, size INTEGER, record BLOB)",
    "CREATE TABLE body (id INTEGER PRIMARY KEY, sealed BLOB)",
)
#: As in `store.vault.writer`.
GROUP = 50


def opened(path: Path) -> sqlite3.Connection:
    """Open a database with Mailhold's pragmas, in autocommit mode."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


class Keeper:
    """Keeps messages, and has their sessions answer."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = opened(path)
        for table in TABLES:
            self._connection.execute(table)
        self._loop = loop
        self._seal, self._nonce = AESGCM(AESGCM.generate_key(256)).encrypt, bytes(12)
        self._compressor = ZstdCompressor(level=1)
        self._next = 1
        self._waiting: list[tuple[asyncio.Transport, bytes, bytes]] = []
        self._changed = threading.Condition(threading.Lock())
        threading.Thread(target=self._commit, daemon=True).start()

    def keep(self, transport: asyncio.Transport, raw: bytes, envelope: bytes) -> None:
        """Keep a message; answer over `transport` once it is durable."""
        with self._changed:
            self._waiting.append((transport, raw, envelope))
            self._changed.notify()

    def _commit(self) -> None:
        execute, many = self._connection.execute, self._connection.executemany
        seal, nonce, compress, flush = self._seal, self._nonce, self._compressor.compress, ZstdCompressor.FLUSH_FRAME
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            messages, bodies, now = [], [], time.time_ns() // 1_000_000
            for number, (_, raw, envelope) in enumerate(group, self._next):
                record = seal(nonce, hashlib.sha256(raw).digest() + envelope + raw[:256], None)
                messages.append((number, now, len(raw), record))
                bodies.append((number, seal(nonce, compress(raw, flush), None)))
            self._next += len(group)
            execute("BEGIN IMMEDIATE")
            many("INSERT INTO message VALUES (?, ?, ?, ?)", messages)
            many("INSERT INTO body VALUES (?, ?)", bodies)
            execute("COMMIT")
            self._loop.call_soon_threadsafe(_answer, [transport for transport, _, _ in group])


def _answer(transports: list[asyncio.Transport]) -> None:
    for transport in transports:
        transport.write(_DISCARD)


class Keeping(Discarding):
    """The session of one MTA, whose messages are kept."""

    keeper: Keeper
    _envelope = b""

    def _take(self, command: int, data: bytes) -> None:
        if command in b"MR":  # the sender, a recipient
            self._envelope += data
        elif command == ord("E"):
            self._parts.append(data)
            self.keeper.keep(self._transport, b"".join(self._parts), self._envelope)
            self._parts.clear()
            self._envelope = b""
        else:
            super()._take(command, data)


async def main(path: Path, file: Path) -> None:
    """Serve MTAs on a unix socket that everybody may open; print `ready` once listening."""
    loop = asyncio.get_running_loop()
    Keeping.keeper = Keeper(file, loop)
    server = await loop.create_unix_server(Keeping, path, backlog=256)
    path.chmod(0o666)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=factory()) as runner:
        runner.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
