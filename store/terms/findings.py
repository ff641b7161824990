"""Data that a gateway had about a message at intake, besides the message itself. It cannot be determined later."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from store.terms.sender import organisation

#: Symbols kept per scanner (those with the greatest weight), and characters kept of a name.
SYMBOLS, NAME = 32, 80


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """The result of one scanner: its score, the score from which it calls a message spam, and its symbols.

    `score` and `required` are None if the scanner has none, and so is a symbol's weight (name, weight). A signature is
    a symbol. Text is NOT safe for a terminal.
    """

    scanner: str
    score: float | None = None
    required: float | None = None
    symbols: tuple[tuple[str, float | None], ...] = ()


class Authentication(msgspec.Struct, frozen=True, array_like=True):
    """One authentication result (RFC 8601), for example `dkim`, `pass`, `example.org`, and the server that reports it.

    `identity`: the identity that was authenticated, "" if not given. Text is NOT safe for a terminal.
    """

    method: str
    result: str
    identity: str = ""
    server: str = ""


class KnownSender(msgspec.Struct, frozen=True, array_like=True):
    """How many messages of a sender were let through before, and how many were sent to it from here.

    Counted for the address and for its domain, authenticated and other. Counts halve every 30 days.
    """

    address_authenticated: int = 0
    address_other: int = 0
    domain_authenticated: int = 0
    domain_other: int = 0
    written_to: int = 0

    @property
    def address(self) -> int:
        """Messages from the address that were let through, authenticated or not."""
        return self.address_authenticated + self.address_other

    @property
    def domain(self) -> int:
        """Messages from the domain that were let through, authenticated or not."""
        return self.domain_authenticated + self.domain_other


def speaks_for(found: Iterable[Authentication], domain: str) -> bool:
    """Return True if a result confirms that mail of `domain` (that of From) comes from its organisation."""
    ours = ""
    for each in found:
        if each.result != "pass" or each.method not in ("dmarc", "dkim", "spf"):
            continue
        whose = each.identity.rpartition("@")[2]
        if whose == domain and domain:
            return True
        ours = ours or organisation(domain)
        if whose and organisation(whose) == ours:
            return True
    return False


def heaviest(symbols: list[tuple[str, float | None]]) -> tuple[tuple[str, float | None], ...]:
    """Keep the `SYMBOLS` symbols with the greatest weights, rounded to hundredths."""
    found = sorted(symbols, key=lambda each: (-abs(each[1] or 0.0), each[0]))[:SYMBOLS]
    return tuple((name[:NAME], None if weight is None else round(weight, 2)) for name, weight in found)
