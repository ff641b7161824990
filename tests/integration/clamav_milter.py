"""A real clamav-milter for tests: it asks a clamd about each message and has infected ones put on hold."""

from __future__ import annotations

import shutil
import socket
import struct

from tests.integration.clamd import ClamdServer
from tests.integration.scanner import Scanner, missing

CONFIGURATION = """\
MilterSocket unix:{folder}/milter.sock
MilterSocketMode 666
FixStaleSocket yes
User clamav
Foreground yes
ClamdSocket {clamd}
OnClean Accept
OnInfected Quarantine
OnFail Defer
AddHeader No
LogFile {folder}/milter.log
LogInfected Off
TemporaryDirectory {folder}
"""


def why_not() -> str:
    """Say why clamav-milter cannot be run here, or return ""."""
    return missing("clamav-milter", "clamav-milter")


class ClamavMilter(Scanner):
    """A running clamav-milter; `unix` is its address as Postfix writes it."""

    program = "clamav-milter"
    #: Negotiation of milter protocol 6 with everything offered; the answer is as short.
    question, answer, patience = struct.pack(">IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF), b"\0\0\0\x0dO", 30
    log_file = "milter.log"

    def __init__(self, clamd: ClamdServer) -> None:
        self._clamd = clamd.unix
        super().__init__()

    def prepare(self) -> None:
        (self.folder / "milter.conf").write_text(CONFIGURATION.format(folder=self.folder, clamd=self._clamd))
        shutil.chown(self.folder, "clamav", "clamav")

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'milter.sock'}"

    def command(self) -> list[str]:
        return ["clamav-milter", "-c", str(self.folder / "milter.conf")]

    def connected(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(str(self.folder / "milter.sock"))
        return sock
