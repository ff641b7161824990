"""The least that releasing without ever sending twice takes, by hand: the floor of the release benchmark.

One thread, bare sockets, plain SQLite with Mailhold's pragmas. For each message: read its sealed rows, verify two
Ed25519 signatures, open two HPKE boxes, open and decompress the body, compare its digest; one durable commit before its
DATA, which carries the outcomes of earlier messages and all that begin at that moment. Messages are opened while the
server works. It has no leases, no retries, no timeouts, and one recipient a message.
"""

from __future__ import annotations

import hashlib
import secrets
import selectors
import socket
import sqlite3
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from store.helpers.zstd import ZstdCompressor, decompressed
from store.sealing.keys import hybrid_private, hybrid_public, hybrid_public_bytes
from tests.benchmarks.keeping_milter import opened

#: Opened messages that wait, at most.
AHEAD = 8
TABLES = (
    "CREATE TABLE delivery (id INTEGER PRIMARY KEY, state INTEGER, sealed_order BLOB, signature BLOB, sealed_key BLOB, "
    "released BLOB)",
    "CREATE TABLE body (id INTEGER PRIMARY KEY, size INTEGER, sealed BLOB)",
)
QUEUED, SENDING, SENT = range(3)
_READ = (
    "SELECT sealed_order, signature, sealed_key, released, size, sealed FROM delivery JOIN body USING (id) WHERE id = ?"
)
_MARK = "UPDATE delivery SET state = ? WHERE id = ?"
_NONCE = bytes(12)
#: As in `store.sealing.sealed`.
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class ByHand:
    """A queue of sealed messages in the file `path`, sent from `sender` to `recipient`."""

    def __init__(self, path: Path, sender: str, recipient: str) -> None:
        self._database: sqlite3.Connection = opened(path)
        for table in TABLES:
            self._database.execute(table)
        self._envelope = f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode()
        seed = secrets.token_bytes(96)
        self._key, self._public = hybrid_private(seed), hybrid_public(hybrid_public_bytes(seed))
        self._signer = Ed25519PrivateKey.generate()
        self._verify = self._signer.public_key().verify

    def fill(self, messages: Sequence[bytes], count: int) -> list[int]:
        """Put `count` sealed messages into the queue, and return their ids."""
        compressor, public = ZstdCompressor(level=1), self._public
        self._database.execute("BEGIN IMMEDIATE")
        for number in range(1, count + 1):
            raw = messages[number % len(messages)]
            key = AESGCM.generate_key(256)
            order = _SUITE.encrypt(b"an order of 200 bytes".ljust(200), public)
            sealed_key = _SUITE.encrypt(key + hashlib.sha256(raw).digest(), public)
            row = (number, QUEUED, order, self._signer.sign(order), sealed_key, self._signer.sign(sealed_key))
            body = AESGCM(key).encrypt(_NONCE, compressor.compress(raw, ZstdCompressor.FLUSH_FRAME), None)
            self._database.execute("INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?)", row)
            self._database.execute("INSERT INTO body VALUES (?, ?, ?)", (number, len(raw), body))
        self._database.execute("COMMIT")
        return list(range(1, count + 1))

    def _opened(self, number: int) -> bytes:
        order, signature, sealed_key, released, size, sealed = self._database.execute(_READ, (number,)).fetchone()
        self._verify(signature, order)
        _SUITE.decrypt(order, self._key)
        self._verify(released, sealed_key)
        key = _SUITE.decrypt(sealed_key, self._key)
        raw = decompressed(AESGCM(key[:32]).decrypt(_NONCE, sealed, None), size)
        if hashlib.sha256(raw).digest() != key[32:]:
            raise ValueError("another message")
        return raw.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    def _record(self, sent: Sequence[int], begun: Sequence[int]) -> None:
        if not sent and not begun:
            return
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(_MARK, [*((SENT, each) for each in sent), *((SENDING, each) for each in begun)])
        self._database.execute("COMMIT")

    def send(self, port: int, numbers: Sequence[int], connections: int) -> None:
        """Send these messages over so many connections. Raises RuntimeError for a refused one."""
        waiting, ready, ended = deque(numbers), deque[tuple[int, bytes]](), list[int]()
        poll = selectors.DefaultSelector()
        sessions = [_Connection(port) for _ in range(min(connections, len(numbers)))]
        for each in sessions:
            poll.register(each.socket, selectors.EVENT_READ, each)
        wanting, idle = list(sessions), list(sessions)
        left = len(numbers)
        while left:
            if wanting and waiting and not ready:
                ready.append((waiting[0], self._opened(waiting.popleft())))
            following = [(wanting.pop(), *ready.popleft()) for _ in range(min(len(wanting), len(ready)))]
            if following:  # What each connection sends next is recorded while it still sends another.
                self._record(ended, [number for _, number, _ in following])
                ended = []
                for session, number, content in following:
                    session.following = number, content
            for session in [each for each in idle if each.following]:
                idle.remove(session)
                session.begin(self._envelope)
            while waiting and len(ready) < AHEAD and not poll.select(0):
                ready.append((waiting[0], self._opened(waiting.popleft())))
            for key, _ in poll.select(0 if wanting and (ready or waiting) else None):
                session = key.data
                if not session.answered():
                    continue
                if session.content:
                    session.go_on()
                    wanting.append(session)
                else:
                    ended.append(session.number)
                    idle.append(session)
                    left -= 1
        self._record(ended, [])
        for each in sessions:
            each.socket.close()
        poll.close()


class _Connection:
    """A session with the server: it has been greeted."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.recv(4096)
        self.socket.sendall(b"EHLO bench\r\n")
        self.socket.recv(4096)
        self.number, self.content, self._expected = 0, b"", 0
        #: The message that is recorded as about to be sent, and comes next.
        self.following: tuple[int, bytes] | None = None

    def begin(self, envelope: bytes) -> None:
        """Send MAIL, RCPT and DATA of the message that follows."""
        assert self.following
        (self.number, self.content), self.following = self.following, None
        self._expected = 3
        self.socket.sendall(envelope)

    def go_on(self) -> None:
        """Send the content."""
        self.socket.sendall(self.content)
        self.content, self._expected = b"", 1

    def answered(self) -> bool:
        """Read replies; return True once all are there."""
        replies = self.socket.recv(4096)
        if not replies or replies[:1] not in b"23":
            raise RuntimeError(f"the server refused a message: {replies!r}")
        self._expected -= replies.count(b"\n")
        return not self._expected
