"""What a scanner wrote into a message, where the listener that it came through trusts its headers.

A quarantine sends the message to an address of its own; whom it was from and for stands in its header, and that is the
envelope that counts. On any other listener these fields are text like the rest: anyone can write them.
"""

from __future__ import annotations

from dataclasses import replace

from store.judging.engines.engine import EngineResult
from store.judging.scanner_headers import HeaderVerdicts, verdicts_from_headers
from store.mail.incoming import Incoming

#: The name under which what header fields say stands beside what scanners say.
HEADERS = "header fields"


def scanner_verdicts(incoming: Incoming) -> tuple[Incoming, HeaderVerdicts]:
    """Read the envelope, queue ID and verdicts that the scanner wrote; return the message with them, and the verdicts.

    On a listener that is not trusted: the message as it is, and no verdicts. Never raises.
    """
    if not incoming.trusted_headers:
        return incoming, HeaderVerdicts()
    found = verdicts_from_headers(incoming.raw)
    return (
        replace(
            incoming,
            sender=incoming.sender if found.envelope_sender is None else found.envelope_sender,
            recipients=list(found.envelope_recipients) or incoming.recipients,
            # What XFORWARD told is the MTA's own word.
            queue_id=incoming.queue_id or found.mta_message_id,
        ),
        found,
    )


def result_of(found: HeaderVerdicts) -> EngineResult:
    """Convert a trusted scanner's header verdicts to an engine's result."""
    return EngineResult(
        True,
        found.verdicts,
        database_date=found.av_database_date,
        engines=frozenset(verdict.engine for verdict in found.verdicts),
        score=found.score,
        required=found.required,
        symbols=found.symbols,
        authentication=found.authentication,
    )
