"""Notice that Backup is available again although no message needs a copy: copies may be rare."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from store.database.connection import run
from store.terms.errors import StoreUnavailable

if TYPE_CHECKING:
    from store.intake.unavailable import Outage
    from store.vault.vault import Vault

#: Seconds between tries.
RECOVERY_SECONDS = 5.0
#: Size (bytes) of a copy for which there must be room.
_COPY_BYTES = 1024 * 1024
#: Twice, with 1 and -1, it changes nothing. SQLite writes nothing if a row is set to the value that it has.
_TOUCH = "UPDATE gateway SET alive_at = alive_at + ? WHERE id = ?"


class Recovery:
    """Tries whether an open store can be written to again. Make it in the event loop's thread."""

    def __init__(self, vault: Vault, outage: Outage) -> None:
        self._vault, self._outage = vault, outage
        self._loop = asyncio.get_running_loop()

    def look(self) -> None:
        """End the outage if no copy failed of late, there is room, and a write succeeds. Blocking, in a thread.

        Raises GatewayRevoked.
        """
        gateway = self._vault.keys.gateway
        if gateway is None or not self._outage.may_be_over():
            return
        with suppress(StoreUnavailable):
            self._vault.room.admit(_COPY_BYTES)
            with self._vault.write():
                for change in (1, -1):
                    run(self._vault.db, _TOUCH, change, gateway.gateway_id)
            self._loop.call_soon_threadsafe(self._outage.recovered)
