"""The time, as all of Mailhold counts it."""

from __future__ import annotations

import time

#: The clocks of the programs that use one store may differ by so much (ms). A time further off than this cannot be: it
#: is taken for unknown, said to be so, and not acted on.
TOLERANCE_MS = 5 * 60_000


def now_ms() -> int:
    """Unix milliseconds UTC."""
    return time.time_ns() // 1_000_000
