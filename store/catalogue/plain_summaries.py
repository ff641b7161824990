"""Totals of campaigns without Polars, record by record.

Up to some ten thousand copies this is as fast as loading Polars.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from store.campaigns.standing import Standing
from store.catalogue.summary import Summary
from store.filters.folding import fold
from store.filters.model import Period, recipients_text
from store.terms.records import Copy
from store.terms.sender import sender_of
from store.terms.verdicts import Engine, Status

_HOUR = Period.HOUR.milliseconds or 0
_QUOTED = re.compile(r'"[^"\n]*"')
_RECIPIENT = re.compile(r'[^\s\x00-\x1f\x7f-\x9f"(),;:<>\\@]+@[^\s\x00-\x1f\x7f-\x9f"(),;:<>\\@]+')
_ENGINES: list[Engine | None] = [*Engine, None]
_STATUSES: list[Status | None] = [*Status, None]


class Left(NamedTuple):
    """The number of copies that no campaign act applies to, and the number of their senders."""

    copies: int
    senders: int


class Counting:
    """Adds up copies one by one."""

    def __init__(self, now: int) -> None:
        """`now`: Unix ms."""
        self._since = now - _HOUR
        self._verdicts: Counter[tuple[Engine | None, Status | None]] = Counter()
        self._recipients: set[str] = set()
        self._senders: set[str] = set()
        self._copies = self._first = self._last = self._recent = 0
        self.odd = 0

    def add(self, copy: Copy) -> None:
        """Count a copy."""
        record, at = copy.record, copy.stored_at
        self._first = min(self._first, at) if self._copies else at
        self._last = max(self._last, at) if self._copies else at
        self._copies += 1
        self._recent += at >= self._since
        self._verdicts[(record.reason.engine, record.reason.status) if record.reason else (None, None)] += 1
        self._senders.add(sender_of(fold(record.from_)))
        self._recipients.update(_RECIPIENT.findall(_QUOTED.sub(" ", fold(recipients_text(record)))))

    def summary(self) -> Summary:
        """Return the totals so far."""
        order = sorted(
            self._verdicts.items(),
            key=lambda each: (-each[1], _ENGINES.index(each[0][0]), _STATUSES.index(each[0][1])),
        )
        return Summary(
            copies=self._copies,
            recipients=len(self._recipients),
            senders=len(self._senders),
            verdicts=tuple((engine, status, count) for (engine, status), count in order),
            first=self._first,
            last=self._last,
            last_hour=self._recent,
            odd=self.odd,
        )


def counted(copies: Iterable[Copy], now: int) -> Summary:
    """Return the totals of these copies at `now` (Unix ms)."""
    counting = Counting(now)
    for copy in copies:
        counting.add(copy)
    return counting.summary()


def counted_campaigns(copies: Iterable[Copy], standing: Standing, now: int) -> tuple[dict[int, Summary], Left]:
    """Return the totals of each campaign, by id, and the number of copies left over.

    `copies` are all copies of Backup.
    """
    found = {one.id: Counting(now) for one in standing.campaigns}
    left, senders = 0, set()
    for copy in copies:
        place = standing.place(copy.id)
        if place is not None and place.reasons:
            found[place.campaign].odd += 1
        elif place is not None:
            found[place.campaign].add(copy)
            campaign = standing.campaign(place.campaign)
            if campaign is not None and campaign.rank.offered:
                continue
        left += 1
        senders.add(sender_of(fold(copy.record.from_)))
    return {number: counting.summary() for number, counting in found.items()}, Left(left, len(senders))
