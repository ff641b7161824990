"""Read the fields that a scanner wrote into a message, if the listener is set to trust such headers.

A quarantine sends each message to an address of its own. The original sender and recipients are in header fields, and
these replace the envelope. On any other listener anyone can write such fields, so they are ignored.
"""

from __future__ import annotations

from dataclasses import replace

from store.judging.engines.engine import EngineResult
from store.judging.scanner_headers import HeaderVerdicts, verdicts_from_headers
from store.mail.incoming import Incoming

#: The scanner name under which the verdicts from header fields are recorded.
HEADERS = "header fields"


def scanner_verdicts(incoming: Incoming) -> tuple[Incoming, HeaderVerdicts]:
    """Read the envelope, queue ID and verdicts that the scanner wrote; return the message with them, and the verdicts.

    On a listener without trusted headers: return the message unchanged and no verdicts. Never raises.
    """
    if not incoming.trusted_headers:
        return incoming, HeaderVerdicts()
    found = verdicts_from_headers(incoming.raw)
    return (
        replace(
            incoming,
            sender=incoming.sender if found.envelope_sender is None else found.envelope_sender,
            recipients=list(found.envelope_recipients) or incoming.recipients,
            # A queue ID from XFORWARD comes from the MTA itself, so it goes first.
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
