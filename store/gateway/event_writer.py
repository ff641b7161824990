"""Write a gateway's events into the audit trail, as soon as the store accepts them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from store.authority.audit import record_event
from store.helpers.clock import now_ms

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Max events waiting for the store, the newest: an engine that fails repeatedly must not fill the memory.
MOST_WAITING = 200


class _Waiting(NamedTuple):
    at: int
    action: str
    detail: str


class EventWriter:
    """Writes events to `vault()`, the open store or None. Only `flush` blocks."""

    def __init__(self, vault: Callable[[], Vault | None]) -> None:
        self._vault = vault
        self._waiting: deque[_Waiting] = deque(maxlen=MOST_WAITING)

    def add(self, action: str, detail: str) -> None:
        """Add an event with the present time.

        `action` is a verb phrase ("engine down"); `flush` prefixes the gateway's name.
        """
        self._waiting.append(_Waiting(now_ms(), action, detail))

    def flush(self) -> None:
        """Write the waiting events, in order. Events that the store does not accept stay waiting."""
        vault = self._vault()
        if vault is None:
            return
        name = vault.keys.gateway.name if vault.keys.gateway else ""
        while self._waiting:
            at, action, detail = self._waiting[0]
            record_event(vault, action, operator="", detail=f"{name}: {detail}", at=at)
            self._waiting.popleft()
