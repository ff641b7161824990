"""The console in a real pseudo-terminal, as a user's terminal sees it: its own process, and a pyte screen."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte

from tests import prepared

RUN = """
import sys
from pathlib import Path
from store.opening.opening import Unlock, open_store
from tui.console.app import MailholdApp
vault = open_store(sys.argv[1], Unlock.key_file(Path(sys.argv[2])))
app = MailholdApp(vault, operator="ada", host="mx1.example.org")
app.run()
vault.close()
sys.exit(app.return_code)
"""


class Terminal:
    """A console in a terminal of `columns` by `lines`. `screen` is its content, `raw` all bytes it received.

    `command` runs in it, by default a console on the store; `plainly` as a new Python process.
    """

    def __init__(
        self,
        store: Path,
        key_file: Path,
        *,
        columns: int = 80,
        lines: int = 24,
        command: Sequence[str] = (),
        plainly: bool = False,
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        self.pid, self._fd = prepared.in_terminal(
            list(command) or [sys.executable, "-c", RUN, str(store), str(key_file)],
            environment=environment | {"MAILHOLD_KEYS": "/nowhere"},
            size=(columns, lines),
            plainly=plainly,
        )

    def read(self, quiet: float = 0.4) -> bytes:
        """Read until nothing comes for `quiet` seconds; return what came."""
        got = b""
        while select.select([self._fd], [], [], quiet)[0]:
            try:
                part = os.read(self._fd, 1 << 16)
            except OSError:
                break
            if not part:
                break
            got += part
            self._stream.feed(part)
        self.raw += got
        return got

    def type(self, keys: bytes) -> None:
        """Type without waiting."""
        os.write(self._fd, keys)

    def press(self, keys: bytes) -> bytes:
        """Type; return what the console sends in response."""
        self.type(keys)
        return self.read()

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Read until the screen shows a text."""
        self.wait_until(lambda: text in self.text(), f"{text!r} is not on the screen", seconds)

    def wait_until(self, seen: Callable[[], bool], why: str, seconds: float = 60) -> bytes:
        """Read until `seen` is true; return all that came. Fails with `why` after this many seconds."""
        end, got = time.monotonic() + seconds, b""
        while not seen():
            if time.monotonic() > end:
                raise AssertionError(f"{why}:\n{self.text()}")
            got += self.read(0.1)
        return got + self.read()

    def wait_until_loaded(self, copies: int) -> None:
        """Read until the list shows this many copies, and none is left to load."""
        self.wait_until(
            lambda: f"{copies} copies" in self.text() and "reading" not in self.text(), f"{copies} copies are not read"
        )

    def press_until(self, keys: bytes, seen: Callable[[], bool]) -> bytes:
        """Type, and read until `seen` is true; return all that came."""
        self.type(keys)
        return self.wait_until(seen, f"{keys!r} did not lead to it")

    def cursor_row(self, rows: range) -> int | None:
        """Return the only screen row drawn differently from the others: that of the list's cursor."""
        colours = [self.screen.buffer[y][40].bg for y in rows]
        odd = [y for y, colour in zip(rows, colours, strict=True) if colours.count(colour) == 1]
        return odd[0] if len(odd) == 1 else None

    def text(self) -> str:
        """Return the text of the screen."""
        return "\n".join(self.screen.display)

    def leave(self) -> int:
        """Quit by key; return the exit code."""
        os.write(self._fd, b"\x11")
        self.read(1.0)
        return self.ended()

    def ended(self) -> int:
        """Wait for the process; return its exit code."""
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> None:
        """Close the terminal, as closing a window or cutting a line does."""
        os.close(self._fd)
        self._fd = -1

    def close(self) -> None:
        """End the process if it still runs."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self._fd >= 0:
            self.hang_up()
