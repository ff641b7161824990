"""The two harmless messages that every scanner detects: the antivirus test file, and the text for spam filters."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from email.utils import formatdate

from store.terms.verdicts import Engine, Status

# Split into pieces, so that no scanner takes this source file for a test message.
_EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTI", "VIRUS-TEST-FILE!", "$H+H*")
_GTUBE = ("XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI", "-UBE-TEST-EMAIL*C.34X")


@dataclass(frozen=True)
class Probe:
    """A test message, and the engine and statuses expected for it."""

    name: str
    engine: Engine
    statuses: tuple[Status, ...]


EICAR = Probe("EICAR", Engine.ANTI_VIRUS, (Status.INFECTED,))
GTUBE = Probe("GTUBE", Engine.ANTI_SPAM, (Status.SPAM, Status.PROBABLE_SPAM))
PROBES = (EICAR, GTUBE)
_EIGHT_BIT = " In Greek, which takes eight bits: δοκιμή."


def compose(probe: Probe, sender: str, recipient: str, message_id: str, *, eight_bit: bool = False) -> bytes:
    """Write the probe as a message (CRLF line ends), with or without 8-bit text."""
    plain = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    plain = plain if eight_bit else ["Content-Type: text/plain"]
    head = [
        f"From: Mailhold doctor <{sender}>",
        f"To: <{recipient}>",
        f"Subject: Mailhold doctor: {probe.name} test",
        f"Message-ID: {message_id}",
        f"Date: {formatdate()}",
        "MIME-Version: 1.0",
    ]
    text = "This is a harmless test of the mail gateway, which it should have kept in Backup."
    text += _EIGHT_BIT if eight_bit else ""
    if probe is EICAR:
        attachment = base64.b64encode("".join(_EICAR).encode()).decode()
        lines = [
            *head,
            'Content-Type: multipart/mixed; boundary="mailhold-doctor"',
            "",
            "--mailhold-doctor",
            *plain,
            "",
            text,
            "--mailhold-doctor",
            "Content-Type: application/octet-stream",
            "Content-Transfer-Encoding: base64",
            'Content-Disposition: attachment; filename="doctor-test.bin"',
            "",
            attachment,
            "--mailhold-doctor--",
            "",
        ]
    else:
        lines = [*head, *plain, "", text, "", "".join(_GTUBE), ""]
    return "\r\n".join(lines).encode()
