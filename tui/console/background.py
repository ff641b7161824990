"""Short work of the console in threads.

Only the newest request of a group counts; its result is passed to the event loop. Each group has one thread, so its
requests never run at the same time. While one runs, older waiting requests are skipped, and the result of a superseded
request is dropped. So a burst of keystrokes costs at most two queries, and a stale result is never shown.

A request may hold the event loop for a moment, so that its work need not share the interpreter with painting. It then
passes its result on at once, so that both are one paint.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

Hand = Callable[[Callable[[Any], None], Any], None]


class _Request(NamedTuple):
    number: int
    work: Callable[[], Any]
    on_done: Callable[[Any], None]
    on_error: Callable[[Exception], None]


class _Answer(NamedTuple):
    """The result of a request, and what receives it."""

    number: int
    receiver: Callable[[Any], None]
    result: Any


class _Group:
    """A group's thread and its queue of requests, of which only the newest is run."""

    def __init__(self, name: str, hand: Hand) -> None:
        self._hand = hand
        self._newest = 0
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self.busy = 0
        #: Whether the newest request has its result.
        self._answered = threading.Event()
        #: Results that nobody has received yet.
        self._answers: list[_Answer] = []
        self.thread = threading.Thread(target=self._run, name=f"console {name}", daemon=True)
        self.thread.start()

    def start(
        self, work: Callable[[], Any], on_done: Callable[[Any], None], on_error: Callable[[Exception], None]
    ) -> None:
        with self._lock:
            self._newest += 1
            self.busy += 1
            self._answered.clear()
            self._waiting.put(_Request(self._newest, work, on_done, on_error))

    def wait(self, seconds: float) -> None:
        """Wait for the result of the newest request, at most this long, and pass it on. Call it on the event loop."""
        if self._answered.wait(seconds):
            self._deliver(None)

    def stop(self) -> None:
        self._waiting.put(None)

    def _run(self) -> None:
        while (request := self._waiting.get()) is not None:
            if request.number == self._newest:
                answer = self._done(request)
                with self._lock:
                    self._answers.append(answer)
                    if request.number == self._newest:
                        self._answered.set()
                self._hand(self._deliver, None)
            else:
                with self._lock:
                    self.busy -= 1

    def _done(self, request: _Request) -> _Answer:
        """Do a request's work."""
        try:
            return _Answer(request.number, request.on_done, request.work())
        except Exception as error:  # any error: the user sees it as a notice
            return _Answer(request.number, request.on_error, error)

    def _deliver(self, _: object) -> None:
        """Pass on the results that are there, on the event loop: that of the newest request, if it is among them."""
        with self._lock:
            answers, self._answers = self._answers, []
            self.busy -= len(answers)
        for answer in answers:
            if answer.number == self._newest:
                answer.receiver(answer.result)


class Background:
    """All groups.

    `hand(function, argument)` calls a function on the event loop, from any thread and without blocking.
    """

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._groups: dict[str, _Group] = {}

    def start(
        self,
        work: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_error: Callable[[Exception], None],
        group: str,
        wait: float = 0.0,
    ) -> None:
        """Run `work` in the group's thread; then pass its result to `on_done`, or its error to
        `on_error`, on the event loop. Returns after `wait` seconds, or earlier if the work is done: its result is
        passed on then.

        Call it on the event loop's thread.
        """
        if group not in self._groups:
            self._groups[group] = _Group(group, self._hand)
        self._groups[group].start(work, on_done, on_error)
        if wait:
            self._groups[group].wait(wait)

    def busy(self, group: str | None = None) -> bool:
        """Return True while work of the group (None: of any group) runs, or its result is not handed over yet."""
        groups = self._groups.values() if group is None else filter(None, [self._groups.get(group)])
        return any(one.busy for one in groups)

    def stop(self) -> None:
        """Let every thread end after its present work."""
        for group in self._groups.values():
            group.stop()

    def join(self, timeout: float = 10.0) -> None:
        """Wait up to `timeout` seconds until the threads have ended. Call `stop` first."""
        until = time.monotonic() + timeout
        for group in self._groups.values():
            group.thread.join(max(0.0, until - time.monotonic()))
