"""Messages taken apart in child processes, so that a hostile one costs a child and not the console.

A child is a fresh interpreter (no fork: it shares neither memory nor files with a process that holds keys) behind two
pipes; it is used again while it behaves, and killed at the deadline. `store/message/child.py` is what runs in it.
"""

from __future__ import annotations

import atexit
import os
import selectors
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from store.helpers.decoding import msgpack_decoder
from store.message.child import DONE, HEAD, LENGTH, READY
from store.message.parsed import ParsedMessage
from store.message.parser import parse_headers

#: Children at once, messages that one may take apart, and the size above which it is not used again.
CHILDREN, SERVED_LIMIT, LARGE = 2, 500, 16 * 1024 * 1024
_START_TIMEOUT = 15.0
_SECOND_TIMEOUT = 3.0
ANSWER_LIMIT = 64 * 1024 * 1024
_CHUNK = 1 << 20
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from store.message.child import main; main()"
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")

_DECODER = msgpack_decoder(ParsedMessage)


class _ChildFailed(Exception):
    """Why there is no answer, as the end of a sentence."""


class _Child:
    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-X", "utf8", "-c", _CODE, str(Path(__file__).resolve().parents[2])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env=environment | {"LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise _ChildFailed(f"no process could be started for it ({error})") from error
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.served = 0
        try:
            if self._exchange(b"", len(READY), time.monotonic() + _START_TIMEOUT) != READY:
                raise _ChildFailed("the process for it did not start")
        except _ChildFailed:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        return self.served < SERVED_LIMIT and self.process.poll() is None

    def parse(self, raw: bytes, timeout: float, html_failed: bool) -> ParsedMessage:
        """The answer of the child; `_ChildFailed` where there is none, after which the child must be closed."""
        self.served += 1 if len(raw) < LARGE else SERVED_LIMIT
        deadline = time.monotonic() + timeout
        head = HEAD.pack(len(raw), min(int(timeout * 1000), 0xFFFFFFFF), html_failed)
        (length,) = LENGTH.unpack(self._exchange(head, LENGTH.size, deadline, raw))
        if not 0 < length <= ANSWER_LIMIT:
            raise _ChildFailed("the answer of the process for it makes no sense")
        answer = self._exchange(b"", length, deadline)
        if answer[:1] != DONE:
            raise _ChildFailed(answer[1:200].decode("ascii", "replace"))
        try:
            return _DECODER.decode(memoryview(answer)[1:])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _ChildFailed("the answer of the process for it makes no sense") from error

    def _exchange(self, head: bytes, wanted: int, deadline: float, body: bytes = b"") -> bytes:
        """Write `head` and `body` while reading `wanted` bytes, until the deadline."""
        parts = [memoryview(part) for part in (head, body) if part]
        received = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self.output, selectors.EVENT_READ)
            if parts:
                selector.register(self.input, selectors.EVENT_WRITE)
            while len(received) < wanted:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise _ChildFailed("it takes too long")
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
            raise _ChildFailed(f"the pipe to the process for it failed ({error.strerror})") from error
        if not data:
            raise _ChildFailed("the process for it ended, as it does where it takes too much memory or time")
        return data

    def _write(self, parts: list[memoryview]) -> None:
        try:
            written = os.write(self.input, parts[0][:_CHUNK])
        except BlockingIOError:
            return
        except OSError as error:
            raise _ChildFailed("the process for it ended, as it does where it takes too much memory or time") from error
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


class _Pool:
    def __init__(self) -> None:
        self.idle: list[_Child] = []
        self.lock = threading.Lock()
        self.slots = threading.BoundedSemaphore(CHILDREN)

    def take(self) -> _Child:
        while True:
            with self.lock:
                child = self.idle.pop() if self.idle else None
            if child is None:
                return _Child()
            if child.usable:
                return child
            child.close()

    def give_back(self, child: _Child) -> None:
        if child.usable:
            with self.lock:
                self.idle.append(child)
        else:
            child.close()

    def parse(self, raw: bytes, timeout: float, html_failed: bool) -> ParsedMessage:
        child = self.take()
        try:
            parsed = child.parse(raw, timeout, html_failed)
        except BaseException:
            child.close()
            raise
        self.give_back(child)
        return parsed

    def close(self) -> None:
        with self.lock:
            children, self.idle = self.idle, []
        for child in children:
            child.close()


_pool = _Pool()


def _forget() -> None:
    # The children belong to the process that forked.
    global _pool
    _pool = _Pool()


os.register_at_fork(after_in_child=_forget)


def close_children() -> None:
    """End the children that wait for work. They are started again when they are needed."""
    _pool.close()


atexit.register(close_children)


def parse_in_child(raw: bytes, *, timeout: float = 5.0) -> ParsedMessage:
    """As `store.message.message.parse_in_child`. The start of a child does not count against `timeout` (seconds).

    Where a child fails, another one tries without the structure of HTML, the likeliest cause, for 3 s.
    """
    pool = _pool
    with pool.slots:
        try:
            return pool.parse(raw, timeout, False)
        except _ChildFailed:
            try:
                return pool.parse(raw, _SECOND_TIMEOUT, True)
            except _ChildFailed as failure:
                return _headers_only(raw, failure)


def _headers_only(raw: bytes, failure: _ChildFailed) -> ParsedMessage:
    parsed = parse_headers(raw)
    parsed.error = (
        f"The message could not be taken apart: {failure}. Its headers and its source are there all the same."
    )
    return parsed
