"""Database access for an event loop: runs in threads, and combines concurrent writes into one commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from store.delivery.leases import LeaseLost
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.delivery.spent import Spending, Spent
    from store.vault.vault import Vault

T = TypeVar("T")
W = TypeVar("W")
_Result = tuple["asyncio.Future[Any]", Any, BaseException | None]
#: Maximum writes per commit, to hold the write lock only briefly.
GROUP = 32
#: Seconds until a write that nobody waits for is committed, if no other write takes it along.
LATER = 0.005


class _Write(NamedTuple):
    """A write that waits, and what the machine's record of sent orders is to hold once it is committed.

    `many` executes the `work` of all that wait for it in one call, and returns their results, LeaseLost among them. It
    does so at the place of the first of them or, with `last`, of the last.
    """

    many: Callable[[list[Any]], Sequence[Any]] | None
    work: Any
    future: asyncio.Future[Any]
    spending: Spending | None
    last: bool = False


class Ledger:
    """Reads and writes of one worker, from its event loop. A write returns once it is durable.

    A write that raises LeaseLost has changed nothing, so the rest of its group is committed. Any other error rolls back
    the group, and every write in it raises that error.
    """

    def __init__(self, vault: Vault, spent: Spent | None = None) -> None:
        self._vault = vault
        self._spent = spent
        self._writer = ThreadPoolExecutor(1, "delivery-write")
        self._reader = ThreadPoolExecutor(1, "delivery-read")
        self._lock = threading.Lock()
        self._waiting: list[_Write] = []
        self._running = False
        self._timer: asyncio.TimerHandle | None = None

    async def read(self, function: Callable[[], T]) -> T:
        """Run `function` in the reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, function)

    async def write(self, function: Callable[[], T]) -> T:
        """Run `function` in the writing thread, in one transaction with other writes. Returns after the commit."""
        return await self.now(self.later(function))

    async def after(self, function: Callable[[], T]) -> T:
        """Run `function` in the writing thread after all writes that were asked for, and what they spend."""
        self._flush()
        return await asyncio.get_running_loop().run_in_executor(self._writer, function)

    def later(self, function: Callable[[], T], spending: Spending | None = None) -> asyncio.Future[T]:
        """Write as `write` does, but together with the next write that somebody waits for, or after 5 ms.

        Once it is committed, `spending` is recorded durably too, before the future has its result.
        """
        return self._later(None, function, spending)

    def together(
        self,
        many: Callable[[list[W]], Sequence[T | LeaseLost]],
        work: W,
        spending: Spending | None = None,
        *,
        last: bool = False,
    ) -> asyncio.Future[T]:
        """Write as `later` does, by one call of `many` for the `work` of all such writes in a commit.

        The call is at the place of the first of these writes; with `last`, of the last, so that none is executed before
        a write that was asked for earlier. `many` must not raise LeaseLost, but return it in place of the result.
        """
        return self._later(many, work, spending, last=last)

    def _later(
        self, many: Callable[[list[Any]], Any] | None, work: Any, spending: Spending | None, *, last: bool = False
    ) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._lock:
            self._waiting.append(_Write(many, work, future, spending, last))
        if self._timer is None:
            self._timer = loop.call_later(LATER, self._flush)
        return future

    async def now(self, future: asyncio.Future[T]) -> T:
        """Wait for a write of `later`, and have it committed at once."""
        if not future.done():
            self._flush()
        return await future

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._lock:
            start = bool(self._waiting) and not self._running
            self._running = self._running or start
        if start:
            self._writer.submit(self._drain, asyncio.get_running_loop())

    def _drain(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            with self._lock:
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                if not group:
                    self._running = False
                    return
            results: list[_Result]
            try:
                with self._vault.write(quiet=True):
                    results = _executed(group)
            except BaseException as error:
                results = [(each.future, None, error) for each in group]
            else:
                results = self._spend(group, results)
            try:
                loop.call_soon_threadsafe(_resolve, results)
            except RuntimeError:
                return

    def _spend(self, group: Sequence[_Write], results: list[_Result]) -> list[_Result]:
        """Record what the committed writes of a group spend; if that fails, those writes fail."""
        failed = {future for future, _, error in results if error is not None}
        spending = {
            each.future: each.spending for each in group if each.spending is not None and each.future not in failed
        }
        if self._spent is None or not spending:
            return results
        try:
            self._spent.spend(list(spending.values()))
        except MailholdError as error:
            return [(future, None, error) if future in spending else (future, *rest) for future, *rest in results]
        return results

    async def close(self) -> None:
        """Finish running work, then close the threads and their connections."""
        self._flush()
        loop = asyncio.get_running_loop()
        for executor in (self._writer, self._reader):
            await loop.run_in_executor(executor, disconnect, self._vault)
            executor.shutdown(wait=False)


def _executed(group: Sequence[_Write]) -> list[_Result]:
    """Execute writes in their order, except that those for one `many` are executed together."""
    results: list[_Result] = []
    shared: dict[Any, list[_Write]] = {}
    places: dict[Any, int] = {}
    for place, each in enumerate(group):
        if each.many is not None:
            shared.setdefault(each.many, []).append(each)
            if each.last or each.many not in places:
                places[each.many] = place
    for place, each in enumerate(group):
        if each.many is None:
            try:
                results.append((each.future, each.work(), None))
            except LeaseLost as error:
                results.append((each.future, None, error))
        elif places[each.many] == place:
            writes = shared[each.many]
            for one, found in zip(writes, each.many([one.work for one in writes]), strict=True):
                lost = found if isinstance(found, LeaseLost) else None
                results.append((one.future, None if lost else found, lost))
    return results


def disconnect(vault: Vault) -> None:
    """Close this thread's connection."""
    if not vault.db.is_closed():
        vault.db.close()


def _resolve(results: list[_Result]) -> None:
    for future, value, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)
            future.exception()  # Whoever waits still gets it. asyncio would report it where nobody does.
