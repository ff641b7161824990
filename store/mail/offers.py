"""The EHLO extensions of an SMTP server that decide what can be sent.

Sources: RFC 1870, 2920, 3461, 6152, 6531.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from store.mail.addresses import ascii_form
from store.terms.dsn import RecipientDsn


class Offers(NamedTuple):
    """A server's extensions. `limit` is its maximum message size in bytes (0 = not stated)."""

    size: bool = False
    limit: int = 0
    eight_bit: bool = False
    utf8: bool = False
    dsn: bool = False
    pipelining: bool = False

    def takes(self, size: int) -> bool:
        """Return True if a message of `size` bytes is within the limit."""
        return not 0 < self.limit < size

    def on_wire(self, address: str) -> str | None:
        """Encode an address for the wire. None if only SMTPUTF8 can carry it and the server does not offer it."""
        return address if self.utf8 else ascii_form(address)

    def mail_dsn(self, ret: str, envid: str) -> list[bytes]:
        """Return MAIL's parameters for this DSN request; [] if the server does not offer DSN."""
        given = ((b"RET", ret), (b"ENVID", envid))
        return [name + b"=" + value.encode() for name, value in given if value and self.dsn]

    def recipient_dsn(self, recipient: RecipientDsn, *, utf8: bool) -> list[bytes]:
        """Return RCPT's parameters for this DSN request.

        Non-ASCII values are sent only if the message is declared SMTPUTF8.
        """
        given = ((b"NOTIFY", recipient.notify), (b"ORCPT", recipient.orcpt))
        return [
            name + b"=" + value.encode() for name, value in given if value and self.dsn and (utf8 or value.isascii())
        ]


def offers_of(extensions: Mapping[str, str]) -> Offers:
    """Read the server's offers from `extensions` (names in lower case, with their parameters)."""
    size = extensions.get("size")
    limit = int(size) if size and size.isascii() and size.isdigit() and len(size) < 19 else 0
    others = (name in extensions for name in ("8bitmime", "smtputf8", "dsn", "pipelining"))
    return Offers(size is not None, limit, *others)
