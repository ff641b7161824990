"""Database access for an event loop: runs in threads, and combines concurrent writes into one commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from store.delivery.leases import LeaseLost

if TYPE_CHECKING:
    from store.vault.vault import Vault

T = TypeVar("T")
#: Maximum writes per commit, to hold the write lock only briefly.
GROUP = 32
#: Reading threads: while one waits for the disk or decompresses a message, the other can run Python.
READERS = 2


class Ledger:
    """Reads and writes of one worker. A write returns once it is durable.

    A write that raises LeaseLost has changed nothing, so the rest of its group is committed. Any other error rolls back
    the group, and every write in it raises that error.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._writer = ThreadPoolExecutor(1, "delivery-write")
        self._reader = ThreadPoolExecutor(READERS, "delivery-read")
        self._lock = threading.Lock()
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._running = False

    async def read(self, function: Callable[[], T]) -> T:
        """Run `function` in one of the reading threads."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, function)

    async def write(self, function: Callable[[], T]) -> T:
        """Run `function` in the writing thread, in one transaction with other writes. Returns after the commit."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            self._waiting.append((function, future))
            start, self._running = not self._running, True
        if start:
            self._writer.submit(self._drain, loop)
        return await future

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                if not group:
                    self._running = False
                    return
            results: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
            try:
                with self._vault.write(quiet=True):
                    for function, future in group:
                        try:
                            results.append((future, function(), None))
                        except LeaseLost as error:
                            results.append((future, None, error))
            except BaseException as error:
                results = [(future, None, error) for _, future in group]
            try:
                loop.call_soon_threadsafe(_resolve, results)
            except RuntimeError:
                return

    async def close(self) -> None:
        """Finish running work, then close the threads and their connections."""
        loop = asyncio.get_running_loop()
        for executor, threads in ((self._writer, 1), (self._reader, READERS)):
            all_of_them = threading.Barrier(threads)
            work = partial(self._disconnect, all_of_them)
            await asyncio.gather(*(loop.run_in_executor(executor, work) for _ in range(threads)))
            executor.shutdown(wait=False)

    def _disconnect(self, all_of_them: threading.Barrier) -> None:
        all_of_them.wait()
        if not self._vault.db.is_closed():
            self._vault.db.close()


def _resolve(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, value, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
