"""Orders that this machine sent, or may have sent, in a file outside the store, so that a restored store repeats none.

Each record is 24 bytes: 16 of SHA-256(statement("spent", nonce of the order, address)), then when the order expires
(Unix ms, big-endian), or 0 if the relay refused it after all. Records are appended, and durable before DATA. An
operator who sends something again signs a new order, with another nonce.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from store.authority.memory import user_spent
from store.database.connection import run
from store.delivery.access import Access
from store.helpers.clock import now_ms
from store.helpers.secret_files import locked, replaced
from store.mail.outcome import State
from store.sealing.statements import statement
from store.terms.errors import StoreUnavailable, TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Seconds between checks for cancelled orders.
LOOK_SECONDS = 10.0
_TAG, _RECORD = 16, 24
#: The file is rewritten when it holds at least this many records that no longer count.
_STALE = 1000
_CANCELLED = "SELECT id FROM delivery WHERE gateway_id = ? AND state = ? AND expires_at > ? ORDER BY id DESC LIMIT 1000"


class Spending(NamedTuple):
    """A message that is about to go to these addresses: its order's nonce, and when the order expires (Unix ms)."""

    nonce: bytes
    addresses: Collection[str]
    expires_at: int


class Spent:
    """The orders of one machine, by recipient, in the file `path`. Blocking; may be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._expiries: dict[bytes, int] = {}
        #: (Inode of the file read so far, bytes read of it).
        self._read: tuple[int, int] = (0, 0)
        self._cancelled: set[int] = set()
        self._look_at = 0.0

    def of(self, nonce: bytes, addresses: Collection[str]) -> list[str]:
        """Return those addresses for which an order was spent already. Raises StoreUnavailable."""
        with self._lock, self._reporting():
            self._look()
            return [address for address in addresses if self._expiries.get(_tag(nonce, address))]

    def spend(self, messages: Iterable[Spending]) -> None:
        """Record durably that messages are about to go out. Raises StoreUnavailable."""
        records = [
            _tag(each.nonce, address) + each.expires_at.to_bytes(8, "big")
            for each in messages
            for address in each.addresses
        ]
        self._append(records, durable=True)

    def strike(self, nonce: bytes, addresses: Collection[str]) -> None:
        """Record that the relay did not take it for these addresses. Raises StoreUnavailable."""
        self._append([_tag(nonce, address) + bytes(8) for address in addresses], durable=False)

    def spend_cancelled(self, vault: Vault, access: Access) -> None:
        """Record cancelled orders, at most once in 10 seconds, so that none is sent if somebody restores its row.

        Raises StoreUnavailable.
        """
        if time.monotonic() < self._look_at:
            return
        if not self._look_at:
            self.tidy()
        with vault.reading():
            state = State.CANCELLED.value
            found = {each for (each,) in run(vault.db, _CANCELLED, access.gateway_id, state, now_ms()).fetchall()}
            fresh = sorted(found - self._cancelled)
            table = vault.models.Delivery
            rows = list(table.select().where(table.id.in_(fresh))) if fresh else []
        for row in rows:
            with suppress(TamperedError):  # An order that does not verify is never sent.
                order = access.order(row)
                addresses = [each.address for each in order.addressees]
                done = self.of(order.nonce, addresses)
                fresh_ones = [each for each in addresses if each not in done]
                self.spend([Spending(order.nonce, fresh_ones, order.expires_at)])
        self._cancelled, self._look_at = found, time.monotonic() + LOOK_SECONDS

    def _append(self, records: list[bytes], *, durable: bool) -> None:
        if not records:
            return
        with self._lock, self._reporting(), self._alone():
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                if torn := os.fstat(descriptor).st_size % _RECORD:
                    os.truncate(self._path, os.fstat(descriptor).st_size - torn)
                data = b"".join(records)
                while data:  # A disk that is nearly full takes a part, and says so only at the next write.
                    data = data[os.write(descriptor, data) :]
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._look()

    def _look(self) -> None:
        """Read the records that this or another process has added."""
        with suppress(OSError):
            status = os.lstat(self._path)
            if (status.st_ino, status.st_size) == self._read and stat.S_ISREG(status.st_mode):
                return
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        with os.fdopen(descriptor, "rb") as file:
            inode, at = os.fstat(descriptor).st_ino, self._read[1]
            if inode != self._read[0]:
                at, self._expiries = 0, {}
            file.seek(at)
            data = file.read()
        whole = len(data) - len(data) % _RECORD
        for start in range(0, whole, _RECORD):
            tag, expiry = data[start : start + _TAG], int.from_bytes(data[start + _TAG : start + _RECORD], "big")
            self._expiries[tag] = expiry
        self._read = (inode, at + whole)

    def tidy(self) -> None:
        """Rewrite the file without expired and refused records, if there are many. Raises StoreUnavailable."""
        with self._lock, self._reporting():
            self._look()
            now = now_ms()
            if self._read[1] // _RECORD < _STALE + sum(expiry > now for expiry in self._expiries.values()):
                return
            with self._alone():
                self._look()
                with replaced(self._path) as file:
                    for tag, expiry in self._expiries.items():
                        if expiry > now:
                            file.write(tag + expiry.to_bytes(8, "big"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        with locked(self._path):
            yield

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"Nothing is sent, because the record of what was sent cannot be written to {self._path} "
                f"({error.strerror or error}). Let this user write there, or set XDG_STATE_HOME to another folder."
            ) from None


def spent_of(vault: Vault, path: Path | None) -> Spent | None:
    """Return the record of sent orders: the file `path`, by default the user's own.

    None for a gateway without such a file, and for a store whose state is not kept outside of it, such as a demo's.
    """
    if path is None and (vault.keys.seed is None or not vault.witness.remembers):
        return None
    return Spent(path or user_spent(vault.store_id))


def _tag(nonce: bytes, address: str) -> bytes:
    return hashlib.sha256(statement("spent", nonce, address)).digest()[:_TAG]
