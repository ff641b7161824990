"""Parse messages in child processes, so that a hostile message can crash a child but not the console.

A child is a fresh interpreter behind two pipes, not a fork: it shares neither memory nor files with a process that
holds keys. It is reused as long as it works, and killed at the deadline. It runs `store/message/child.py`, or another
package's function that calls `serve`.
"""

from __future__ import annotations

import atexit
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from store.helpers.decoding import msgpack_decoder
from store.message.child import DONE, HEAD, LENGTH, READY
from store.message.parsed import ParsedMessage
from store.message.parser import parse_headers

#: Max children at once, max messages per child, and the message size (bytes) after which a child is not reused.
CHILDREN, SERVED_LIMIT, LARGE = 2, 500, 16 * 1024 * 1024
_START_TIMEOUT = 15.0
_SECOND_TIMEOUT = 3.0
ANSWER_LIMIT = 64 * 1024 * 1024
_CHUNK = 1 << 20
_CODE = (
    "import sys; from importlib import import_module as load; sys.path.insert(0, sys.argv[1]); "
    "getattr(load(sys.argv[2]), sys.argv[3])()"
)
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")

T = TypeVar("T")


class ChildFailed(Exception):
    """The reason why there is no answer, worded as the end of a sentence."""


class _Child:
    def __init__(self, entry: tuple[str, str], served_limit: int) -> None:
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", "-c", _CODE, str(Path(__file__).resolve().parents[2]), *entry],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=environment | {"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ChildFailed(f"its process could not be started: {error}") from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.served = 0
        self.served_limit = served_limit
        try:
            if self._exchange(b"", len(READY), time.monotonic() + _START_TIMEOUT) != READY:
                raise ChildFailed("its process did not start")
        except ChildFailed:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        return self.served < self.served_limit and self.process.poll() is None

    def ask(self, raw: bytes, timeout: float, html_failed: bool) -> memoryview:
        """Ask the child and return its answer. Raises ChildFailed if there is none: close the child then."""
        self.served += 1 if len(raw) < LARGE else self.served_limit
        deadline = time.monotonic() + timeout
        head = HEAD.pack(len(raw), min(int(timeout * 1000), 0xFFFFFFFF), html_failed)
        (length,) = LENGTH.unpack(self._exchange(head, LENGTH.size, deadline, raw))
        if not 0 < length <= ANSWER_LIMIT:
            raise ChildFailed("its process gave an invalid answer")
        answer = self._exchange(b"", length, deadline)
        if answer[:1] != DONE:
            raise ChildFailed(answer[1:200].decode("ascii", "replace"))
        return memoryview(answer)[1:]

    def _exchange(self, head: bytes, wanted: int, deadline: float, body: bytes = b"") -> bytes:
        """Write `head` and `body` while reading `wanted` bytes. Raises ChildFailed at the deadline."""
        parts = [memoryview(part) for part in (head, body) if part]
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            if parts:
                selector.register(self.input, selectors.EVENT_WRITE)
            while len(received) < wanted:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ChildFailed("it took too long")
                for key, _ in selector.select(left):
                    if key.fd == self.output:
                        received += self._read(wanted - len(received))
                    else:
                        self._write(parts)
                        if not parts:
                            selector.unregister(self.input)
        return bytes(received)

    def _read(self, limit: int) -> bytes:
        try:
            data = os.read(self.output, min(limit, _CHUNK))
        except BlockingIOError:
            return b""
        except OSError as error:
            raise ChildFailed(f"the pipe to its process failed: {error.strerror}") from error
        if not data:
            raise ChildFailed("its process ended, probably at its limit of memory or time")
        return data

    def _write(self, parts: list[memoryview]) -> None:
        try:
            written = os.write(self.input, parts[0][:_CHUNK])
        except BlockingIOError:
            return
        except OSError as error:
            raise ChildFailed("its process ended, probably at its limit of memory or time") from error
        if written == len(parts[0]):
            parts.pop(0)
        else:
            parts[0] = parts[0][written:]

    def close(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


class Children(Generic[T]):
    """A pool of at most two children, started on demand and kept while they work.

    They run the function `main` of `module`, and answer a `kind` in msgpack. Each serves `served_limit` messages.
    """

    def __init__(self, module: str, kind: type[T], *, main: str = "main", served_limit: int = SERVED_LIMIT) -> None:
        self._entry = module, main
        self._decoder = msgpack_decoder(kind)
        self._served_limit = served_limit
        self.forget()
        _all.add(self)

    def forget(self) -> None:
        """Start an empty pool. After a fork, the children belong to the parent process."""
        self.idle: list[_Child] = []
        self.lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(CHILDREN)

    def ask(self, raw: bytes, timeout: float) -> T:
        """Have a child process a message. The child's start does not count against `timeout` (seconds).

        If the child fails, a second one tries for 3 s, with HTML only stripped of tags: parsing HTML is the likeliest
        cause. Raises ChildFailed.
        """
        with self.slots:
            try:
                return self._ask(raw, timeout, False)
            except ChildFailed:
                return self._ask(raw, _SECOND_TIMEOUT, True)

    def _ask(self, raw: bytes, timeout: float, html_failed: bool) -> T:
        child = self._take()
        try:
            answer = self._decoder.decode(child.ask(raw, timeout, html_failed))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            child.close()
            raise ChildFailed("its process gave an invalid answer") from error
        except BaseException:
            child.close()
            raise
        self._give_back(child)
        return answer

    def _take(self) -> _Child:
        while True:
            with self.lock:
                child = self.idle.pop() if self.idle else None
            if child is None:
                return _Child(self._entry, self._served_limit)
            if child.usable:
                return child
            child.close()

    def _give_back(self, child: _Child) -> None:
        if child.usable:
            with self.lock:
                self.idle.append(child)
        else:
            child.close()

    def close(self) -> None:
        """End the idle children. New ones start on demand."""
        with self.lock:
            children, self.idle = self.idle, []
        for child in children:
            child.close()


_all: weakref.WeakSet[Children[Any]] = weakref.WeakSet()
_pool = Children("store.message.child", ParsedMessage)


def _forget() -> None:
    for each in list(_all):
        each.forget()


os.register_at_fork(after_in_child=_forget)


def close_children() -> None:
    """End the idle children of all pools. New ones start on demand."""
    for each in list(_all):
        each.close()


atexit.register(close_children)


def parse_in_child(raw: bytes, *, timeout: float = 5.0) -> ParsedMessage:
    """Parse a message as `store.message.message.parse_in_child`; if both tries fail, only its headers."""
    try:
        return _pool.ask(raw, timeout)
    except ChildFailed as failure:
        return _headers_only(raw, failure)


def _headers_only(raw: bytes, failure: ChildFailed) -> ParsedMessage:
    parsed = parse_headers(raw)
    parsed.error = f"The message could not be parsed ({failure}). Headers and Source are still available."
    return parsed
