"""Long work of the console: each task has its own thread, shows its progress, and can be cancelled.

The work is a function of ``(progress, cancelled)``, like the long functions of `store`. Its result is
passed to `on_done` on the event loop. Cancelling is a request: the work decides where it can stop,
and returns what it did so far.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from store.terms.errors import MailholdError
from store.terms.progress import Cancelled, Progress

T = TypeVar("T")
Work = Callable[[Progress, Cancelled], T]


class Task(Generic[T]):
    """A piece of long work. `done` and `total` count items (total 0: unknown); any thread may read them.

    `changes`: it changes the store or writes files, so stopping it is recorded.
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
        """True once the work was asked to stop."""
        return self._cancel.is_set()

    def cancel(self) -> None:
        """Ask the work to stop at the next item."""
        self._cancel.set()

    def progress(self, done: int, total: int) -> None:
        """Report progress. Called in the work's thread."""
        self.done, self.total = done, total

    def work(self) -> T:
        """Run the work in the calling thread."""
        return self._work(self.progress, self._cancel.is_set)

    def finished(self, result: T) -> None:
        """Pass the result on. Called on the event loop."""
        if self._on_done is not None:
            self._on_done(result)

    def failed(self, error: Exception) -> bool:
        """Pass an error on; return False if there is no `on_error`. Called on the event loop."""
        if self._on_error is None:
            return False
        self._on_error(error)
        return True


class TaskRunner:
    """Starts tasks and lists the running ones. Call all methods on the event loop's thread.

    `changed` is called when a task starts or ends; `report` gets the error of a task without `on_error`.
    """

    def __init__(self, changed: Callable[[], None], report: Callable[[Exception], None]) -> None:
        self.running: list[Task[Any]] = []
        self._changed = changed
        self._report = report
        self._threads: list[threading.Thread] = []

    def start(self, task: Task[Any]) -> asyncio.Task[None]:
        """Run a task in a thread. The returned asyncio task ends after the result was passed on."""
        self.running.append(task)
        self._changed()
        return asyncio.get_running_loop().create_task(self._follow(task))

    async def _follow(self, task: Task[Any]) -> None:
        try:
            result = await run_in_thread(task.work, name=f"task {task.title}", threads=self._threads)
        except Exception as error:  # any error: the user must see it as a sentence, and the console must not end
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
        """Ask every task to stop, and wait up to `timeout` seconds for each thread to reach a safe point.

        Returns, for each task that changes something, a sentence on how far it came.
        """
        self.cancel_all()
        stopped = [task for task in self.running if task.changes]
        for thread in self._threads:
            thread.join(timeout)
        return [_how_far(task) for task in stopped]


def _how_far(task: Task[Any]) -> str:
    if not task.total:
        return f"{task.title}: stopped before it started."
    rest = task.total - task.done
    left = f"the other {rest:,} were left as before" if rest > 0 else "none are left"
    return f"{task.title}: {task.done:,} of {task.total:,} were done, {left}."


async def run_in_thread(work: Callable[[], T], *, name: str, threads: list[threading.Thread] | None = None) -> T:
    """Run `work` in a new daemon thread and await its result or error.

    Not in the loop's default pool: at exit that is joined without a time limit.
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
        except RuntimeError:  # the console ended meanwhile
            pass

    thread = threading.Thread(target=body, name=name, daemon=True)
    if threads is not None:
        threads.append(thread)
    thread.start()
    return await future


def explain(error: BaseException) -> str:
    """Explain an error in one sentence. For errors that are not Mailhold's own it names the class."""
    if isinstance(error, MailholdError):
        return str(error)
    return f"That failed because of an unexpected error ({type(error).__name__}). Everything else keeps running."
