"""Recipients, trace fields and dates of the demo's messages."""

from __future__ import annotations

import base64
from random import Random
from typing import NamedTuple

from tui.demo.mime import Header, date, mailbox
from tui.demo.people import Person, people

HOST = "mx1.example.org"
_QUEUE_LETTERS = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
_ZONES = (0, 1, 2, 3, 8, 9, -5, -8)


class Recipients(NamedTuple):
    """Recipients in To and Cc, and those that only the envelope has."""

    to: tuple[Person, ...]
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the envelope's recipients without duplicates."""
        return tuple(dict.fromkeys(person.address for person in (*self.to, *self.cc, *self.bcc)))


def recipients(rng: Random) -> Recipients:
    """Choose recipients: mostly one; sometimes several, some in Cc or Bcc, or none in the header."""
    known = people()
    group = rng.choices((known.staff, known.finance, known.board, known.shared), weights=(62, 14, 6, 18))[0]
    first = rng.choice(group)
    turn = rng.random()
    if turn < 0.66:
        return Recipients((first,))
    others = tuple(person for person in rng.sample(known.staff, 5) if person.address != first.address)
    if turn < 0.78:
        return Recipients((first, *others[: rng.randrange(1, 4)]))
    if turn < 0.86:
        return Recipients((first,), others[: rng.randrange(1, 4)])
    if turn < 0.94:
        return Recipients((first,), (), others[: rng.randrange(1, 3)])
    return Recipients((), (), (first, *others))


def queue_id(rng: Random) -> str:
    """Make a long queue ID as an MTA does."""
    return "4c" + "".join(rng.choices(_QUEUE_LETTERS, k=7)) + "z" + "".join(rng.choices(_QUEUE_LETTERS, k=5))


def addresses(people: tuple[Person, ...], charset: str) -> bytes:
    """Write a To or Cc field."""
    return b",\r\n\t".join(mailbox(person.name, person.address, charset) for person in people)


def trace(client: str, helo: str, mta_id: str, moment: int, rng: Random) -> list[Header]:
    """Write `Received` fields (ours on top, then sometimes one of the sender's servers)
    and a DKIM signature of theirs.
    """
    shown = f"IPv6:{client}" if ":" in client else client
    ours = (
        f"from {helo} ({helo} [{shown}])\r\n\tby {HOST} (Postfix) with ESMTPS id {mta_id}\r\n\t"
        f"(TLS1.3 with cipher TLS_AES_256_GCM_SHA384);\r\n\t"
    ).encode() + date(moment)
    headers: list[Header] = [("Received", ours)]
    if rng.random() < 0.5:
        host = f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}"
        inner = f"from [{host}] (unknown)\r\n\tby {helo} with ESMTPSA; "
        headers.append(("Received", inner.encode() + date(moment - rng.randrange(1_000, 40_000))))
    if rng.random() < 0.4:
        signature = base64.b64encode(rng.randbytes(126))
        folded = b"\r\n\t".join(signature[at : at + 70] for at in range(0, len(signature), 70))
        domain = helo.partition(".")[2].encode()
        headers.append(
            ("DKIM-Signature", b"v=1; a=rsa-sha256; c=relaxed/simple; d=%s; s=s1;\r\n\tb=%s" % (domain, folded))
        )
    return headers


def sent(moment: int, rng: Random) -> bytes:
    """Write the Date field: mostly shortly before `moment` (Unix ms); spam sometimes has a wrong date."""
    early = rng.randrange(2_000, 90_000) if rng.random() < 0.9 else rng.randrange(-7_200_000, 86_400_000)
    return date(moment - early, rng.choice(_ZONES))
