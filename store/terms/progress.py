"""The callbacks that long work takes: it reports its progress, and asks whether it was cancelled."""

from __future__ import annotations

from collections.abc import Callable

#: Called with the number of items done, and the total.
Progress = Callable[[int, int], None]
#: Asked between steps. If it returns True, the work ends early; what was done so far stays.
Cancelled = Callable[[], bool]
