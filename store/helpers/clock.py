"""The current time in Unix milliseconds."""

from __future__ import annotations

import time

#: A day in milliseconds.
DAY_MS = 24 * 3600 * 1000
#: How far the clocks of programs on one store may differ (ms). A time that is off by more is impossible: it is treated
#: and reported as unknown, and not acted on.
TOLERANCE_MS = 5 * 60_000


def now_ms() -> int:
    """Return the time as Unix milliseconds UTC."""
    return time.time_ns() // 1_000_000
