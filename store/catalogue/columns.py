"""Column tables that only some filters need: read in the background on demand, dropped after some time without use.

Importing this module imports no Polars.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.catalogue.column_fields import CAMPAIGN_FIELDS, FIELDS, Source, sources_of
from store.catalogue.memory import give_back_memory
from store.terms.errors import MailholdError, StoreError

if TYPE_CHECKING:
    from store.campaigns.standing import Standing
    from store.catalogue.column_reader import ColumnReader
    from store.catalogue.extras import Places, TableExtras
    from store.catalogue.follow import State
    from store.catalogue.frame import Frame
    from store.terms.records import Copy
    from store.vault.vault import Vault


#: Seconds without use after which a table is dropped.
IDLE_SECONDS = 300.0
_TICK_SECONDS, _FOLLOW_SECONDS, _RETRY_SECONDS = 30.0, 1.0, 5.0
_JOIN_SECONDS = 2.0

Progress = Callable[[int, int], None]


class Reading(NamedTuple):
    """A reading in progress: the name of the data, and the copies done and in total."""

    what: str
    done: int
    total: int

    @property
    def share(self) -> str:
        """The share that was read, for example ``40 %``."""
        return f"{100 * self.done // max(1, self.total)} %"


class Use:
    """A handle: while it exists, the tables that it was made for are kept."""


class Columns:
    """The column tables of one catalogue. Thread-safe; only `wait` blocks."""

    def __init__(self, vault: Vault, state: Callable[[], State | None]) -> None:
        """Make the tables of a vault. `state` returns the catalogue's current state, None before loading."""
        self._vault = vault
        self._state = state
        self._lock = threading.Condition()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._readers: dict[Source, ColumnReader] = {}
        self._uses: dict[Source, weakref.WeakSet[Use]] = {source: weakref.WeakSet() for source in Source}
        self._used_at: dict[Source, float] = {}
        self._asked: dict[Source, str] = {}
        self._problem: Exception | None = None
        #: A counter that changes when something was read, so that a query may now have another result.
        self.changes = 0
        #: A weak reference: kept while a selection holds the Places.
        self._places: weakref.ref[Places] | None = None
        #: How many rounds of reading began and ended, and whether the next one is thorough.
        self._begun = self._ended = 0
        self._thorough = False

    def use(self, fields: Collection[str]) -> Use | None:
        """Start reading the tables for these fields, and keep them while the result exists. None if none are needed."""
        sources = sources_of(fields)
        if not sources:
            return None
        use = Use()
        with self._lock:
            for field in fields:
                if field in FIELDS:
                    self._asked[FIELDS[field][0]] = FIELDS[field][1]
            for source in sources:
                self._uses[source].add(use)
                self._used_at[source] = time.monotonic()
                if source not in self._readers and not self._stopping:
                    self._begin(source)
        return use

    def _begin(self, source: Source) -> None:
        from store.catalogue.column_reader import ColumnReader

        self._readers[source] = ColumnReader(self._vault, source)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="columns", daemon=True)
            self._thread.start()
        self._wake.set()

    def extras(self, frame: Frame, fields: Collection[str], standing: Standing | None = None) -> TableExtras:
        """Return an object that answers these fields for a frame's copies, from what is read so far."""
        from store.catalogue.extras import Places, TableExtras

        with self._lock:
            readers = {source: self._readers.get(source) for source in sources_of(fields)}
            places = self._places() if self._places is not None else None
        if standing is None or CAMPAIGN_FIELDS.isdisjoint(fields):
            places = None
        elif places is None or places.standing is not standing:
            places = Places(standing)
            self._places = weakref.ref(places)
        seen = {source: reader.seen(frame) if reader else None for source, reader in readers.items()}
        return TableExtras(seen, places)

    @property
    def reading(self) -> Reading | None:
        """The reading in progress; None if everything asked for is read."""
        state = self._state()
        with self._lock:
            for source, reader in self._readers.items():
                if not reader.complete:
                    return Reading(self._asked[source], *reader.progress(len(state.frame) if state else 0))
        return None

    @property
    def problem(self) -> str | None:
        """Why reading failed, for the user to read; it is tried again. None if it did not fail."""
        return None if self._problem is None else str(self._failure())

    def _failure(self) -> MailholdError:
        if isinstance(self._problem, MailholdError):
            return self._problem
        return StoreError(f"The data for this filter cannot be read ({self._problem}). Free some memory and try again.")

    def wait(self, fields: Collection[str], *, timeout: float | None = None, progress: Progress | None = None) -> bool:
        """Wait until the tables for these fields are read, for at most `timeout` seconds. Returns whether they are.

        Raises the error that stopped reading.
        """
        use = self.use(fields)
        if use is None:
            return True
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._thorough, look = True, self._begun + 1
            self._wake.set()
            while not self._stopping:
                state = self._state()
                if self._ended >= look:
                    if self._problem is not None:
                        raise self._failure()
                    if state is not None and state.complete and self.extras(state.frame, fields).complete:
                        return True
                if progress is not None and (reading := self.reading) is not None:
                    progress(reading.done, reading.total)
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    break
                self._lock.wait(left)
        return False

    def take(self, copies: Sequence[Copy]) -> None:
        """Add copies before they enter the frame, so that their fields are never missing."""
        with self._lock:
            readers = [reader for source, reader in self._readers.items() if source.is_record]
        for reader in readers if copies else ():
            reader.take(copies)

    def look(self) -> None:
        """Wake the background thread: the frame changed or is complete now."""
        if self._readers:
            self._wake.set()

    def _run(self) -> None:
        try:
            while (wait := self._work()) is not None:
                give_back_memory()
                self._wake.wait(wait)
                self._wake.clear()
        finally:
            give_back_memory()
            if not self._vault.db.is_closed():
                self._vault.db.close()

    def _work(self) -> float | None:
        """Read missing rows and drop idle tables. Returns the seconds until the next round, None to end the thread."""
        with self._lock:
            self._begun += 1
            thorough, self._thorough = self._thorough, False
        state = self._state()
        self._problem = None
        for reader in list(self._readers.values()):
            try:
                if state is not None and state.complete:
                    self.changes += reader.catch_up(state.frame, self._said, thorough=thorough)
            except Exception as error:  # An uncaught exception would print a traceback over the screen.
                self._problem = error
        with self._lock:
            self._ended = self._begun
            self._drop_idle()
            self._lock.notify_all()
            if self._stopping or not self._readers:
                self._thread = None
                return None
            if self._problem is not None:
                return _RETRY_SECONDS
            return _FOLLOW_SECONDS if Source.BODY in self._readers else _TICK_SECONDS

    def _said(self) -> bool:
        """Wake the threads in `wait`. Returns False if reading should stop."""
        with self._lock:
            self._lock.notify_all()
            return not self._stopping

    def _drop_idle(self) -> None:
        now = time.monotonic()
        for source in list(self._readers):
            if len(self._uses[source]):
                self._used_at[source] = now
            elif now - self._used_at[source] >= IDLE_SECONDS:
                del self._readers[source]

    def close(self) -> None:
        """Stop reading and drop all tables."""
        with self._lock:
            self._stopping = True
            thread = self._thread
            for reader in self._readers.values():
                reader.stop()
            self._lock.notify_all()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_JOIN_SECONDS)
        with self._lock:
            self._readers.clear()
