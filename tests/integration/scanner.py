"""A real scanner daemon for tests: started in its own folder, polled until it answers, killed and removed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest


def missing(program: str, package: str) -> str:
    """Say why a daemon cannot be run here, or return ""."""
    if not shutil.which(program):
        return f"{program} is not installed (apt-get install {package})"
    return "" if os.getuid() == 0 else f"{program} can only be started as root, because it changes users"


class Scanner:
    """A daemon in its own `folder`. A subclass defines the files in it, the start command and the answer."""

    program: ClassVar[str]
    #: Probe sent to check that it is running, the start of its answer, and the time limit (s).
    question: ClassVar[bytes]
    answer: ClassVar[bytes]
    patience: ClassVar[float] = 120
    #: Its log, relative to its folder.
    log_file: ClassVar[str]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailhold-{self.program}-"))
        self.folder.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        self.prepare()
        self.start()

    def prepare(self) -> None:
        """Write the files that the daemon needs to its folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """Return the command that starts it in the foreground."""
        raise NotImplementedError

    def connected(self) -> socket.socket:
        """Connect to it. Raises OSError."""
        raise NotImplementedError

    def own(self, user: str) -> None:
        """Give the folder and everything in it to a user."""
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, user, user)

    def log(self) -> str:
        path = self.folder / self.log_file
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def start(self) -> None:
        """Start it; return once it answers."""
        self._process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + self.patience
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with self.connected() as sock:
                    sock.sendall(self.question)
                    if sock.recv(len(self.answer)) == self.answer:
                        return
            except OSError:
                pass
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"{self.program} does not answer:\n{self.log()[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children; with SIGSTOP it keeps listening but does not answer."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kill it and its children at once, like a crash."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def running(reason: str, kind: type[Scanner]) -> Iterator[Scanner]:
    """Run a scanner for the tests of one module (the body of a fixture); skip if there is a `reason`."""
    if reason:
        pytest.skip(reason)
    server = kind()
    yield server
    server.stop()
