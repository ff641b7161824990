"""What a gateway knew of a message when it took it in, beside the message itself. None of it can be made up later."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from store.terms.sender import organisation

#: Symbols of one scanner that are kept: those that weigh most. Characters of a name that are kept.
SYMBOLS, NAME = 32, 80


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """What one scanner found: its score, the score from which it calls a message spam, and its symbols.

    `score` and `required` are None for a scanner that has none; so is the weight of a symbol (name, weight), where the
    scanner does not tell it. A signature is a symbol. Text is NOT safe for a terminal.
    """

    scanner: str
    score: float | None = None
    required: float | None = None
    symbols: tuple[tuple[str, float | None], ...] = ()


class Authentication(msgspec.Struct, frozen=True, array_like=True):
    """One authentication result (RFC 8601): `dkim`, `pass`, `example.org`, and who says so.

    `identity` is whom the method speaks of, "" where that is not told. Text is NOT safe for a terminal.
    """

    method: str
    result: str
    identity: str = ""
    server: str = ""


class KnownSender(msgspec.Struct, frozen=True, array_like=True):
    """How many messages of a sender were let through before, and how many were written to it from here.

    Of the address and of its domain, each authenticated and otherwise. Old ones count less: half after 30 days.
    """

    address_authenticated: int = 0
    address_other: int = 0
    domain_authenticated: int = 0
    domain_other: int = 0
    written_to: int = 0

    @property
    def address(self) -> int:
        """Messages of the address that were let through, authenticated or not."""
        return self.address_authenticated + self.address_other

    @property
    def domain(self) -> int:
        """Messages of the domain that were let through, authenticated or not."""
        return self.domain_authenticated + self.domain_other


def speaks_for(found: Iterable[Authentication], domain: str) -> bool:
    """Whether any result says that mail of `domain`, which is that of From, comes from its own organisation."""
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
    """Keep the symbols of the greatest weight (in hundredths), at most `SYMBOLS`."""
    found = sorted(symbols, key=lambda each: (-abs(each[1] or 0.0), each[0]))[:SYMBOLS]
    return tuple((name[:NAME], None if weight is None else round(weight, 2)) for name, weight in found)
