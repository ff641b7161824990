"""Arrival times of the demo's messages: three months of working days, nights and weekends, with bursts of campaigns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random

DAY, HOUR = 86_400_000, 3_600_000
#: Days from the oldest message to now.
DAYS = 91

#: Share of each hour (UTC) on weekdays and weekends. Spam arrives all day, but mostly in office hours.
_WORKDAY = (3, 3, 3, 3, 4, 6, 10, 16, 22, 24, 22, 19, 17, 20, 22, 20, 16, 12, 9, 7, 6, 5, 4, 4)
_WEEKEND = (4, 3, 3, 3, 3, 3, 4, 5, 6, 7, 7, 7, 7, 7, 6, 6, 6, 6, 5, 5, 5, 4, 4, 4)


class Rhythm:
    """Draws times (Unix ms) from the last three months before `now`."""

    def __init__(self, now: int, rng: Random) -> None:
        self._now = now
        self._rng = rng
        midnight = datetime.fromtimestamp(now / 1000, UTC).replace(minute=0, second=0, microsecond=0)
        self._hours = [int((midnight - timedelta(hours=back)).timestamp() * 1000) for back in range(24 * DAYS)]
        moods = [rng.uniform(0.6, 1.5) for _ in range(DAYS + 1)]
        weights = []
        for back, start in enumerate(self._hours):
            hour = datetime.fromtimestamp(start / 1000, UTC)
            shares: Sequence[int] = _WEEKEND if hour.weekday() >= 5 else _WORKDAY
            # Each week has a little more mail than the one before, so that Monitoring can forecast; today has the most.
            growth = 1.5 - 0.5 * back / len(self._hours)
            weights.append(shares[hour.hour] * moods[back // 24] * growth * (4 if back < 30 else 1))
        self._weights = list(accumulate(weights))

    def moments(self, count: int) -> list[int]:
        """Draw `count` times, unsorted."""
        starts = self._rng.choices(self._hours, cum_weights=self._weights, k=count)
        return [min(self._now, start + self._rng.randrange(HOUR)) for start in starts]

    def lately(self, count: int) -> list[int]:
        """Draw `count` times within the last hour."""
        return [self._now - self._rng.randrange(20_000, HOUR - 60_000) for _ in range(count)]

    def burst(self, count: int, hours: float) -> list[int]:
        """Draw the times of a campaign: dense at first, thinning out over about `hours` hours."""
        start = self.moments(1)[0]
        return [min(self._now, start + int(self._rng.expovariate(2 / (hours * HOUR)))) for _ in range(count)]

    def conversation(self, count: int) -> list[int]:
        """Draw the times of a thread, ascending and before now: each answer after minutes, hours or days."""
        gaps = [
            int(self._rng.choice((20 * 60_000, 3 * HOUR, 20 * HOUR)) * self._rng.uniform(0.4, 1.6))
            for _ in range(count)
        ]
        last = min(self.moments(1)[0], self._now - 60_000)
        times = [last - sum(gaps[at + 1 :]) for at in range(count)]
        oldest = self._hours[-1]
        return [max(oldest + at, moment) for at, moment in enumerate(times)]
