"""A real spamd for tests: on a unix socket, without the network, with Debian's rules."""

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

import pytest


def why_not() -> str:
    """What keeps spamd from being run here, or ""."""
    if not shutil.which("spamd"):
        return "spamd is not installed (apt-get install spamd)"
    return "" if os.getuid() == 0 else "spamd can only be started as root, because it changes users"


class SpamdServer:
    """A running spamd; `unix` is its address as a gateway's configuration writes it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-spamd-"))
        self.folder.chmod(0o755)
        home = self.folder / "home"
        home.mkdir()
        shutil.chown(home, "nobody")
        path = self.folder / "spamd.sock"
        self._process = subprocess.Popen(
            [
                *("spamd", "-L", "-x", "-u", "nobody", "-H", str(home), "--max-children", "2"),
                *("--socketpath", str(path), "--socketmode", "0666", "-s", str(self.folder / "spamd.log")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.settimeout(5)
                    sock.connect(str(path))
                    sock.sendall(b"PING SPAMC/1.5\r\n\r\n")
                    if sock.recv(6) == b"SPAMD/":
                        return
            except OSError:
                time.sleep(0.1)
        log = self.folder / "spamd.log"
        said = log.read_text(errors="replace") if log.exists() else "(no log)"
        self.stop()
        raise RuntimeError(f"spamd does not answer:\n{said[-3000:]}")

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'spamd.sock'}"

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def spamd() -> Iterator[SpamdServer]:
    """A spamd for the tests of one module; skips, saying why, where there is none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    server = SpamdServer()
    yield server
    server.stop()
