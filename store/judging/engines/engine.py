"""The interface of a scanner, its result, and the request to all scanners at once."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from store.mail.incoming import Incoming
from store.terms.findings import Authentication, Finding
from store.terms.verdicts import Engine, Status, Verdict

#: Max characters of a scanner's own words kept as the detail of a verdict.
DETAIL_LIMIT = 400


@dataclass(frozen=True, slots=True)
class EngineResult:
    """The answer of one scanner about one message.

    `scanned` is False if the scanner gave no verdict. Then `why` is the reason (for an operator), and `verdicts` holds
    Not scanned for each engine that depends on this scanner. `database_date` is the release of its databases (Unix ms;
    0 = not known). `engines` are the engines whose verdicts it can give. `score`, `required` and `symbols` are as in
    `store.terms.findings.Finding`. `authentication` is its statement on who sent the message.
    """

    scanned: bool
    verdicts: tuple[Verdict, ...] = ()
    why: str = ""
    database_date: int = 0
    engines: frozenset[Engine] = field(default_factory=frozenset)
    score: float | None = None
    required: float | None = None
    symbols: tuple[tuple[str, float | None], ...] = ()
    authentication: tuple[Authentication, ...] = ()

    @property
    def condemned(self) -> bool:
        """Whether any verdict is other than Clean and Not scanned."""
        return any(verdict.status not in (Status.CLEAN, Status.NOT_SCANNED) for verdict in self.verdicts)


class Scanner(Protocol):
    """A program that scans each message. `name` is unique among the scanners of this gateway."""

    name: str
    engines: frozenset[Engine]

    async def scan(self, incoming: Incoming) -> EngineResult:
        """Scan one message. Never raises; always returns within the scanner's time limits."""

    async def ping(self) -> str:
        """Ask whether the scanner answers. Return "" if it does, else the reason. Never raises."""

    async def close(self) -> None:
        """Close the open connections."""


async def scan_all(scanners: Iterable[Scanner], incoming: Incoming) -> dict[str, EngineResult]:
    """Ask all scanners at once. Return their results by name, in the order of the scanners. Never raises."""
    asked = list(scanners)
    results = await asyncio.gather(*(scanner.scan(incoming) for scanner in asked))
    return {scanner.name: result for scanner, result in zip(asked, results, strict=True)}


def findings_of(results: Mapping[str, EngineResult]) -> tuple[Finding, ...]:
    """List score and symbols of the scanners that gave any, for the record of the copy."""
    return tuple(
        Finding(name, result.score, result.required, result.symbols)
        for name, result in results.items()
        if result.score is not None or result.symbols
    )


def words(text: str) -> str:
    """Put a scanner's words on one line, cut to DETAIL_LIMIT characters. NOT safe for a terminal."""
    line = " ".join(text.split())
    return line if len(line) <= DETAIL_LIMIT else line[: DETAIL_LIMIT - 1] + "…"


async def still_condemned(scanners: Iterable[Scanner], incoming: Incoming, raw: bytes, engine: Engine) -> str:
    """Scan `raw`, a message whose attachments were removed, again.

    Return why `engine` still condemns it; "" if it is clean. Removing attachments does not help if the finding was in
    the text. Never raises.
    """
    left = replace(incoming, raw=raw)
    for name, result in (await scan_all([s for s in scanners if engine in s.engines], left)).items():
        if not result.scanned:
            return f"the rest could not be scanned again ({name}: {result.why})"
        for verdict in result.verdicts:
            if verdict.engine is engine and verdict.status is not Status.CLEAN:
                return f"{name} still says {verdict.status.label}" + (f": {verdict.detail}" if verdict.detail else "")
    return ""


def client_ip(incoming: Incoming) -> str:
    """Return the client's IP address without the prefix and brackets that MTAs write around it; "" if unknown.

    An IPv6 zone is left out: Python accepts any text as one, also line ends.
    """
    address = incoming.client_address.removeprefix("IPv6:").strip("[]").partition("%")[0]
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""
