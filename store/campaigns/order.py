"""The order in which handles are acted on, and which of them have acts at all."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from store.campaigns.material import Flags
from store.campaigns.oddness import ALIKE, Sorted

_ANSWERS, _LISTED = 0.4, 0.5
#: Copies that a handle needs for an act: a hundredth of all copies, but from ten to fifty. Good mail comes in small
#: groups.
_PART, _LEAST, _MOST = 100, 10, 50
_FEW = 25
#: A letter from at least this many senders needs half as many.
ENOUGH, _LESS = 4, 2
#: Flags of answers, and of messages that claim to be answers.
ANSWERS = Flags.REPLY | Flags.CLAIMS


class Rank(IntEnum):
    """The rank of a handle, in order of acts.

    Acts are offered for the first three; copies in others are listed by sender. CAREFUL: many answers, or list mail of
    several domains. THREADS: a campaign in stolen threads, whose copies answer or quote; its act is never done along
    with others. LISTED: list mail of one domain, or mail of one domain without common content (from a mailing service).
    SMALL: few copies. SENDER: few copies, all of one sender.
    """

    PLAIN = 0
    CAREFUL = 1
    THREADS = 2
    LISTED = 3
    SMALL = 4
    SENDER = 5

    @property
    def offered(self) -> bool:
        """Whether an act is offered."""
        return self <= Rank.THREADS

    @property
    def sure(self) -> bool:
        """Whether the act may be done along with others."""
        return self <= Rank.CAREFUL


class Tally(NamedTuple):
    """The counts of a handle that its rank depends on.

    `copies`: those that fit; `odd`: odd ones; `answers`: answers and claims among both. Of those that fit: `listed`,
    `domains`, `senders`; `everyone`: senders of both. Domains and senders need not be counted beyond `ENOUGH`.
    """

    copies: int
    odd: int
    answers: int
    listed: int
    domains: int
    senders: int
    everyone: int


def rank(of: Tally, parted: Sorted, total: int) -> Rank:
    """Rank a handle by its counts. `total`: number of all copies."""
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
