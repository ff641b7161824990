"""Opens claimed messages ahead, in threads, while others are being sent."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from store.delivery.leases import Claim
from store.delivery.ledger import disconnect

if TYPE_CHECKING:
    from store.delivery.parcel import Parcel
    from store.vault.vault import Vault

#: Threads that open messages: while one waits for the disk or decompresses a message, the other can run Python.
OPENERS = 2
#: Opened messages that may wait to be sent, at most, and their bytes. One of any size is always opened.
MOST, MOST_BYTES = 8, 16 * 1024 * 1024

#: A claim with what is to be sent, or why it cannot be.
Ready = tuple[Claim, "Parcel | Exception"]


class Ahead:
    """The claims of one run of a worker until a sender takes them. Used from its event loop only.

    The threads pause when enough messages wait, and go on when half of them are gone.
    """

    def __init__(self, vault: Vault, open_one: Callable[[Claim], Parcel]) -> None:
        self._vault = vault
        self._open = open_one
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = threading.Condition()
        self._claims: deque[Claim] = deque()
        self._opening: dict[tuple[int, int], Claim] = {}
        self._ready: deque[Ready] = deque()
        self._bytes = 0
        self._full = False
        self._closed = False
        self._takers: deque[asyncio.Future[None]] = deque()
        #: Whether a taker waits, so that a thread has to wake the loop.
        self._wanted = False
        self._threads: list[threading.Thread] = []

    @property
    def unopened(self) -> int:
        """The number of claims that no thread has begun to open."""
        return len(self._claims)

    def add(self, claims: Iterable[Claim]) -> None:
        """Have claims opened, in this order."""
        self._start()
        with self._changed:
            self._claims.extend(claims)
            self._changed.notify_all()

    def take_nowait(self, most: int | None = None) -> Ready | None:
        """Return the next opened message, None if there is none yet, or if it has more than `most` bytes."""
        with self._changed:
            if most is not None and self._ready and _size(self._ready[0][1]) > most:
                return None
            return self._take()

    async def take(self) -> Ready:
        """Wait for the next opened message."""
        while True:
            with self._changed:
                if (ready := self._take()) is not None:
                    return ready
                self._wanted = True
                taker = asyncio.get_running_loop().create_future()
                self._takers.append(taker)
            try:
                await taker
            except asyncio.CancelledError:
                with suppress(ValueError), self._changed:
                    self._takers.remove(taker)
                self._wake()  # Another taker gets what woke this one.
                raise

    def give_up(self) -> list[Claim]:
        """Open nothing more. Returns the claims that no sender has taken."""
        with self._changed:
            self._closed = True
            left = [*self._opening.values(), *(claim for claim, _ in self._ready), *self._claims]
            self._opening.clear()
            self._ready.clear()
            self._claims.clear()
            self._changed.notify_all()
        return left

    async def close(self) -> None:
        """Wait until the threads have ended, and have closed their connections."""
        self.give_up()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _start(self) -> None:
        if not self._threads:
            self._loop = asyncio.get_running_loop()
            self._threads = [
                threading.Thread(target=self._work, name=f"delivery-open_{number}", daemon=True)
                for number in range(OPENERS)
            ]
            for thread in self._threads:
                thread.start()

    def _take(self) -> Ready | None:
        if not self._ready:
            return None
        ready = self._ready.popleft()
        self._bytes -= _size(ready[1])
        if self._full and len(self._ready) <= MOST // 2 and self._bytes <= MOST_BYTES // 2:
            self._full = False
            self._changed.notify_all()
        return ready

    def _work(self) -> None:
        try:
            while (claim := self._next()) is not None:
                found: Parcel | Exception
                try:
                    found = self._open(claim)
                except Exception as error:
                    found = error
                self._put(claim, found)
        finally:
            disconnect(self._vault)

    def _next(self) -> Claim | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._claims and not self._full))
            if self._closed:
                return None
            claim = self._claims.popleft()
            self._opening[claim.key] = claim
            return claim

    def _put(self, claim: Claim, found: Parcel | Exception) -> None:
        with self._changed:
            if self._closed:
                return
            del self._opening[claim.key]
            self._ready.append((claim, found))
            self._bytes += _size(found)
            self._full = len(self._ready) + len(self._opening) >= MOST or self._bytes >= MOST_BYTES
            wake, self._wanted = self._wanted, False
        if wake and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                pass  # The loop has ended.

    def _wake(self) -> None:
        """Wake as many takers as there are messages; the others keep waiting."""
        with self._changed:
            woken = 0
            while self._takers and woken < len(self._ready):
                taker = self._takers.popleft()
                if not taker.done():
                    taker.set_result(None)
                    woken += 1
            self._wanted = bool(self._takers)


def _size(found: Parcel | Exception) -> int:
    return 0 if isinstance(found, Exception) else len(found.message) + len(found.wire or b"")
