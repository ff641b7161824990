"""Act on the outcomes of a message: refuse it, accept and discard it, or send it on to the next hop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from store.intake.smtp.commands import Mail, reply
from store.intake.smtp.next_hop import NextHop, NextHopFailed
from store.mail.changes import changed
from store.mail.incoming import Accept, Discard, Outcome, Refuse
from store.terms.dsn import RecipientDsn

log = logging.getLogger("mailhold.sink")

#: Larger messages (bytes) are changed in a thread, so that the event loop stays free.
LARGE = 256 << 10
OK = reply(250, "2.0.0", "Ok")
BUSY = reply(451, "4.3.0", "The message could not be judged: try again later")
_DISCARDED = reply(250, "2.7.0", "Ok: discarded")


class Envelope(NamedTuple):
    """Sender and recipients of a message, and the client's XFORWARD attributes."""

    mail: Mail
    recipients: Sequence[RecipientDsn]
    client: dict[str, str]


async def carry_out(
    outcomes: Sequence[Outcome],
    raw: bytes,
    envelope: Envelope,
    next_hop: NextHop | None,
    client_is_gone: Callable[[], bool],
) -> list[bytes]:
    """Send the message on to the recipients whose outcome is Accept. Return the reply for each recipient, in order.

    The next hop has already accepted the whole envelope. Nothing is sent on without a next hop, or if the client is
    gone: it got no reply, and will send the message again.
    """
    replies = [OK] * len(outcomes)
    onward: dict[Accept, list[int]] = {}
    for at, outcome in enumerate(outcomes):
        match outcome:
            case Refuse(code, enhanced, words):
                replies[at] = reply(code, enhanced, words)
            case Discard():
                replies[at] = _DISCARDED
            case Accept():
                onward.setdefault(outcome, []).append(at)
    if next_hop is None:
        return replies
    if client_is_gone():
        await next_hop.reset()
        replies = [BUSY] * len(outcomes)
        await _put_back(onward, envelope, replies)
        return replies
    begun = [*range(len(outcomes))]
    for accept, who in onward.items():
        told = dict.fromkeys(who, OK)
        try:
            if begun != who:
                told = await _begin_again(next_hop, envelope, who)
            if any(each == OK for each in told.values()):
                large = len(raw) > LARGE
                onward_raw = await asyncio.to_thread(changed, raw, accept) if large else changed(raw, accept)
                sent = await next_hop.send(onward_raw)
                told = {at: sent if each == OK else each for at, each in told.items()}
        except NextHopFailed as failed:
            log_failed(failed)
            told = {at: failed.reply if each == OK else each for at, each in told.items()}
        begun = []
        for at, each in told.items():
            replies[at] = each
    if begun:
        await next_hop.reset()
    await _put_back(onward, envelope, replies)
    return replies


async def _put_back(onward: dict[Accept, list[int]], envelope: Envelope, replies: Sequence[bytes]) -> None:
    """Call `put_back` of each outcome for the recipients to whom the client will send the message again."""
    for accept, who in onward.items():
        again = [envelope.recipients[at].address for at in who if replies[at].startswith(b"4")]
        if accept.put_back is not None and again:
            await accept.put_back(again)


async def _begin_again(next_hop: NextHop, envelope: Envelope, who: Sequence[int]) -> dict[int, bytes]:
    """Offer the envelope again with some of its recipients only. Return the reply for each so far."""
    await next_hop.reset()
    await next_hop.begin(envelope.mail, envelope.client)
    told = {}
    for at in who:
        try:
            await next_hop.recipient(envelope.recipients[at])
            told[at] = OK
        except NextHopFailed as failed:
            if not failed.refused:
                raise
            told[at] = failed.reply
    return told


def log_failed(failed: NextHopFailed) -> None:
    """Log an unreachable next hop. A refusal is not logged: the client is told it, and its text may name an address."""
    if not failed.refused:
        log.warning("sink: %s", failed)
