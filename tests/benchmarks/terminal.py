"""Run a program in a pseudo-terminal and time, from outside, when each visible frame has fully arrived.

The terminal announces synchronised output (mode 2026), so each screen update is one frame with a mark at its end.
Nothing here renders the screen: that would take longer than what is measured.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

_QUERY, _ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
_END = b"\x1b[?2026l"
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")


class Frame(NamedTuple):
    """A screen update: when its last byte arrived (`time.perf_counter`), and its bytes."""

    at: float
    data: bytes

    @property
    def text(self) -> str:
        """Its text, without control sequences."""
        return _ESCAPE.sub(b" ", self.data).decode("utf-8", "replace")


class Terminal:
    """`command` running in a 120 by 40 terminal. `began` is its start time."""

    def __init__(self, command: Sequence[str], *, columns: int = 120, lines: int = 40) -> None:
        self.received = 0
        self._buffer = b""
        self._frames: list[Frame] = []
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "MAILHOLD_KEYS": "/nowhere",
        }
        for name in ("NO_COLOR", "TEXTUAL_THEME"):
            environment.pop(name, None)
        self.began = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
                os.execvpe(command[0], list(command), environment)
            finally:
                os._exit(127)

    def frame(self, seconds: float) -> Frame | None:
        """Return the next frame, or None if none comes within `seconds`."""
        until = time.perf_counter() + seconds
        while not self._frames:
            if not self._take(until - time.perf_counter()):
                return None
        return self._frames.pop(0)

    def _take(self, seconds: float) -> bool:
        if not select.select([self._fd], [], [], max(0.0, seconds))[0]:
            return False
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            data = b""
        if not data:
            raise RuntimeError(f"the program ended: {self._buffer[-2000:].decode(errors='replace')}")
        now = time.perf_counter()
        self.received += len(data)
        self._buffer += data
        if _QUERY in self._buffer:
            self._buffer = self._buffer.replace(_QUERY, b"")
            os.write(self._fd, _ANSWER)
        while (end := self._buffer.find(_END)) >= 0:
            end += len(_END)
            self._frames.append(Frame(now, self._buffer[:end]))
            self._buffer = self._buffer[end:]
        return True

    def wait(self, what: Callable[[Frame], bool], seconds: float = 60.0) -> Frame:
        """Return the first frame from now on for which `what` is true. Raises TimeoutError."""
        until = time.perf_counter() + seconds
        while True:
            frame = self.frame(until - time.perf_counter())
            if frame is None:
                raise TimeoutError("the program did not show what was waited for")
            if what(frame):
                return frame

    def wait_bytes(self, what: bytes, seconds: float = 60.0) -> float:
        """Return when `what` arrived from a program that does not mark its frames. Raises TimeoutError."""
        until = time.perf_counter() + seconds
        while what not in self._buffer and not any(what in frame.data for frame in self._frames):
            if not self._take(until - time.perf_counter()):
                raise TimeoutError(f"the program did not show {what!r}")
        return time.perf_counter()

    def quiet(self, seconds: float = 0.05) -> int:
        """Wait until nothing comes for `seconds`, at most ten times that long; return the bytes that came."""
        before, until = self.received, time.perf_counter() + 10 * seconds
        while time.perf_counter() < until and self._take(seconds):
            pass
        self._frames.clear()
        return self.received - before

    def quiet_end(self, seconds: float) -> None:
        """Wait at most this long for the program to end by itself."""
        until = time.perf_counter() + seconds
        try:
            while (left := until - time.perf_counter()) > 0:
                self._take(left)
        except RuntimeError:
            pass

    def type(self, keys: bytes) -> float:
        """Type text; return when."""
        now = time.perf_counter()
        os.write(self._fd, keys)
        return now

    def close(self) -> None:
        """End the program."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
            os.close(self._fd)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
