"""In which order handles are acted on, and which of them acts are offered for at all."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from store.campaigns.material import Flags
from store.campaigns.oddness import ALIKE, Sorted

_ANSWERS, _LISTED = 0.4, 0.5
#: So many copies a handle needs for an act: a hundredth of all, from ten to fifty. Good mail comes in small heaps.
_PART, _LEAST, _MOST = 100, 10, 50
_FEW = 25
#: One letter from so many senders needs so many times fewer.
ENOUGH, _LESS = 4, 2
#: What an answer has, or what claims to be one.
ANSWERS = Flags.REPLY | Flags.CLAIMS


class Rank(IntEnum):
    """When a handle's turn is. Acts are offered for the first three; what is in others is listed by sender.

    CAREFUL: many answers, or list mail of several domains. THREADS: a campaign in stolen threads, whose copies answer
    or quote: its act is one of its own, never done along with others. LISTED: list mail of one domain, or mail of one
    that says nothing in common: that of a mailing service. SMALL: few copies. SENDER: few copies of one sender.
    """

    PLAIN = 0
    CAREFUL = 1
    THREADS = 2
    LISTED = 3
    SMALL = 4
    SENDER = 5

    @property
    def offered(self) -> bool:
        """True where an act is offered."""
        return self <= Rank.THREADS

    @property
    def sure(self) -> bool:
        """True where the act may be done along with others."""
        return self <= Rank.CAREFUL


class Tally(NamedTuple):
    """What is counted of a handle: the copies that fit, the odd ones, the answers and claims among both; of those that
    fit the listed ones, domains and senders; and the senders of all. Of domains and senders no more need be counted
    than `ENOUGH`.
    """

    copies: int
    odd: int
    answers: int
    listed: int
    domains: int
    senders: int
    everyone: int


def rank(of: Tally, parted: Sorted, total: int) -> Rank:
    """Rank a handle by its counts; `total`: copies in all."""
    enough = min(max(total // _PART, _LEAST), _MOST)
    if parted.limits.threads:
        return Rank.SMALL if of.copies < enough else Rank.THREADS
    if of.copies + of.odd < _FEW and of.everyone == 1:
        return Rank.SENDER
    if parted.alike >= ALIKE and of.senders >= ENOUGH:
        enough = max(enough // _LESS, _LEAST)
    if of.copies < enough:
        return Rank.SMALL
    if of.listed > _LISTED * of.copies:
        return Rank.LISTED if of.domains == 1 else Rank.CAREFUL
    if of.domains == 1 and parted.silent:
        return Rank.LISTED
    return Rank.CAREFUL if of.answers >= _ANSWERS * (of.copies + of.odd) else Rank.PLAIN
