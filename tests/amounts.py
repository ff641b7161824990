"""How many random examples the tests try: enough for each `make test`, and more on request.

`MAILHOLD_THOROUGH=1 make test` tries the larger number.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("MAILHOLD_THOROUGH", "0") not in ("", "0")


def amount(usual: int, thorough: int) -> int:
    """Return a number of examples, copies or rounds: `usual`, or `thorough` if MAILHOLD_THOROUGH is set."""
    return thorough if THOROUGH else usual
