"""What a worker knows of the relay, of the settings, and of itself."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from store.authority.settings import ignored_names
from store.database.clock import DecidingClock
from store.delivery.access import Access, StoreAccess
from store.delivery.leases import LEASE
from store.delivery.spent import spent_of
from store.mail.client import Session, SessionLost, Timeouts
from store.mail.relay import Relay, parse_relay
from store.terms.errors import MailholdError, NoRelay

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from store.vault.vault import Vault

#: Seconds: between checks of the queue, and first and longest pause after the relay could not be reached.
POLL, PAUSE, LONGEST_PAUSE = 0.5, 5.0, 60.0


class Relaying:
    """A worker's settings, and whether the relay can be used. The arguments are those of `DeliveryWorker`."""

    def __init__(
        self,
        vault: Vault,
        *,
        owner: str,
        connections: int = 4,
        access: Access | None = None,
        spent: Path | None = None,
        lease: int = LEASE,
        poll: float = POLL,
        timeouts: Timeouts | None = None,
        lease_owner: str = "",
        say: Callable[..., None] = lambda *_args, **_fields: None,
    ) -> None:
        self.vault = vault
        self.say = say
        self.access: Access = access or StoreAccess(vault)
        self.owner = owner
        self.clock = DecidingClock(vault.db)
        self.spent = spent_of(vault, spent)
        self.lease_owner = lease_owner or secrets.token_hex(8)
        self.connections = connections
        self.lease = lease
        self.poll = poll
        self._timeouts = timeouts or Timeouts()
        self._relay_text = ""
        self.relay: Relay | None = None
        self._context: ssl.SSLContext | None = None
        self.host_name = ""
        self._pause = PAUSE
        self._paused_until = 0.0
        self.problem = ""
        self.resent_from = ""
        #: Passed to `pack`.
        self.ignored: frozenset[bytes] | None = None

    @property
    def paused(self) -> bool:
        """True during the pause after the relay could not be reached."""
        return time.monotonic() < self._paused_until

    def lost(self, reason: str) -> None:
        """Note that the relay cannot be reached, and pause before the next try, twice as long each time."""
        self.problem = f"The relay cannot be used: {reason}"
        if not self.paused:
            self._paused_until = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def reached(self) -> None:
        """Note that the relay answered."""
        self.problem = ""
        self._pause, self._paused_until = PAUSE, 0.0

    def read_relay(self) -> bool:
        """Read the relay from the settings. False, with `problem` set, if there is none. Blocking."""
        try:
            settings = self.access.settings()
            self.resent_from = settings.administrator or f"mailhold@{self.host_name}"
            self.ignored = ignored_names(settings) if settings.release_loops else None
            text = settings.relay
            if not text:
                raise NoRelay("No relay is set, so queued deliveries wait. Set the relay in Settings.")
            if text != self._relay_text:
                relay = parse_relay(text)
                self._context, self.relay, self._relay_text = relay.tls_context(), relay, text
                self.reached()
        except MailholdError as error:
            self.relay, self._relay_text = None, ""
            self.problem = str(error)
            return False
        if not self.paused and not self.problem.startswith("The relay cannot"):
            self.problem = ""
        return True

    def session(self, *, anew: bool = False) -> Session:
        """Return a session that is not open yet; with `anew` even during a pause. Raises SessionLost."""
        if self.relay is None or (self.paused and not anew):
            raise SessionLost(self.problem)
        return Session(self.relay, self._context, self.host_name, self._timeouts)
