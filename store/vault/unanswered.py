"""Copies whose message the client has no answer to yet: where it comes again, it is not placed again.

A gateway that is killed between the two, or whose client goes away, leaves a row of `pending`. The message that comes
again with the same bytes and the same envelope is that one, once; a row goes when its client has the answer, or after a
day. So a second message that is like one that was answered is a message of its own.
"""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Sequence

from store.database.connection import as_bytes, run, run_many
from store.helpers.clock import now_ms
from store.sealing.keys import LOCAL_ID
from store.sealing.statements import statement
from store.vault.reader import Reader

DAY_MS = 24 * 3600 * 1000
_MOST = 10_000
_TAG = 16
#: By the key of the table: among many that never came again, one is found at once.
_DELETE = "DELETE FROM pending WHERE tag = ? AND copy_id = ? AND gateway_id = ?"
_INSERT = "INSERT INTO pending (gateway_id, tag, copy_id, at) VALUES (?, ?, ?, ?)"


class Unanswered:
    """The rows of one gateway, and what this process knows of them. Thread-safe."""

    def __init__(self, vault: Reader) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._key: bytes | None = None
        #: Those that may come again, the oldest first.
        self._waiting: OrderedDict[bytes, list[int]] = OrderedDict()
        self._answered: list[tuple[bytes, int]] = []

    def tag(self, digest: bytes, sender: str, recipients: Sequence[str]) -> bytes:
        """Compute the tag of a message with its envelope (16 bytes). Without the configuration key it reveals nothing.

        `digest` is the message's SHA-256. Raises TamperedError, UnlockError, StoreUnavailable.
        """
        key = self._key or self._load()
        envelope = [text.encode("utf-8", "surrogateescape") for text in (sender, *recipients)]
        return hmac.digest(key, statement("pending", digest, *envelope), "sha256")[:_TAG]

    def take(self, tag: bytes) -> int | None:
        """Take the copy of a message that the MTA sends again; None if it is new, or its copy is gone."""
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
        """Say whether the client has the answer that it need not come again."""
        with self._lock:
            if answered:
                self._answered.append((tag, copy_id))
                return
            self._waiting.setdefault(tag, []).append(copy_id)
            while len(self._waiting) > _MOST:
                oldest, copies = self._waiting.popitem(last=False)
                self._answered += [(oldest, each) for each in copies]

    def write(self, placed: Sequence[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
        """Note what is placed (tags and copies), and forget what was answered. In the transaction that places.

        Returns what is forgotten with it: `written` is told that once it is durable.
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
        """Note that what `write` returned is durable."""
        gone = set(answered)
        if gone:
            with self._lock:
                self._answered = [each for each in self._answered if each not in gone]

    def needs_writing(self) -> bool:
        """Whether answers came that no row was taken away for yet."""
        return bool(self._answered)

    def _gateway(self) -> int:
        gateway = self._vault.keys.gateway
        return LOCAL_ID if gateway is None else gateway.gateway_id

    def _load(self) -> bytes:
        """Read what this gateway left; of what is older than a day, or of another time, nothing is expected."""
        # A connection to a file that was removed would make an empty one.
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
