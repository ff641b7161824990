"""The catalogue: the decrypted metadata of every copy in memory, for filtering, sorting and paging; kept up to date.

Importing this module does not import Polars: the background thread that `Catalogue.start` begins does. Until then
queries are answered from the newest copies, straight from the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from store.campaigns.standing import Standing
from store.catalogue.columns import Columns, Progress, Reading
from store.catalogue.keeping import SnapshotKeeper, snapshot_path
from store.catalogue.loader import Children, Loaded, LoaderError, Span, load, spans_of
from store.catalogue.memory import give_back_memory
from store.catalogue.newest import select_newest
from store.catalogue.selection import FrameSelection, Selection
from store.catalogue.sort import NEWEST, Sort, SortKey
from store.filters.model import MessageFilter
from store.terms.errors import MailholdError, StoreError
from store.terms.verdicts import Engine

if TYPE_CHECKING:
    import polars as pl

    from store.catalogue.extras import TableExtras
    from store.catalogue.follow import Follower
    from store.catalogue.frame import Frame
    from store.delivery.releases import Releases
    from store.mail.outcome import Delivered
    from store.vault.vault import Vault

__all__ = ["NEWEST", "Catalogue", "Selection", "Sort", "SortKey"]

#: Up to this many copies are read without child processes: a child takes as much memory as this many copies.
FEW_COPIES = 120_000
_RETRY_SECONDS = 5.0
_IDLE_SECONDS = 0.5
#: Upkeep waits until no query came for `_QUIET_ASKING` seconds, but at most `_PATIENCE_SECONDS`: both use every CPU.
_QUIET_ASKING, _PATIENCE_SECONDS = 1.0, 10.0
_JOIN_SECONDS = 2.0
_REST_SECONDS = 0.5
_TIGHTEN_CHANGES = 100_000


def _now() -> int:
    return time.time_ns() // 1_000_000


class Catalogue:
    """The catalogue of one vault. All methods are thread-safe, and `select` never waits for loading."""

    def __init__(self, vault: Vault, *, snapshot: Path | None = None, now: Callable[[], int] = _now) -> None:
        """Make a catalogue; `start` begins to load it.

        `snapshot` is the file to load from and save to, by default `snapshot_path`. `now` returns Unix ms, for filters
        by period.
        """
        self._vault = vault
        self._keeper = SnapshotKeeper(vault, snapshot or snapshot_path(vault))
        self._swapped = False
        self.now = now
        self._follower: Follower | None = None
        self._thread: threading.Thread | None = None
        self._children: Children[Frame] | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._settled = threading.Event()
        #: Called in the background thread once every copy is loaded, so that a poller can refresh at once.
        self.on_complete: Callable[[], None] = lambda: None
        #: Set by the console, which follows the deliveries already. Otherwise made for the first filter that needs it.
        self.releases: Releases | None = None
        #: The current campaigns. The caller that follows campaigns sets this.
        self.standing = Standing()
        self._columns = Columns(vault, lambda: self._follower.state if self._follower else None)
        self._problem: Exception | None = None
        #: When the latest query began (monotonic).
        self.asked_at = 0.0

    def start(self) -> None:
        """Start loading in the background. Returns at once."""
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)
                self._thread.start()

    @property
    def complete(self) -> bool:
        """Whether every copy is loaded, so that results are not partial."""
        return self._follower is not None and self._follower.state.complete

    @property
    def loaded(self) -> int:
        """The number of copies loaded so far."""
        return len(self._follower.state.frame) if self._follower else 0

    @property
    def total(self) -> int:
        """The number of copies in Backup."""
        state = self._follower.state if self._follower else None
        return state.total if state and state.total else self._vault.count().messages

    @property
    def damaged(self) -> frozenset[int]:
        """The ids of copies that do not verify and are therefore in no result (`mailhold check` says why)."""
        return self._follower.damaged if self._follower else frozenset()

    @property
    def reading(self) -> Reading | None:
        """The reading in progress for fields that are not columns of the frame; None if there is none."""
        return self._columns.reading

    @property
    def read_changes(self) -> int:
        """A counter that changes when such fields were read, so that a query may now have another result."""
        return self._columns.changes

    @property
    def problem(self) -> str | None:
        """Why loading failed, for the user to read; it is tried again. None if it did not fail."""
        if self._problem is None or self.complete:
            return self._columns.problem
        return str(self._failure())

    def wait_complete(self, timeout: float | None = None) -> bool:
        """Wait until every copy is loaded, for at most `timeout` seconds. Raises the error that stopped loading."""
        self._settled.wait(timeout)
        if self._problem is not None and not self.complete:
            raise self._failure()
        return self.complete

    def wait_for(self, flt: MessageFilter, progress: Progress | None = None) -> None:
        """Wait until everything that a filter needs is loaded, so that `select` gives the full result.

        `progress(done, total)` is called with numbers of copies while additional fields are read. Raises the error that
        stopped loading.
        """
        if self.wait_complete():
            self._columns.wait(flt.asks(), progress=progress)

    def _failure(self) -> MailholdError:
        if isinstance(self._problem, MailholdError):
            return self._problem
        return StoreError(f"The list of copies cannot be loaded ({self._problem}). Free some memory and try again.")

    def _run(self) -> None:
        try:
            self._work()
        finally:
            if not self._vault.db.is_closed():
                self._vault.db.close()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if not self.complete:
                    self._load()
                    self._problem = None
                    self._settled.set()
                    if self.complete:
                        self._columns.look()
                        self.on_complete()
                self._maintain()
            except Exception as error:  # An uncaught exception would print a traceback over the screen.
                if self._stopping.is_set():
                    return
                self._problem = error
                self._settled.set()
                self._stopping.wait(_RETRY_SECONDS)

    def _load(self) -> None:
        from store.catalogue.follow import Follower

        follower = Follower(self._vault, self._columns.take)
        span = self._keeper.resume(follower) or follower.begin()
        self._follower = follower
        self._read(follower, spans_of(*span))
        follower.finish()

    def _read(self, follower: Follower, spans: list[Span]) -> None:
        """Load spans of ids: in child processes if there are many, else (or if a child fails) in this process."""
        if self._vault.count().messages - len(follower.state.frame) > FEW_COPIES:
            try:
                self._children = Children(self._vault, spans)
                with self._children as children:
                    if self._stopping.is_set():
                        children.stop()
                    spans = self._take(follower, children.frames(), spans)
            except LoaderError:
                pass
        if spans and not self._stopping.is_set():
            self._take(follower, load(self._vault, spans), spans)

    def _take(self, follower: Follower, source: Iterator[Loaded[Frame]], spans: list[Span]) -> list[Span]:
        """Add loaded frames. Returns the spans that were not delivered."""
        left = list(spans)
        while (loaded := next(source, None)) is not None and not self._stopping.is_set():
            left.remove(loaded.span)
            follower.add_loaded(loaded.frame, loaded.damaged)
            del loaded
            give_back_memory()
        return left

    def select(self, flt: MessageFilter, sort: Sort = NEWEST) -> Selection:
        """Return the copies that match the filter, in this order. Raises StoreUnavailable."""
        self.asked_at = time.monotonic()
        use = self._columns.use(flt.asks())
        state = self._follower.state if self._follower else None
        if state is None or (not state.complete and not len(state.frame)):
            outcomes = self._outcomes(flt)
            return select_newest(self._vault, flt, sort, now=self.now(), outcomes=outcomes, standing=self.standing)
        frame = state.frame
        mask, extras = self._mask(frame, flt)
        return FrameSelection(
            *(frame, frame.orders.shown(mask, sort), mask),
            total=state.total,
            partial=not (state.complete and extras.complete),
            high_water=state.high_water,
            returned=state.returned,
            unread=extras.unread,
            use=(use, extras.places),
        )

    def count(self, flt: MessageFilter) -> int | None:
        """Count the copies that match the filter; None while that is unknown.

        For counts in the background: it starts no reading of additional fields. Raises StoreUnavailable.
        """
        state = self._follower.state if self._follower else None
        if state is None or not state.complete:
            return None
        mask, extras = self._mask(state.frame, flt)
        if not extras.complete:
            return None
        return len(state.frame) if mask is None else int(mask.sum() or 0)

    def _mask(self, frame: Frame, flt: MessageFilter) -> tuple[pl.Series | None, TableExtras]:
        from store.catalogue.query import mask_of

        extras = self._columns.extras(frame, flt.asks(), self.standing)
        return mask_of(frame, flt, now=self.now(), outcomes=self._outcomes(flt), extras=extras), extras

    @property
    def at_rest(self) -> bool:
        """Whether no query came for half a second."""
        return time.monotonic() - self.asked_at > _REST_SECONDS

    def _outcomes(self, flt: MessageFilter) -> Mapping[int, Delivered]:
        if not flt.asks_delivered():
            return {}
        if self.releases is None:
            from store.delivery.releases import Releases

            self.releases = Releases(self._vault)
        return self.releases.read()

    def engine_counts(self) -> dict[Engine | None, int]:
        """How many copies each engine's verdict caused (None: no verdict)."""
        if (frame := self.frame) is None:
            return {}
        from store.catalogue.query import engine_counts

        return engine_counts(frame)

    def rule_ids(self) -> list[tuple[int, str]]:
        """List the rules that judged any copy, ascending by id, each with its name ("" if unknown)."""
        if (frame := self.frame) is None:
            return []
        from store.catalogue.query import rule_ids

        return rule_ids(frame)

    def day_counts(self, days: int, *, tz: tzinfo | None = None) -> list[tuple[int, dict[Engine | None, int]]]:
        """Count copies by engine for each of the last `days` days (in `tz` or UTC), oldest first: (Unix ms, counts)."""
        today = datetime.fromtimestamp(self.now() / 1000, tz or UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        starts = [int((today + timedelta(days=day)).timestamp() * 1000) for day in range(1 - days, 2)]
        if (frame := self.frame) is None:
            return [(start, {}) for start in starts[:-1]]
        from store.catalogue.query import day_counts

        return list(zip(starts, day_counts(frame, starts), strict=False))

    def placed_span(self, ids: Collection[int]) -> tuple[int, int]:
        """Return when the oldest and the newest of these copies were placed (Unix ms); (0, 0) if none is loaded."""
        return (0, 0) if (frame := self.frame) is None else frame.placed_span(ids)

    def known_senders(self, ids: Collection[int]) -> int | None:
        """Count the copies from known senders; None if that field is not loaded (no recent filter used it)."""
        if (frame := self.frame) is None:
            return None
        extras = self._columns.extras(frame, ("known",))
        if not extras.complete:
            return None
        return int(extras.mask(frame, "known", (True,)).gather(frame.rows_of(ids)).sum())

    @property
    def frame(self) -> Frame | None:
        """The rows loaded so far; None before loading starts."""
        return self._follower.state.frame if self._follower else None

    def refresh(self) -> bool:
        """Add new copies and drop deleted ones. Returns whether anything changed; cheap if nothing did.

        At most `NEW_COPIES` new copies are added per call; the next call continues. Raises StoreUnavailable.
        """
        follower = self._follower
        if follower is None:
            return False
        deletions = follower.deletions
        changed, self._swapped = follower.take_changes() or self._swapped, False
        if follower.deletions != deletions:
            self._keeper.note_deletion()
        if changed:
            self._wake.set()
            self._columns.look()
        return changed

    def _maintain(self) -> None:
        """Prepare sort orders, compact memory and save the snapshot, until `close`."""
        from store.catalogue.query import prepare, prepare_searches
        from store.catalogue.tightening import tighten

        follower = self._follower
        assert follower is not None
        tight: int | None = None
        self._stopping.wait(_IDLE_SECONDS)  # A command that asks once and closes must not wait for what follows.
        prepare_searches(follower.state.frame, lambda: not self._stopping.is_set())
        while self._quiet():
            self._wake.clear()
            changes = follower.arrivals + follower.deletions
            if tight is None or changes - tight > _TIGHTEN_CHANGES:
                for _ in tighten(follower, self._stopping):
                    self._swapped = True
                tight = changes
            prepare(follower.state.frame)
            give_back_memory()
            wait = self._keeper.save_if_due(follower, self._stopping)
            if wait is None or wait > 0:
                self._wake.wait(wait)

    def _quiet(self) -> bool:
        """Wait for a pause in the queries. Returns False if the catalogue is being closed."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while (now := time.monotonic()) < until and now - self.asked_at < _QUIET_ASKING:
            self._stopping.wait(self.asked_at + _QUIET_ASKING - now)
            if self._stopping.is_set():
                break
        return not self._stopping.is_set()

    def close(self) -> None:
        """Stop the background thread and the child processes, and save the snapshot if enough changed.

        Close the catalogue before its vault.
        """
        self._stopping.set()
        self._wake.set()
        self._columns.close()
        if (children := self._children) is not None:
            children.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)
        self._settled.set()
        follower, self._follower = self._follower, None
        if follower is not None and follower.state.complete:
            self._keeper.close(follower)
