"""Long work of the console: each task runs in a thread of its own, shows its progress, and can be cancelled.

A task's work is a function of ``(progress, cancelled)`` as the long functions of `store` take them; what it returns is
handed to `on_done` on the event loop. A task that is cancelled returns what it did so far: cancelling asks, and the
work decides where it can stop. Nothing here knows what the work is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from store.terms.errors import MailholdError

T = TypeVar("T")
Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]
Work = Callable[[Progress, Cancelled], T]


class Task(Generic[T]):
    """One piece of long work. `done` and `total` count items (total 0 = not known yet); any thread may read them.

    `changes` says that it changes the store or writes files: where it is stopped, that is worth a record.
    """

    def __init__(
        self,
        title: str,
        work: Work[T],
        on_done: Callable[[T], None] | None = None,
        on_error: Callable[[Exception], None] | None = None,
        *,
        changes: bool = True,
    ) -> None:
        self.title = title
        self.changes = changes
        self.done = 0
        self.total = 0
        self._work = work
        self._on_done = on_done
        self._on_error = on_error
        self._cancel = threading.Event()

    @property
    def cancelled(self) -> bool:
        """True once somebody asked the work to stop."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at the next item."""
        self._cancel.set()

    def progress(self, done: int, total: int) -> None:
        """Report progress; called from the work's thread."""
        self.done, self.total = done, total

    def work(self) -> T:
        """Run the work in the calling thread."""
        return self._work(self.progress, self._cancel.is_set)

    def finished(self, result: T) -> None:
        """Hand the result over, on the event loop."""
        if self._on_done is not None:
            self._on_done(result)

    def failed(self, error: Exception) -> bool:
        """Hand an error over, on the event loop; False if nobody wanted it."""
        if self._on_error is None:
            return False
        self._on_error(error)
        return True


class TaskRunner:
    """Starts tasks and keeps the list of those that run. All methods belong to the event loop's thread.

    `changed` is called when a task starts or ends; `report` gets the error of a task that has no `on_error`.
    """

    def __init__(self, changed: Callable[[], None], report: Callable[[Exception], None]) -> None:
        self.running: list[Task[Any]] = []
        self._changed = changed
        self._report = report
        self._threads: list[threading.Thread] = []

    def start(self, task: Task[Any]) -> asyncio.Task[None]:
        """Run a task in a thread; the coroutine's task that is returned ends when its result was handed over."""
        self.running.append(task)
        self._changed()
        return asyncio.get_running_loop().create_task(self._follow(task))

    async def _follow(self, task: Task[Any]) -> None:
        try:
            result = await run_in_thread(task.work, name=f"task {task.title}", threads=self._threads)
        except Exception as error:  # whatever the work raises must reach the user as a sentence, not end the console
            self._end(task)
            if not task.failed(error):
                self._report(error)
        else:
            self._end(task)
            task.finished(result)

    def _end(self, task: Task[Any]) -> None:
        self.running.remove(task)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._changed()

    def cancel_all(self) -> None:
        """Ask every task to stop."""
        for task in self.running:
            task.cancel()

    def shut_down(self, timeout: float = 30.0) -> list[str]:
        """Ask every task to stop and wait up to `timeout` seconds for each thread to reach a safe place.

        Returns, of each that changes something, a sentence that says how far it came.
        """
        self.cancel_all()
        stopped = [task for task in self.running if task.changes]
        for thread in self._threads:
            thread.join(timeout)
        return [_how_far(task) for task in stopped]


def _how_far(task: Task[Any]) -> str:
    if not task.total:
        return f"{task.title}: stopped before it began."
    rest = task.total - task.done
    left = f"the other {rest:,} were not reached" if rest > 0 else "nothing was left"
    return f"{task.title}: {task.done:,} of {task.total:,} were done, {left}."


async def run_in_thread(work: Callable[[], T], *, name: str, threads: list[threading.Thread] | None = None) -> T:
    """Run `work` in a new daemon thread and await what it returns or raises.

    A thread of its own, and not the loop's default pool: that pool is joined at exit without a limit.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def hand(give: Callable[[Any], None], what: object) -> None:
        if not future.done():
            give(what)

    def body() -> None:
        answer: tuple[Callable[[Any], None], object]
        try:
            answer = future.set_result, work()
        except BaseException as error:
            answer = future.set_exception, error
        try:
            loop.call_soon_threadsafe(hand, *answer)
        except RuntimeError:  # the console was left meanwhile
            pass

    thread = threading.Thread(target=body, name=name, daemon=True)
    if threads is not None:
        threads.append(thread)
    thread.start()
    return await future


def explain(error: BaseException) -> str:
    """Explain an error in one sentence. Errors that Mailhold did not raise on purpose say what kind they are."""
    if isinstance(error, MailholdError):
        return str(error)
    return f"That did not work because of an unexpected error ({type(error).__name__}). Nothing else was stopped."
