"""What a message adds to the counters of known senders, and what these say of a sender."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from store.judging.authentication import authentication_of
from store.judging.engines.engine import EngineResult
from store.judging.senders import Sender, recipient_of, sender_of
from store.mail.incoming import Incoming
from store.mail.local_domains import LocalDomains
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER, Count
from store.terms.findings import Authentication, KnownSender, speaks_for
from store.vault import known_senders

#: Recipients of one message that are counted.
_RECIPIENTS = 100


class Told(NamedTuple):
    """Whom a message is from, what says so, and whether that makes it his."""

    sender: Sender
    authentication: tuple[Authentication, ...]
    authenticated: bool


def told_of(incoming: Incoming, results: Mapping[str, EngineResult], local: LocalDomains, server: str = "") -> Told:
    """Whom a message is from, by its header and by what the scanners said. Never raises.

    `server` is as in `authentication_of`.
    """
    sender = sender_of(incoming.raw, incoming.sender)
    found = authentication_of(incoming, results, sender.domain, server)
    # Who logged in speaks for the domains here, and for no others.
    ours = bool(incoming.auth_user) and (not local.some or sender.address in local)
    return Told(sender, found, ours or speaks_for(found, sender.domain))


def added_by(incoming: Incoming, told: Told, local: LocalDomains) -> Iterator[tuple[tuple[str, str], bool]]:
    """Yield the counters that a delivered message increments, and whether it was authenticated.

    Who was written to counts where a person here wrote: not what answers by itself, nor a bounce.
    """
    sender = told.sender
    if sender.address:
        yield (SENDER, sender.address), told.authenticated
        yield (DOMAIN, sender.domain), told.authenticated
    ours = incoming.auth_user or (sender.address in local and incoming.sender in local)
    if ours and incoming.sender and not sender.automatic:
        for recipient in incoming.recipients[:_RECIPIENTS]:
            key = recipient_of(recipient)
            if key and key not in local:
                yield (RECIPIENT, key), told.authenticated


def asked_for(sender: Sender) -> tuple[tuple[str, str], ...]:
    """List the counters that say what is known of a sender, in the order that `known_sender` takes."""
    return (SENDER, sender.address), (DOMAIN, sender.domain), (RECIPIENT, sender.address)


def known_sender(counts: Sequence[Count]) -> KnownSender:
    """Combine the counts of `asked_for`, in whole messages."""
    address, domain, written = counts
    return known_senders.known_sender(address, domain, written)
