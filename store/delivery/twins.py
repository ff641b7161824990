"""The good twins of copies that were released: what else of their senders waits, authenticated as they are.

They are a filter and a number, to be looked at: nothing is released by itself. A copy that fits a campaign is none.
"""

from __future__ import annotations

from collections.abc import Iterable

from store.filters.asked import auth_words
from store.filters.model import Group, MessageFilter, Term
from store.mail.addresses import mailbox
from store.mail.outcome import Delivered
from store.terms.records import Copy
from store.terms.sender import sender_of

#: Results that make copies of one address twins, the one that says most first; without any result they are twins too.
_RESULTS = ("dmarc=pass", "dkim=pass", "spf=pass", "none")
#: So many senders, each with its result, are looked for.
_SENDERS = 20


def twin_filter(released: Iterable[Copy]) -> MessageFilter | None:
    """Make the filter that finds these copies' twins; None if no sender can be told, or none authenticated.

    It holds for the released ones as well, until they are in the queue.
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
    """Reduce a filter of twins to its senders: that is answered at once, and admits all twins."""
    if twins.from_:
        return MessageFilter(from_=twins.from_, delivered=twins.delivered)
    branches = tuple(MessageFilter(from_=each.from_) for each in twins.groups[0].branches)
    return MessageFilter(delivered=twins.delivered, groups=(Group(branches),))
