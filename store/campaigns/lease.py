"""Who finds the campaigns of a store: one process at a time, by a lease in the side table.

A token grows with each lease. It is compared inside every transaction that writes campaigns, so one that was paused and
lost its lease meanwhile writes nothing. A finder that is killed keeps others off for `LEASE_MS` at most.
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
#: How long a lease lasts (ms), and after which part of it it is renewed.
LEASE_MS = 15_000
_RENEWED = 0.4


class LeaseLost(Exception):
    """Another process finds the campaigns now: nothing was written."""


class Held(msgspec.Struct, frozen=True, array_like=True):
    """The row: who has the lease, its token, and until when (Unix ms, by the clock that decides)."""

    owner: bytes = b""
    token: int = 0
    until: int = 0


class Lease:
    """A lease, not taken yet. `take` and what is below belong to any thread.

    `held`: one that another process of the same finder took. Raises UnlockError where the keys are no operator's.
    """

    def __init__(self, vault: Vault, held: Held | None = None) -> None:
        self._vault = vault
        self._rows = Loose(vault, KIND, VERSION)
        self.held = held or Held(os.urandom(16))

    def free(self) -> bool:
        """Whether nobody has it now. Raises StoreUnavailable."""
        return self._ended(self._present())

    def take(self) -> bool:
        """Take it, or False where another process has it. Raises StoreUnavailable."""
        with self._vault.write(quiet=True):
            present = self._present()
            if present.owner != self.held.owner and not self._ended(present):
                return False
            self._put(Held(self.held.owner, present.token + 1, self._now() + LEASE_MS))
        return True

    def renew(self) -> None:
        """Have it from now on as long as one that is taken now. Raises LeaseLost, StoreUnavailable."""
        with self._vault.write(quiet=True):
            self.guard()
            self._put(Held(self.held.owner, self.held.token, self._now() + LEASE_MS))

    def guard(self) -> None:
        """Inside a transaction: raise LeaseLost where another process has it. Raises StoreUnavailable."""
        present = self._present()
        if (present.owner, present.token) != (self.held.owner, self.held.token):
            raise LeaseLost

    def release(self) -> None:
        """Let others have it; no complaint where they have. Raises StoreUnavailable."""
        with suppress(LeaseLost), self._vault.write(quiet=True):
            self.guard()
            self._put(Held(self.held.owner, self.held.token, 0))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew it in a thread meanwhile, and release it at the end. It was taken."""
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
                # What cannot be renewed ends by itself; whoever writes under it then finds that out.
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
            return Held()  # A damaged row keeps nobody from the work.

    def _ended(self, present: Held) -> bool:
        # One that lasts longer than any was taken by a clock that is wrong.
        return not 0 < present.until - self._now() <= LEASE_MS

    def _put(self, held: Held) -> None:
        self._rows.put([(0, self._rows.seal(0, msgspec.msgpack.encode(held)))])
        self.held = held

    def _now(self) -> int:
        return decides_ms(self._vault.db)
