"""A delivery worker in its own thread, for a program whose main thread is busy otherwise."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from store.delivery.administrator import watch
from store.delivery.shift import DATA_GRACE, GRACE
from store.delivery.worker import DeliveryWorker

if TYPE_CHECKING:
    from store.vault.vault import Vault


class WorkerHandle:
    """A worker that runs in its own thread and event loop; the free space is watched there too."""

    def __init__(self, worker: DeliveryWorker) -> None:
        self._worker = worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"delivery {worker.owner}", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """Why nothing is being sent, "" if nothing prevents it."""
        return self._worker.problem

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self, timeout: float = GRACE + DATA_GRACE + 5) -> bool:
        """Stop the worker after it finished what is under way. False if it still runs after `timeout` seconds."""
        self._ready.wait(timeout)
        if self._loop and self._stop:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            self._worker.problem = (
                f"The delivery worker stopped: {error}. Queued deliveries wait until it is started again."
            )
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        watching = asyncio.create_task(watch(self._worker.vault))
        try:
            await self._worker.run(self._stop)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def start_worker_thread(vault: Vault, owner: str, connections: int = 4) -> WorkerHandle:
    """Start a worker for the store in a thread. Raises UnlockError where the keys cannot deliver."""
    return WorkerHandle(DeliveryWorker(vault, owner=owner, connections=connections))
