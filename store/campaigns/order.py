"""In which order handles are acted on, and which of them acts are offered for at all."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from store.campaigns.material import Flags, Material
from store.campaigns.oddness import ALIKE, Sorted

_ANSWERS, _LISTED = 0.4, 0.5
#: So many copies a handle needs for an act: a hundredth of all, from ten to fifty. Good mail comes in small heaps.
_PART, _LEAST, _MOST = 100, 10, 50
_FEW = 25
#: One letter from so many senders needs so many times fewer.
_SENDERS, _LESS = 4, 2


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


def rank(material: Material, rows: Sequence[int], odd: Sequence[int], parted: Sorted) -> Rank:
    """The rank of a handle with these copies that fit and these odd ones, by row."""
    size = len(rows)
    enough = min(max(len(material.copies) // _PART, _LEAST), _MOST)
    if parted.limits.threads:
        return Rank.SMALL if size < enough else Rank.THREADS
    if size + len(odd) < _FEW and len({material.senders[row] for row in (*rows, *odd)}) == 1:
        return Rank.SENDER
    answers = sum(bool(material.flags[row] & (Flags.REPLY | Flags.CLAIMS)) for row in (*rows, *odd))
    answering = answers >= _ANSWERS * (size + len(odd))
    if parted.alike >= ALIKE and len({material.senders[row] for row in rows}) >= _SENDERS:
        enough = max(enough // _LESS, _LEAST)
    if size < enough:
        return Rank.SMALL
    one_domain = len({material.domains[row] for row in rows}) == 1
    if sum(bool(material.flags[row] & Flags.LISTED) for row in rows) > _LISTED * size:
        return Rank.LISTED if one_domain else Rank.CAREFUL
    if one_domain and parted.silent:
        return Rank.LISTED
    return Rank.CAREFUL if answering else Rank.PLAIN
