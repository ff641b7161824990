"""A real scanner's daemon for tests: started in a folder of its own, asked until it answers, killed and taken away."""

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
    """What keeps a daemon from being run here, or ""."""
    if not shutil.which(program):
        return f"{program} is not installed (apt-get install {package})"
    return "" if os.getuid() == 0 else f"{program} can only be started as root, because it changes users"


class Scanner:
    """A daemon in a `folder` of its own. A subclass says what lies there, how it is started and what it answers."""

    program: ClassVar[str]
    #: What is sent to it to see whether it is there, how its answer begins, and how long that may take (seconds).
    question: ClassVar[bytes]
    answer: ClassVar[bytes]
    patience: ClassVar[float] = 120
    #: Where its log is, in its folder.
    log_file: ClassVar[str]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"mailhold-{self.program}-"))
        self.folder.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        self.prepare()
        self.start()

    def prepare(self) -> None:
        """Put what the daemon needs into its folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """How it is started, in the foreground."""
        raise NotImplementedError

    def connected(self) -> socket.socket:
        """A connection to it. Raises OSError."""
        raise NotImplementedError

    def own(self, user: str) -> None:
        """Give the folder and all in it to a user."""
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, user, user)

    def log(self) -> str:
        path = self.folder / self.log_file
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def start(self) -> None:
        """Start it, and return once it answers."""
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
        """Send it and its children a signal, such as SIGSTOP, which leaves it listening and mute."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it and its children at once, as a crash would."""
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def running(reason: str, kind: type[Scanner]) -> Iterator[Scanner]:
    """The body of a fixture: a scanner for the tests of one module; skips where there is a `reason` against it."""
    if reason:
        pytest.skip(reason)
    server = kind()
    yield server
    server.stop()
