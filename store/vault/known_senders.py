"""Look up many senders' counters, each once; senders without counters need no query."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

from store.helpers.clock import DAY_MS, now_ms
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER, Count
from store.terms.errors import TamperedError, UnlockError
from store.terms.findings import KnownSender
from store.vault.known import Known
from store.vault.reader import Reader

#: Maximum number of cached senders.
_REMEMBERED = 100_000
#: Subtracted before rounding up, so that a floating-point error does not count as a message.
_SLACK = 1e-6


class KnownSenders:
    """The counters as they were when this was made or last renewed. For one thread at a time.

    With keys that cannot read the counters, all are zero. Every method may raise StoreUnavailable.
    """

    def __init__(self, vault: Reader) -> None:
        self._known = Known(vault)
        self._begins = array("Q")
        self._day = 0
        self._senders: dict[str, KnownSender] = {}
        self.renew()

    def renew(self) -> None:
        """Clear the cache and list the existing counters anew: 1 ms per thousand."""
        self._senders.clear()
        self._day = now_ms() // DAY_MS
        try:
            self._begins = self._known.begins()
        except (TamperedError, UnlockError):
            self._begins = array("Q")

    @property
    def some(self) -> bool:
        """Whether any counter exists."""
        return bool(self._begins)

    def of(self, address: str) -> KnownSender:
        """Return what is known of a sender, by the key of the address (`store.mail.addresses.mailbox`)."""
        if address not in self._senders:
            if len(self._senders) >= _REMEMBERED:
                self._senders.clear()
            self._senders[address] = known_sender(
                self.count(SENDER, address),
                self.count(DOMAIN, address.rpartition("@")[2]),
                self.count(RECIPIENT, address),
            )
        return self._senders[address]

    def count(self, kind: str, name: str) -> Count:
        """Return a counter's value, zero if it does not exist."""
        try:
            if self.likely(kind, (name,)):
                return self._known.counts([(kind, name)], self._day)[0]
        except (TamperedError, UnlockError):
            pass
        return Count(self._day)

    def likely(self, kind: str, names: Iterable[str]) -> list[str]:
        """Return those names that probably have a counter (see `Known.likely`): 2 µs a name."""
        return self._known.likely(self._begins, kind, names)


def known_sender(address: Count, domain: Count, written: Count) -> KnownSender:
    """Combine the counts of an address, its domain, and of mail to it, in whole messages."""
    return KnownSender(
        whole(address.authenticated),
        whole(address.other),
        whole(domain.authenticated),
        whole(domain.other),
        whole(written.authenticated + written.other),
    )


def whole(count: float) -> int:
    """Return a count in whole messages, rounded up."""
    return math.ceil(count - _SLACK)
