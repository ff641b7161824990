"""Twins of released copies: waiting copies of the same senders with the same authentication result.

They are offered as a filter and a count; nothing is released automatically. Copies that belong to a campaign, unless
odd in it, are not twins.
"""

from __future__ import annotations

from collections.abc import Iterable

from store.filters.asked import auth_words
from store.filters.model import Group, MessageFilter, Term
from store.mail.addresses import mailbox
from store.mail.outcome import Delivered
from store.terms.records import Copy
from store.terms.sender import sender_of

#: Authentication results that make copies of one address twins, the strongest first; "none" if it has no result.
_RESULTS = ("dmarc=pass", "dkim=pass", "spf=pass", "none")
#: Maximum number of (sender, result) pairs.
_SENDERS = 20


def twin_filter(released: Iterable[Copy]) -> MessageFilter | None:
    """Make the filter that finds these copies' twins; None if no sender is known or authenticated.

    It also matches the released copies until they are in the queue.
    """
    senders: dict[tuple[str, str], MessageFilter] = {}
    for copy in released:
        address, words = sender_of(copy.record.from_), auth_words(copy.record.authentication)
        result = next((each for each in _RESULTS if each in words), "")
        if "@" in address and result and len(senders) < _SENDERS:
            branch = MessageFilter(from_=(Term(address),), auth=frozenset({result}))
            senders.setdefault((mailbox(address), result), branch)
    if not senders:
        return None
    apart = Group((MessageFilter(campaigns=(0,)), MessageFilter(odd=True)))
    waits = frozenset({Delivered.NO})
    if len(senders) == 1:
        [one] = senders.values()
        return MessageFilter(from_=one.from_, auth=one.auth, delivered=waits, groups=(apart,))
    return MessageFilter(delivered=waits, groups=(Group(tuple(senders.values())), apart))


def senders_alone(twins: MessageFilter) -> MessageFilter:
    """Reduce a filter of twins to its senders: it matches all twins and more, but is answered at once."""
    if twins.from_:
        return MessageFilter(from_=twins.from_, delivered=twins.delivered)
    branches = tuple(MessageFilter(from_=each.from_) for each in twins.groups[0].branches)
    return MessageFilter(delivered=twins.delivered, groups=(Group(branches),))
