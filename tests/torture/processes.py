"""Tortured processes, forked from this one, so that hundreds start in the time of ten.

Each runs the real command line, the real daemon or a function on the real vault, writes to its own files, and ends with
this program. This program has nothing open and no thread when it forks.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tui.commands
from tests.torture.running import Broken, hold
from tui.commands import cli

#: A process that runs longer than this (s) hangs.
LONGEST = 120.0
_DIE_WITH_PARENT = 1
#: Loaded before the first fork. Polars is not: its threads do not survive a fork.
_NOT_LOADED = {"console", "locked", "demo"}
#: Output that no program may print, whatever was done to it.
_CONFUSION = ("Traceback", "internal error", "rollback")


def load() -> None:
    """Load what the processes need, so that they need not load it themselves."""
    for module in pkgutil.iter_modules(tui.commands.__path__):
        if module.name not in _NOT_LOADED:
            importlib.import_module(f"tui.commands.{module.name}")
    for name in (
        "authority.acts",
        "backing_up.backing_up",
        "backing_up.restoring",
        "check",
        "delivery.worker",
        "enrolment.enrolment",
        "files.mailbox",
        "files.saving",
        "gateway.daemon",
        "opening.opening",
        "space.changing_settings",
        "upgrading.upgrading",
    ):
        importlib.import_module(f"store.{name}")


class Process:
    """A forked process that runs `work`, whose result is its exit code; 70 if it raised."""

    def __init__(
        self, folder: Path, name: str, work: Callable[[], int | None], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._paths = [folder / f"{name}.{end}" for end in ("out", "err")]
        self.began = time.monotonic()
        self.killed = False
        self.code: int | None = None
        self.pid = os.fork()
        if not self.pid:
            self._run(work, environment or {})

    def _run(self, work: Callable[[], int | None], environment: Mapping[str, str]) -> None:
        code: int | None = 70
        try:
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            for number, path in enumerate((Path(os.devnull), *self._paths)):
                flags = os.O_RDONLY if not number else os.O_WRONLY | os.O_CREAT | os.O_APPEND
                os.dup2(os.open(path, flags, 0o600), number)
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "w" if n else "r", closefd=False) for n in range(3))
            for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(each, signal.default_int_handler if each is signal.SIGINT else signal.SIG_DFL)
            os.environ.update(environment)
            code = work() or 0
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                try:
                    stream.flush()
                except (OSError, ValueError):
                    pass
            os._exit(70 if code is None else code)

    @property
    def out(self) -> str:
        return self._read(0)

    @property
    def err(self) -> str:
        return self._read(1)

    def _read(self, number: int) -> str:
        path = self._paths[number]
        return path.read_text(errors="replace") if path.exists() else ""

    def lines(self) -> list[list[str]]:
        """Return its output in words: only complete lines, because the last may be cut off by its end."""
        return [line.split() for line in self.out.rpartition("\n")[0].splitlines()]

    def json(self) -> Any:
        """Return its output as JSON; None if there is none."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None

    def running(self) -> bool:
        """Return True if it runs. Raises Broken if it runs longer than anything may take."""
        if self.code is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is None

    def wait(self, seconds: float = LONGEST) -> Process:
        """Wait until it ends. Raises Broken if it does not."""
        until = time.monotonic() + seconds
        while self.running():
            if time.monotonic() > until:
                self.kill()
                raise Broken(f"nothing waits for ever: `{self.name}` did not end in {seconds:.0f} s\n{self.err}")
            time.sleep(0.005)
        return self

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send it a signal (SIGKILL ends it). Return True if it was running."""
        if not self.running():
            return False
        os.kill(self.pid, number)
        if number == signal.SIGKILL:
            self.killed = True
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
        return True

    def sane(self) -> Process:
        """Assert that it ended like a program and printed nothing for developers only. Raises Broken."""
        said = self.err
        wrong = [word for word in _CONFUSION if word in said]
        if not self.killed and self.code not in (None, 0, 1, 2):
            wrong.append(f"exit code {self.code}")
        if self.code in (1, 2) and not said.strip():
            wrong.append("it failed and said nothing")
        hold(f"`{self.name}` says plainly what is wrong", f"{', '.join(wrong)}\n{said[-3000:]}" if wrong else "")
        return self


def mailhold(folder: Path, name: str, words: list[str], environment: Mapping[str, str] | None = None) -> Process:
    """Start a process of `mailhold` with these words."""
    return Process(folder, name, lambda: cli.main(words), environment)
