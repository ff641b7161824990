"""A gateway's counters of known senders: counted in memory as mail passes, and written every ten seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from store.gateway.log import say
from store.gateway.policy import LivePolicy
from store.helpers.clock import DAY_MS, now_ms
from store.judging.engines.engine import EngineResult
from store.judging.known_senders import Told, added_by, asked_for, known_sender, told_of
from store.mail.incoming import Incoming
from store.mail.local_domains import LocalDomains
from store.sealing.counting import Count
from store.terms.errors import MailholdError, StoreUnavailable
from store.terms.findings import KnownSender
from store.vault import known as rows
from store.vault.known import Key, Known

if TYPE_CHECKING:
    from store.authority.settings import Settings
    from store.vault.vault import Vault

#: Seconds between writes, and writes between removals of old counters.
FLUSH_SECONDS, TIDY = 10.0, 60
#: Max counters waiting in memory, and max look-ups remembered until the next write.
MOST_WAITING = 100_000
MOST_REMEMBERED = 10_000


class Knowing:
    """Counts senders for a gateway. `vault()` is the open store, or None. Thread-safe.

    `server` is the server whose Authentication-Results fields are believed, "" for none.
    """

    def __init__(self, vault: Callable[[], Vault | None], live: LivePolicy, server: str = "") -> None:
        self._vault = vault
        self._server = server
        self._live = live
        self._lock = threading.Lock()
        self._waiting: dict[Key, list[int]] = {}
        #: The counters being written: the store may not have them yet.
        self._writing: dict[Key, list[int]] = {}
        self._stored: dict[Key, Count] = {}
        self._rows: Known | None = None
        self._of: Vault | None = None
        self._local: tuple[tuple[str, ...], LocalDomains] = ((), LocalDomains(()))
        self._untidied: int | None = None
        self._writes = 0
        self._flushing = threading.Lock()
        self._problem = ""

    def told(self, incoming: Incoming, results: Mapping[str, EngineResult]) -> Told:
        """Determine the sender of a message and whether it is authenticated. Never raises."""
        return told_of(incoming, results, self._local_domains(), self._server)

    def let_through(self, incoming: Incoming, results: Mapping[str, EngineResult]) -> None:
        """Count a message that goes on to its recipients. Fast, and never raises."""
        local = self._local_domains()
        told = told_of(incoming, results, local, self._server)
        with self._lock:
            for key, authenticated in added_by(incoming, told, local):
                waiting = self._waiting.get(key)
                if waiting is None:
                    if len(self._waiting) >= MOST_WAITING:
                        continue
                    waiting = self._waiting[key] = [0, 0]
                waiting[not authenticated] += 1

    def of(self, told: Told) -> KnownSender | None:
        """Look up what is known of a sender; None if the store does not answer. Blocking. Never raises."""
        if not told.sender.address:
            return None
        wanted = asked_for(told.sender)
        try:
            counts = self._counts(wanted)
        except MailholdError as error:
            self._say(str(error))
            return None
        return known_sender(counts)

    def flush(self, vault: Vault | None = None) -> None:
        """Write the waiting counters, to `vault` if given (before closing it). Blocking.

        Raises StoreUnavailable, TamperedError and UnlockError; counters not written stay waiting.
        """
        with self._flushing:
            known = self._known() if vault is None else Known(vault)
            if known is None:
                return
            with self._lock:
                self._writing, self._waiting = self._waiting, {}
            self._write(known)

    def _write(self, known: Known) -> None:
        day, writing = _today(), self._writing
        keys = list(writing)
        try:
            known.refresh()  # Also with nothing to write: look-ups need the newest counter key.
            while keys:
                group = keys[: rows.GROUP]
                known.add({key: (writing[key][0], writing[key][1]) for key in group}, day)
                del keys[: rows.GROUP]
        finally:
            with self._lock:
                for key in keys:  # Merge the unwritten counters with those that came in between.
                    waiting = self._waiting.setdefault(key, [0, 0])
                    waiting[0] += writing[key][0]
                    waiting[1] += writing[key][1]
                self._writing, self._stored = {}, {}
        self._writes += 1
        self._untidied = None if self._untidied is None else self._untidied + len(writing)
        if self._untidied is None or self._untidied >= rows.MOST // 100 or self._writes % TIDY == 0:
            known.tidy(day)
            self._untidied = 0

    def _counts(self, wanted: tuple[Key, ...]) -> list[Count]:
        with self._lock:
            remembered = self._stored
            stored = [remembered[key] for key in wanted if key in remembered]
            # The lists change under the lock only, so their numbers are copied here.
            added = [
                (place, *counter)
                for counters in (self._waiting, self._writing)
                if counters
                for place, key in enumerate(wanted)
                if (counter := counters.get(key)) is not None
            ]
        if len(stored) < len(wanted):
            known = self._known()
            if known is None:
                raise StoreUnavailable("The store is not open.")
            stored = known.counts(wanted, _today())
            with self._lock:
                # A write replaces `_stored`; then this result may be outdated, and goes into the old dict.
                if len(remembered) < MOST_REMEMBERED:
                    remembered.update(zip(wanted, stored, strict=True))
        for place, authenticated, other in added:
            count = stored[place]
            stored[place] = Count(count.day, count.authenticated + authenticated, count.other + other)
        return stored

    def _known(self) -> Known | None:
        vault = self._vault()
        if vault is None:
            return None
        if vault is not self._of:
            self._of, self._rows = vault, Known(vault)
        return self._rows

    def _local_domains(self) -> LocalDomains:
        settings: Settings | None = self._live.policy.settings
        names = settings.local_domains if settings is not None else ()
        if names != self._local[0]:
            self._local = (names, LocalDomains(names))
        return self._local[1]

    def _say(self, why: str) -> None:
        if why != self._problem:
            self._problem = why
            say("known senders cannot be read", level=logging.WARNING, why=why)


def _today() -> int:
    return now_ms() // DAY_MS
