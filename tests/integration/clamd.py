"""A real clamd for tests: on a unix socket and on loopback, with signatures of its own in a temporary folder.

It knows EICAR by its hash and, by its own heuristics, encrypted archives, broken executables and phishing links; no
database is downloaded. Started as root it goes on as `clamav`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postfix import free_port

#: The harmless test file that every virus scanner reports, in two pieces so that this file is not reported itself.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURES = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n"

CONFIGURATION = """\
LogFile {folder}/clamd.log
DatabaseDirectory {folder}/db
TemporaryDirectory {folder}/tmp
LocalSocket {folder}/clamd.sock
LocalSocketMode 666
TCPSocket {port}
TCPAddr 127.0.0.1
User clamav
Foreground yes
StreamMaxLength 4M
AlertEncrypted yes
AlertEncryptedArchive yes
AlertEncryptedDoc yes
AlertOLE2Macros yes
AlertBrokenExecutables yes
AlertBrokenMedia yes
PhishingSignatures yes
PhishingScanURLs yes
AlertPhishingSSLMismatch yes
AlertPhishingCloak yes
HeuristicScanPrecedence no
"""
#: The largest message that this clamd takes, in bytes.
STREAM_MAX = 4 * 1024 * 1024


def why_not() -> str:
    """What keeps clamd from being run here, or ""."""
    if not shutil.which("clamd"):
        return "clamd is not installed (apt-get install clamav-daemon)"
    return "" if os.getuid() == 0 else "clamd can only be started as root, because it changes users"


class ClamdServer:
    """A running clamd; `unix` and `tcp` are its addresses as a gateway's configuration writes them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-clamd-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        for name in ("db", "tmp"):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "db" / "local.hdb").write_text(SIGNATURES)
        (self.folder / "clamd.conf").write_text(CONFIGURATION.format(folder=self.folder, port=self.port))
        user = pwd.getpwnam("clamav")
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'clamd.sock'}"

    @property
    def tcp(self) -> str:
        return f"127.0.0.1:{self.port}"

    def log(self) -> str:
        path = self.folder / "clamd.log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def start(self) -> None:
        """Start it, and return once it answers."""
        self._process = subprocess.Popen(
            ["clamd", "-c", str(self.folder / "clamd.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                    sock.sendall(b"zPING\0")
                    if sock.recv(5) == b"PONG\0":
                        return
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"clamd does not answer:\n{self.log()}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, such as SIGSTOP, which leaves it listening and mute."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def clamd() -> Iterator[ClamdServer]:
    """A clamd for the tests of one module; skips, saying why, where there is none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    server = ClamdServer()
    yield server
    server.stop()
