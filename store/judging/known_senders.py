"""Which counters of known senders a message increments, and which ones describe a sender."""

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

#: Max recipients counted for one message.
_RECIPIENTS = 100


class Told(NamedTuple):
    """The sender of a message, the authentication results, and whether they authenticate that sender."""

    sender: Sender
    authentication: tuple[Authentication, ...]
    authenticated: bool


def told_of(incoming: Incoming, results: Mapping[str, EngineResult], local: LocalDomains, server: str = "") -> Told:
    """Determine the sender of a message from its header and the scanners' results. Never raises.

    `server` is as in `authentication_of`.
    """
    sender = sender_of(incoming.raw, incoming.sender, incoming.header)
    found = authentication_of(incoming, results, sender.domain, server)
    # A login authenticates senders of local domains only.
    ours = bool(incoming.auth_user) and (not local.some or sender.address in local)
    return Told(sender, found, ours or speaks_for(found, sender.domain))


def added_by(incoming: Incoming, told: Told, local: LocalDomains) -> Iterator[tuple[tuple[str, str], bool]]:
    """Yield the counters that a delivered message increments, and whether its sender was authenticated.

    Recipients are counted only if a local person wrote the message: no automatic reply, no bounce.
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
    """List the keys of the counters that describe a sender, in the order that `known_sender` expects."""
    return (SENDER, sender.address), (DOMAIN, sender.domain), (RECIPIENT, sender.address)


def known_sender(counts: Sequence[Count]) -> KnownSender:
    """Combine the counts for the keys of `asked_for`. Counts are in messages."""
    address, domain, written = counts
    return known_senders.known_sender(address, domain, written)
