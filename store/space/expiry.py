"""Remove the copies whose time in the bin is over, an hour later: a wrong clock is mostly set right within that time.

After a boot a clock may be years ahead until the network corrects it. Without the wait, the bin would be empty by then.
"""

from __future__ import annotations

import time

from store.helpers.clock import now_ms
from store.space.bin import expire
from store.vault.vault import Vault

#: Seconds for which a copy's time must have been over, by a clock that nobody sets.
SETTLED = 3600.0


class Expiry:
    """Of one program, for as long as it runs. Call it from one thread at a time."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._over_since: float | None = None

    def look(self) -> int:
        """Remove what has been over long enough; returns how many copies. Raises StoreUnavailable."""
        end = self._vault.bin.next_end() if self._vault.bin.totals()[0] else None
        if end is None or end > now_ms():
            self._over_since = None
            return 0
        now = time.monotonic()
        if self._over_since is None:
            self._over_since = now
        if now - self._over_since < SETTLED:
            return 0
        self._over_since = None
        return expire(self._vault)
