"""The values of a copy's record that filter fields compare, for `MessageFilter.matches` and for the column tables."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from store.filters.folding import fold, searched
from store.terms.findings import Authentication
from store.terms.records import CopyRecord

#: Scores are compared in whole hundredths, and limited to MAX_SCORE.
HUNDREDTHS = 100
MAX_SCORE = 1_000_000.0
NO_RESULT = "none"

_ADDRESS_PART = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}\.?|[0-9a-f]{0,4}:[0-9a-f:.]*", re.ASCII)


class Client(NamedTuple):
    """The clients that a `client:` word matches.

    Exactly one is set. `network`: addresses in it. `address` (as `address_text` writes it): that address, or those that
    begin with it and a separator. `part` (folded): clients whose folded name contains it.
    """

    network: IPv4Network | IPv6Network | None = None
    address: str = ""
    part: str = ""

    @property
    def prefix(self) -> str:
        """The beginning of all addresses below `address`; it ends in a separator."""
        return (
            self.address if self.address.endswith((".", ":")) else self.address + (":" if ":" in self.address else ".")
        )

    def holds(self, address: str, name: str) -> bool:
        """Return True if the word matches a client with this address and name (from a record)."""
        if self.network is not None:
            try:
                return ipaddress.ip_address(address_text(address)) in self.network
            except ValueError:
                return False
        if self.address:
            text = address_text(address)
            return text == self.address or text.startswith(self.prefix)
        return self.part in fold(name)


@lru_cache(64)
def client_wanted(text: str) -> Client:
    """Parse `text` as a network (``192.0.2.0/24``), an address or its beginning, or else a part of a name."""
    plain = text.strip().lower()
    network = network_of(plain)
    if network is not None:
        return Client(network=network)
    if _ADDRESS_PART.fullmatch(plain):
        return Client(address=address_text(plain))
    return Client(part=fold(text))


def is_address(text: str) -> bool:
    """Return True if `text` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """Parse a network with its length (``10.0.0.0/8``); None if `text` is not one."""
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def address_text(address: str) -> str:
    """Write a client's address in normal form: no brackets or ``IPv6:``, shortened, mapped IPv4 as IPv4.

    Text that is not an address is returned without brackets, in lower case.
    """
    text = address.strip("[] ").lower().removeprefix("ipv6:")
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return text
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def is_known(record: CopyRecord) -> bool:
    """Return True if mail of the sender's address was let through before, or somebody here wrote to it."""
    return record.known is not None and bool(record.known.address or record.known.written_to)


def score_of(record: CopyRecord) -> int | None:
    """Return the highest score that any engine gave, in hundredths; None if none did."""
    scores = [
        finding.score for finding in record.findings if finding.score is not None and not math.isnan(finding.score)
    ]
    return hundredths(max(scores)) if scores else None


def hundredths(score: float) -> int:
    """Convert a score to whole hundredths, limited to `MAX_SCORE`."""
    return round(max(-MAX_SCORE, min(score, MAX_SCORE)) * HUNDREDTHS)


#: Cached: a message has dozens of symbols, out of a few hundred in all.
_searched = lru_cache(4096)(searched)


def symbols_of(record: CopyRecord) -> tuple[str, ...]:
    """List the symbols of all engines in their searched form."""
    return tuple([_searched(name) for finding in record.findings for name, _weight in finding.symbols])


def envelope_texts(record: CopyRecord) -> tuple[str, ...]:
    """Return the envelope's sender in angle brackets, as MTAs log it: ``<>`` for the null sender.

    Empty without an envelope.
    """
    return () if record.envelope_sender is None else (f"<{record.envelope_sender}>",)


def auth_words(authentication: Iterable[Authentication]) -> frozenset[str]:
    """List the values by which `auth:` finds these results, such as ``fail`` and ``dkim=fail``.

    The value ``none`` is included if no result says anything else.
    """
    found = {(each.method.lower(), each.result.lower()) for each in authentication}
    results = {result for _method, result in found} - {NO_RESULT} or {NO_RESULT}
    return frozenset(results | {f"{method}={result}" for method, result in found})
