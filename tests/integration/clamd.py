"""A real clamd for tests: on a unix socket and on loopback, with its own signatures in a temporary folder.

It knows EICAR by its hash and, by its heuristics, encrypted archives, broken executables and phishing links; no
database is downloaded. Started as root, it runs as `clamav`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.integration.postfix import free_port
from tests.integration.scanner import Scanner, missing, running

#: The harmless test file that every virus scanner reports, in two pieces so that scanners do not report this file.
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
#: The largest message that this clamd accepts (bytes).
STREAM_MAX = 4 * 1024 * 1024


def why_not() -> str:
    """Say why clamd cannot be run here, or return ""."""
    return missing("clamd", "clamav-daemon")


class ClamdServer(Scanner):
    """A running clamd; `unix` and `tcp` are its addresses as a gateway's configuration writes them."""

    program = "clamd"
    question, answer, patience = b"zPING\0", b"PONG\0", 60
    log_file = "clamd.log"

    def prepare(self) -> None:
        self.port = free_port()
        for name in ("db", "tmp"):
            (self.folder / name).mkdir(mode=0o755)
        (self.folder / "db" / "local.hdb").write_text(SIGNATURES)
        (self.folder / "clamd.conf").write_text(CONFIGURATION.format(folder=self.folder, port=self.port))
        self.own("clamav")

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'clamd.sock'}"

    @property
    def tcp(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        return ["clamd", "-c", str(self.folder / "clamd.conf")]

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


@pytest.fixture(scope="module")
def clamd() -> Iterator[Scanner]:
    """Run a clamd for the tests of one module; skip with the reason if it is missing."""
    yield from running(why_not(), ClamdServer)
