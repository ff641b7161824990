"""What every scanner answers, and asking all of them side by side."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from store.mail.incoming import Incoming
from store.terms.findings import Authentication, Finding
from store.terms.verdicts import Engine, Status, Verdict

#: Characters of a scanner's own words that are kept as the detail of a verdict.
DETAIL_LIMIT = 400


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What one scanner said of one message.

    `scanned` is False where it gave no verdict on this message; `why` then says what was wrong, for an operator, and
    `verdicts` give each of the engines that rest on this scanner the status Not scanned. `database_date` is the
    release of the scanner's databases in Unix ms (0 = not known). `engines` are all that it can condemn a message as.
    `score`, `required` and `symbols` are as in `store.terms.findings.Finding`, and
    `authentication` is what it says of who sent the message.
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
        """Whether any verdict is more than Clean or Not scanned."""
        return any(verdict.status not in (Status.CLEAN, Status.NOT_SCANNED) for verdict in self.verdicts)


class Scanner(Protocol):
    """A program that is asked about each message. `name` tells it from the other scanners of this gateway."""

    name: str
    engines: frozenset[Engine]

    async def scan(self, incoming: Incoming) -> EngineResult:
        """Ask about one message. Never raises, and answers within the scanner's limits whatever happens."""

    async def ping(self) -> str:
        """Ask whether the scanner answers: "" if it does, else what is wrong. Never raises."""

    async def close(self) -> None:
        """Give up connections that are kept open."""


async def scan_all(scanners: Iterable[Scanner], incoming: Incoming) -> dict[str, EngineResult]:
    """Ask all scanners at once; their answers by name, in the order of the scanners. Never raises."""
    asked = list(scanners)
    results = await asyncio.gather(*(scanner.scan(incoming) for scanner in asked))
    return {scanner.name: result for scanner, result in zip(asked, results, strict=True)}


def findings_of(results: Mapping[str, EngineResult]) -> tuple[Finding, ...]:
    """Scores and symbols for the record, of the scanners (by name) that told any."""
    return tuple(
        Finding(name, result.score, result.required, result.symbols)
        for name, result in results.items()
        if result.score is not None or result.symbols
    )


def words(text: str) -> str:
    """Put a scanner's words on one line, cut to what is kept. NOT safe for a terminal."""
    line = " ".join(text.split())
    return line if len(line) <= DETAIL_LIMIT else line[: DETAIL_LIMIT - 1] + "…"


async def still_condemned(scanners: Iterable[Scanner], incoming: Incoming, raw: bytes, engine: Engine) -> str:
    """Why `engine` does not pass `raw`, which is what is left of a message without attachments; "" where it does.

    What condemned a message may have stood in its text, where taking attachments off does not help. Never raises.
    """
    left = replace(incoming, raw=raw)
    for name, result in (await scan_all([s for s in scanners if engine in s.engines], left)).items():
        if not result.scanned:
            return f"what was left could not be scanned again ({name}: {result.why})"
        for verdict in result.verdicts:
            if verdict.engine is engine and verdict.status is not Status.CLEAN:
                return f"{name} still says {verdict.status.label}" + (f": {verdict.detail}" if verdict.detail else "")
    return ""


def client_ip(incoming: Incoming) -> str:
    """Return the client's IP address, without what MTAs write before it; "" if it is unknown."""
    try:
        return str(ipaddress.ip_address(incoming.client_address.removeprefix("IPv6:").strip("[]")))
    except ValueError:
        return ""
