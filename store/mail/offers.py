"""What an SMTP server offers in its answer to EHLO, as far as it decides what can be sent.

Sources: RFC 1870, 6152, 6531.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from store.mail.addresses import ascii_form


class Offers(NamedTuple):
    """A server's extensions. `limit` is the largest message that it takes (bytes), 0 where it names none."""

    size: bool = False
    limit: int = 0
    eight_bit: bool = False
    utf8: bool = False

    def takes(self, size: int) -> bool:
        """Whether a message of `size` bytes is within the limit."""
        return not 0 < self.limit < size

    def on_wire(self, address: str) -> str | None:
        """An address as it goes over the wire, None where only SMTPUTF8 can carry it and that is not offered."""
        return address if self.utf8 else ascii_form(address)


def offers_of(extensions: Mapping[str, str]) -> Offers:
    """What `extensions` (names in lower case, with their parameters) offer."""
    size = extensions.get("size")
    limit = int(size) if size and size.isascii() and size.isdigit() and len(size) < 19 else 0
    return Offers(size is not None, limit, "8bitmime" in extensions, "smtputf8" in extensions)
