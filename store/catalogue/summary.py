"""What sets of copies come to, and whose copies no act takes: what `store.catalogue.summaries` answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from store.terms.verdicts import Engine, Status

#: (engine, status) of the verdict that caused the copies, and how many they are; the most first.
VerdictCounts = tuple[tuple[Engine | None, Status | None, int], ...]


class Summary(NamedTuple):
    """What a set of copies comes to.

    `recipients`: distinct addresses in To and the envelope; `senders`: distinct ones in From (the first of each);
    `first` and `last`: when the oldest and the newest were placed (Unix ms, 0 without copies); `last_hour`: how many
    were placed within it. `odd`: the odd copies of a campaign that are there, which nothing else here counts.
    """

    copies: int = 0
    recipients: int = 0
    senders: int = 0
    verdicts: VerdictCounts = ()
    first: int = 0
    last: int = 0
    last_hour: int = 0
    odd: int = 0


class Sender(NamedTuple):
    """Copies of one sender that fit no campaign with an act; `odd` of them are shown in such a one as odd.

    `address` is the first in From, folded (the whole field where it has none), and NOT safe, no more than `subject`,
    that of the copy `newest`, which was placed at `last` (Unix ms).
    """

    address: str
    copies: int
    odd: int
    recipients: int
    verdicts: VerdictCounts
    newest: int
    last: int
    subject: str


class SendersLeft(ABC):
    """The senders of copies that no act on a campaign takes: the one with the most first, then that with the newest.

    The copies are in no campaign, odd in one, or in one that no act is offered for (`Rank`). `count` senders with
    `copies` in all, `odd` of which are odd in a campaign with an act. Immutable, for any thread.
    """

    count: int
    copies: int
    odd: int

    @abstractmethod
    def rows(self, start: int, stop: int) -> list[Sender]:
        """Return the senders at positions start to stop (not included), fewer at the end."""

    @abstractmethod
    def ids(self, position: int) -> list[int]:
        """Return the copies of the sender at a position, ascending. Raises IndexError."""


class NoSenders(SendersLeft):
    """Of a catalogue that has no rows yet."""

    count = copies = odd = 0

    def rows(self, start: int, stop: int) -> list[Sender]:
        return []

    def ids(self, position: int) -> list[int]:
        """As `SendersLeft.ids`. Raises IndexError."""
        raise IndexError(position)
