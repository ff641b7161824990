"""The time, as all of Mailhold counts it."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Unix milliseconds UTC."""
    return time.time_ns() // 1_000_000
