"""A lease in the side table, so that only one process at a time finds the campaigns of a store.

Each lease has a higher token. Every transaction that writes campaigns checks it, so a process that was paused and lost
its lease writes nothing. A killed finder blocks others for at most `LEASE_MS`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from store.database.clock import decides_ms
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import MailholdError, StoreUnavailable, TamperedError
from store.vault.derived import Loose
from store.vault.vault import Vault

KIND, VERSION = "finder", 1
#: Duration of a lease (ms), and the part of it after which it is renewed.
LEASE_MS = 15_000
_RENEWED = 0.4


class LeaseLost(Exception):
    """Another process has the lease now; nothing was written."""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """The lease row: owner, token, and end (Unix ms, by the clock of `decides_ms`)."""

    owner: bytes = b""
    token: int = 0
    until: int = 0


class Lease:
    """The lease of one finder, initially not taken. All methods are thread-safe.

    `held`: a lease already taken by another process of the same finder. Raises UnlockError if the key is not an
    operator's.
    """

    def __init__(self, vault: Vault, held: Held | None = None) -> None:
        self._vault = vault
        self._rows = Loose(vault, KIND, VERSION)
        self.held = held or Held(os.urandom(16))

    def free(self) -> bool:
        """Return True if no process holds the lease. Raises StoreUnavailable."""
        return self._ended(self._present())

    def take(self) -> bool:
        """Take the lease; False if another process has it. Raises StoreUnavailable."""
        with self._vault.write(quiet=True):
            present = self._present()
            if present.owner != self.held.owner and not self._ended(present):
                return False
            self._put(Held(self.held.owner, present.token + 1, self._now() + LEASE_MS))
        return True

    def renew(self) -> None:
        """Extend the lease to its full duration from now. Raises LeaseLost, StoreUnavailable."""
        with self._vault.write(quiet=True):
            self.guard()
            self._put(Held(self.held.owner, self.held.token, self._now() + LEASE_MS))

    def guard(self) -> None:
        """Inside a transaction: raise LeaseLost if another process has the lease. Raises StoreUnavailable."""
        present = self._present()
        if (present.owner, present.token) != (self.held.owner, self.held.token):
            raise LeaseLost

    def release(self) -> None:
        """Release the lease; do nothing if another process has it. Raises StoreUnavailable."""
        with suppress(LeaseLost), self._vault.write(quiet=True):
            self.guard()
            self._put(Held(self.held.owner, self.held.token, 0))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew a taken lease in a thread during the `with` block, and release it at the end."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep, args=(over,), name="finder-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with suppress(StoreUnavailable):
                self.release()

    def _keep(self, over: threading.Event) -> None:
        try:
            while not over.wait(LEASE_MS * _RENEWED / 1000):
                # A lease that cannot be renewed expires; the next write under it then raises LeaseLost.
                with suppress(StoreUnavailable):
                    self.renew()
        except (LeaseLost, MailholdError):
            pass
        finally:
            if not self._vault.db.is_closed():
                self._vault.db.close()

    def _present(self) -> Held:
        sealed = self._rows.get(0)
        try:
            return msgpack_decoder(Held).decode(self._rows.open(0, sealed)) if sealed else Held()
        except (TamperedError, msgspec.MsgspecError):
            return Held()  # A damaged row must not block the work.

    def _ended(self, present: Held) -> bool:
        # An end further away than a lease lasts comes from a wrong clock.
        return not 0 < present.until - self._now() <= LEASE_MS

    def _put(self, held: Held) -> None:
        self._rows.put([(0, self._rows.seal(0, msgspec.msgpack.encode(held)))])
        self.held = held

    def _now(self) -> int:
        return decides_ms(self._vault.db)
