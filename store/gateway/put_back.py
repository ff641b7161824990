"""Tell the log and the operators that the store is older than what the gateway saw, and that it is in use again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from store.terms.gateway_events import STORE_IN_USE, STORE_OLDER

if TYPE_CHECKING:
    from store.vault.vault import Vault


class PutBack:
    """What was told of one open store. `say` writes to the log, `event` adds an event for the operators."""

    def __init__(self, vault: Vault, say: Callable[..., None], event: Callable[[str, str], None]) -> None:
        self._vault = vault
        self._say = say
        self._event = event
        self._told = False

    def look(self) -> None:
        """Tell what changed since the last look."""
        why = self._vault.witness.problem
        if bool(why) == self._told:
            return
        self._told = bool(why)
        if why:
            self._say("the store is older than what was seen of it", level=logging.ERROR, why=why)
            self._event(STORE_OLDER, why)
        else:
            self._say("the store is accepted")
            self._event(STORE_IN_USE, "an operator accepted it, so releases are sent again")
