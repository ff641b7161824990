"""Wait for gateways to send deliveries, for commands that report whether a release was sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from store.database.clock import decides_ms
from store.database.connection import run
from store.enrolment.enrolled import is_alive
from store.mail.outcome import State
from store.sealing.keys import LOCAL_ID

if TYPE_CHECKING:
    from store.vault.vault import Vault

_NOT_TRIED = (
    "SELECT DISTINCT gateway_id FROM delivery WHERE finished_at IS NULL AND gateway_id <> ? "
    "AND (attempts = 0 AND next_attempt_at <= ? OR state = ?) ORDER BY gateway_id"
)


def wait_for_gateways(vault: Vault, seconds: float = 120.0) -> str:
    """Wait until the running gateways have made a first attempt at all deliveries that are due. Blocking.

    Does not wait for held deliveries. Returns why a delivery was not attempted, "" if all were.
    """
    until = time.monotonic() + seconds
    while True:
        with vault.reading():
            rows = run(vault.db, _NOT_TRIED, LOCAL_ID, decides_ms(vault.db), State.SENDING.value).fetchall()
        waiting = [gateway_id for (gateway_id,) in rows]
        gone = next((gateway_id for gateway_id in waiting if not is_alive(vault, gateway_id)), None)
        if gone is not None:
            return (
                f"Gateway {gone}, which should send it, is not running. Start it, or send from here with `mailhold "
                "queue retry ID` and `mailhold queue send`."
            )
        if not waiting:
            return ""
        if time.monotonic() > until:
            return f"Gateway {waiting[0]} has not sent it yet: `mailhold queue` shows when it has."
        time.sleep(0.2)
