"""Stored messages whose client has no answer yet: if one is sent again, it is not stored a second time.

A gateway killed before it answers, or a client that disconnects, leaves a row in `pending`, and so may a commit whose
outcome could not be found out. A message sent again with the same bytes and envelope matches that row, once. The row is
deleted when the client has its answer, or after a day. A later message equal to one already answered is therefore
stored as a new copy.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Sequence

from store.database.connection import as_bytes, run, run_many
from store.helpers.clock import DAY_MS, now_ms
from store.sealing.keys import LOCAL_ID
from store.sealing.statements import statement
from store.vault.reader import Reader

_MOST = 10_000
_TAG = 16
#: Includes the table's primary key, so that a row is found at once among many old ones.
_DELETE = "DELETE FROM pending WHERE tag = ? AND copy_id = ? AND gateway_id = ?"
_IS_THERE = "SELECT copy_id FROM pending WHERE tag = ? AND copy_id = ANY(?) AND gateway_id = ?"
_INSERT = "INSERT INTO pending (gateway_id, tag, copy_id, at) VALUES (?, ?, ?, ?)"


class Unanswered:
    """The `pending` rows of one gateway, cached in this process. Thread-safe."""

    def __init__(self, vault: Reader) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._key: bytes | None = None
        #: Copy ids by tag, of messages that may be sent again, oldest first.
        self._waiting: OrderedDict[bytes, list[int]] = OrderedDict()
        self._answered: list[tuple[bytes, int]] = []
        #: Copy ids by tag, of messages that may have been placed: the outcome of their commit is unknown.
        self._doubtful: OrderedDict[bytes, list[int]] = OrderedDict()

    def tag(self, digest: bytes, sender: str, recipients: Sequence[str]) -> bytes:
        """Compute a tag of 16 bytes from a message and its envelope. It reveals nothing without the configuration key.

        `digest` is the message's SHA-256. Raises TamperedError, UnlockError, StoreUnavailable.
        """
        key = self._key or self._load()
        envelope = [text.encode("utf-8", "surrogateescape") for text in (sender, *recipients)]
        return hmac.digest(key, statement("pending", digest, *envelope), "sha256")[:_TAG]

    def take(self, tag: bytes) -> int | None:
        """Take the copy of a message that the MTA sends again.

        Returns None if the message is new, or its copy is gone. Raises StoreUnavailable.
        """
        self._resolve(tag)
        with self._lock:
            ids = self._waiting.get(tag)
            if not ids:
                return None
            copy_id = ids.pop(0)
            if not ids:
                del self._waiting[tag]
        self._vault.require_there()
        if self._vault.present([copy_id]):
            return copy_id
        self.settle(tag, copy_id, answered=True)
        return None

    def settle(self, tag: bytes, copy_id: int, *, answered: bool) -> None:
        """Note whether the client got its answer. If not, it may send the message again."""
        with self._lock:
            if answered:
                self._answered.append((tag, copy_id))
                return
            self._waiting.setdefault(tag, []).append(copy_id)
            while len(self._waiting) > _MOST:
                oldest, copies = self._waiting.popitem(last=False)
                self._answered += [(oldest, each) for each in copies]

    def doubt(self, placed: Sequence[tuple[bytes, int]]) -> None:
        """Note copies (tag, id) of which it is unknown whether they were placed."""
        with self._lock:
            for tag, copy_id in placed:
                self._doubtful.setdefault(tag, []).append(copy_id)
            while len(self._doubtful) > _MOST:
                self._doubtful.popitem(last=False)

    def _resolve(self, tag: bytes) -> None:
        """Find out whether a message's doubtful copies were placed. Raises StoreUnavailable."""
        with self._lock:
            ids = self._doubtful.get(tag)
        if not ids:
            return
        # A write transaction waits for the one in doubt, should the server not have ended that yet.
        with self._vault.write(witnessed=False):
            found = run(self._vault.db, _IS_THERE, tag, ids, self._gateway()).fetchall()
        with self._lock:
            if self._doubtful.pop(tag, None):
                self._waiting.setdefault(tag, []).extend(copy_id for (copy_id,) in found)

    def write(self, placed: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
        """Insert rows for placed copies (tag, id), and delete those answered.

        In the transaction that places the copies. Returns the deleted (tag, id): pass them to `written` once the
        transaction is durable.
        """
        db, gateway = self._vault.db, self._gateway()
        with self._lock:
            answered = list(self._answered)
        if answered:
            run_many(db, _DELETE, [(tag, copy_id, gateway) for tag, copy_id in answered])
        if placed:
            now = now_ms()
            run_many(db, _INSERT, [(gateway, tag, copy_id, now) for tag, copy_id in placed])
        return answered

    def written(self, answered: Sequence[tuple[bytes, int]]) -> None:
        """Note that the deletions that `write` returned are durable."""
        gone = set(answered)
        if gone:
            with self._lock:
                self._answered = [each for each in self._answered if each not in gone]

    def needs_writing(self) -> bool:
        """Whether there are answers whose rows are not deleted yet."""
        return bool(self._answered)

    def _gateway(self) -> int:
        gateway = self._vault.keys.gateway
        return LOCAL_ID if gateway is None else gateway.gateway_id

    def _load(self) -> bytes:
        """Read this gateway's rows. Rows dated more than a day before or after now count as answered."""
        # Connecting to a file that was removed would create an empty one.
        self._vault.require_there()
        with self._vault.reading():
            key = bytes(self._vault.grants.keys().configuration)
            sql = "SELECT tag, copy_id, at FROM pending WHERE gateway_id = ? ORDER BY copy_id"
            rows = run(self._vault.db, sql, self._gateway()).fetchall()
        now = now_ms()
        with self._lock:
            if self._key is None:
                for tag, copy_id, at in rows:
                    tag = as_bytes(tag)
                    if abs(now - at) < DAY_MS:
                        self._waiting.setdefault(tag, []).append(copy_id)
                    else:
                        self._answered.append((tag, copy_id))
                self._key = key
        return self._key
