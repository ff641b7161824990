"""A real spamd for tests: on a unix socket, without the network, with Debian's rules."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator

import pytest

from tests.integration.scanner import Scanner, missing, running


def why_not() -> str:
    """Say why spamd cannot be run here, or return ""."""
    return missing("spamd", "spamd")


class SpamdServer(Scanner):
    """A running spamd; `unix` is its address as a gateway's configuration writes it."""

    program = "spamd"
    question, answer = b"PING SPAMC/1.5\r\n\r\n", b"SPAMD/"
    log_file = "spamd.log"

    def prepare(self) -> None:
        home = self.folder / "home"
        home.mkdir()
        shutil.chown(home, "nobody")

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'spamd.sock'}"

    def command(self) -> list[str]:
        path, home = self.folder / "spamd.sock", self.folder / "home"
        return [
            *("spamd", "-L", "-x", "-u", "nobody", "-H", str(home), "--max-children", "2"),
            *("--socketpath", str(path), "--socketmode", "0666", "-s", str(self.folder / "spamd.log")),
        ]

    def connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        try:
            sock.connect(str(self.folder / "spamd.sock"))
        except OSError:
            sock.close()
            raise
        return sock


@pytest.fixture(scope="module")
def spamd() -> Iterator[Scanner]:
    """Run a spamd for the tests of one module; skip with the reason if it is missing."""
    yield from running(why_not(), SpamdServer)
