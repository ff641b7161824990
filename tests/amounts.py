"""How often what chance finds is tried: enough for each `make test`, and more where somebody has the time.

`MAILHOLD_THOROUGH=1 make test` does all of it.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("MAILHOLD_THOROUGH", "0") not in ("", "0")


def amount(usual: int, thorough: int) -> int:
    """How many examples, copies or turns: `usual`, or `thorough` where the environment asks for it."""
    return thorough if THOROUGH else usual
