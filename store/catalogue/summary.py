"""The results of `store.catalogue.summaries`: totals for a set of copies, and senders outside campaigns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from store.terms.verdicts import Engine, Status

#: (engine, status) of the verdict that caused the copies, and their number; most frequent first.
VerdictCounts = tuple[tuple[Engine | None, Status | None, int], ...]


class Summary(NamedTuple):
    """The totals for a set of copies.

    `recipients`: distinct addresses in To and the envelope; `senders`: distinct first addresses in From; `first` and
    `last`: when the oldest and the newest copy was placed (Unix ms, 0 without copies); `last_hour`: copies placed
    within the last hour. `odd`: odd copies of the campaign, which count in no other field.
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
    """Copies of one sender that no campaign act applies to; `odd` of them are odd in a campaign with acts.

    `address` is the first address in From, folded (the whole field if it has none). `newest` is the id of the newest
    copy, `last` the time it was placed (Unix ms), `subject` its subject. `address` and `subject` are NOT safe for a
    terminal.
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
    """The senders of copies that no campaign act applies to, ordered by number of copies, then by newest copy.

    Such a copy is in no campaign, odd in one, or in one with no acts offered (`Rank`). `count`: senders; `copies`:
    their copies; `odd`: those that are odd in a campaign with acts. Immutable, thread-safe.
    """

    count: int
    copies: int
    odd: int

    @abstractmethod
    def rows(self, start: int, stop: int) -> list[Sender]:
        """Return the senders at positions `start` to `stop` (exclusive); fewer at the end."""

    @abstractmethod
    def ids(self, position: int) -> list[int]:
        """Return the copy ids of the sender at a position, ascending. Raises IndexError."""


class NoSenders(SendersLeft):
    """The result for a catalogue without rows."""

    count = copies = odd = 0

    def rows(self, start: int, stop: int) -> list[Sender]:
        return []

    def ids(self, position: int) -> list[int]:
        """As `SendersLeft.ids`. Raises IndexError."""
        raise IndexError(position)
