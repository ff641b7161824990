"""A command on a pseudo-terminal that asks questions, with its standard output in a file as in `mailhold … >file`."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests import prepared


class Asked(NamedTuple):
    """The exit code of a command, its standard output, and the terminal's content."""

    code: int
    out: str
    shown: str


def asked(folder: Path, words: list[str], keys: bytes, *, early: bytes = b"", prompt: str = "to confirm: ") -> Asked:
    """Run `mailhold` and type `keys` once it shows `prompt`; `early` is typed at once, before it shows anything."""
    with (folder / "stdout").open("wb") as stdout:
        command = [sys.executable, "-m", "tui", *words]
        pid, terminal = prepared.in_terminal(command, stdout=stdout.fileno())
    os.write(terminal, early)
    typed = [keys] if keys else []
    code, shown = answered(pid, terminal, lambda text: typed.pop() if typed and text.endswith(prompt) else b"")
    return Asked(code, (folder / "stdout").read_text(), shown)


def answered(pid: int, terminal: int, answer: Callable[[str], bytes]) -> tuple[int, str]:
    """Return the exit code of process `pid` and the content of `terminal`; `answer(all output so far)` is typed."""
    shown, end = b"", time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(terminal, 4096)
            except OSError:
                break
            if not chunk:
                break
            shown += chunk
            os.write(terminal, answer(shown.decode("utf-8", "replace")))
    finally:
        os.close(terminal)
        _pid, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode("utf-8", "replace")
