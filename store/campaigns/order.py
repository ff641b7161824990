"""In which order handles are acted on, and which of them acts are offered for at all."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from store.campaigns.material import Flags, Material

_ANSWERS, _LISTED = 0.4, 0.5
#: So many copies a handle needs for an act: a hundredth of all, from ten to fifty. Good mail comes in small heaps.
_PART, _LEAST, _MOST = 100, 10, 50
_FEW = 25


class Rank(IntEnum):
    """When a handle's turn is. Acts are offered for PLAIN and CAREFUL ones; what is in others is listed by sender.

    CAREFUL: many answers, or list mail of several domains. LISTED: list mail of one domain. SMALL: few copies. SENDER:
    few copies of one sender.
    """

    PLAIN = 0
    CAREFUL = 1
    LISTED = 2
    SMALL = 3
    SENDER = 4

    @property
    def offered(self) -> bool:
        """True where an act is offered."""
        return self <= Rank.CAREFUL


def rank(material: Material, rows: Sequence[int], odd: Sequence[int]) -> Rank:
    """The rank of a handle with these copies that fit and these odd ones, by row."""
    size = len(rows)
    if size + len(odd) < _FEW and len({material.senders[row] for row in (*rows, *odd)}) == 1:
        return Rank.SENDER
    answers = sum(bool(material.flags[row] & (Flags.REPLY | Flags.CLAIMS)) for row in (*rows, *odd))
    answering = answers >= _ANSWERS * (size + len(odd))
    if (size + len(odd) if answering else size) < min(max(len(material.copies) // _PART, _LEAST), _MOST):
        return Rank.SMALL
    if sum(bool(material.flags[row] & Flags.LISTED) for row in rows) > _LISTED * size:
        return Rank.LISTED if len({material.domains[row] for row in rows}) == 1 else Rank.CAREFUL
    return Rank.CAREFUL if answering else Rank.PLAIN
