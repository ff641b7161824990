"""The catalogue: the decrypted metadata of every copy in memory, to filter, sort and page, in step with the store.

Importing this module imports no Polars: that happens in the background thread that `Catalogue.start` begins. Until then
the newest copies are answered straight from the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from store.catalogue.loader import Children, Loaded, LoaderError, Span, load, spans_of
from store.catalogue.memory import give_back_memory
from store.catalogue.selection import FrameSelection, RowSelection, Selection
from store.catalogue.sort import NEWEST, Sort, SortKey
from store.database.connection import is_url
from store.filters.model import MessageFilter
from store.terms.errors import MailholdError, StoreError
from store.terms.records import row_of
from store.terms.verdicts import Engine

if TYPE_CHECKING:
    from store.catalogue.follow import Follower
    from store.catalogue.frame import Frame
    from store.delivery.releases import Releases
    from store.mail.outcome import Delivered
    from store.vault.vault import Vault

__all__ = ["NEWEST", "Catalogue", "Selection", "Sort", "SortKey"]

#: How many of the newest copies are answered straight from the database before the catalogue is there.
FIRST_ROWS = 200
#: Up to so many copies are read without child processes, each of which takes as much memory as so many copies.
FEW_COPIES = 120_000
#: Up to so many copies are not worth a snapshot.
SNAPSHOT_COPIES = 3_000
_QUIET_SECONDS = 3.0
_STALE_SECONDS = 60.0
_RETRY_SECONDS = 5.0
_IDLE_SECONDS = 0.5
#: Upkeep waits until nothing was asked for so long (s), at most for `_PATIENCE_SECONDS`: both want every processor.
_QUIET_ASKING, _PATIENCE_SECONDS = 1.0, 10.0
_JOIN_SECONDS = 2.0
_TIGHTEN_CHANGES = 100_000
_SAVE_AGAIN_SECONDS = 300.0
_SAVE_SHARE = 0.05


def _now() -> int:
    return time.time_ns() // 1_000_000


class Catalogue:
    """Every method may be called from any thread, and `select` never waits for loading."""

    def __init__(self, vault: Vault, *, snapshot: Path | None = None, now: Callable[[], int] = _now) -> None:
        """`snapshot`: the file to start from and to save to; by default next to a store that is a file, else none.

        `now` answers Unix ms, for filters by period.
        """
        if snapshot is None and not is_url(vault.location):
            snapshot = Path(f"{vault.location}.snapshot")
        self._vault = vault
        self._path = snapshot
        self._now = now
        self._follower: Follower | None = None
        self._thread: threading.Thread | None = None
        self._children: Children | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._settled = threading.Event()
        #: Called in the background thread when every copy is there: who looks now and then need not wait to look.
        self.on_complete: Callable[[], None] = lambda: None
        #: Who follows the deliveries already may say so: `select` asks it then. Made where a filter needs it, else.
        self.releases: Releases | None = None
        self._pending = 0
        self._problem: Exception | None = None
        self._saving = threading.RLock()
        self._saved: tuple[int, int] | None = None
        self._saved_at = 0.0
        self._save_took = 0.0
        self._deleted_at: tuple[float, float] | None = None
        self._asked_at = 0.0

    # --- Loading -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load in the background. Returns at once."""
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)
                self._thread.start()

    @property
    def complete(self) -> bool:
        """Whether every copy is there, so that results are not partial."""
        return self._follower is not None and self._follower.state.complete

    @property
    def loaded(self) -> int:
        """How many copies are there so far."""
        return (len(self._follower.state.frame) if self._follower else 0) + self._pending

    @property
    def total(self) -> int:
        """How many copies are in Backup."""
        state = self._follower.state if self._follower else None
        return state.total if state and state.total else self._vault.usage().messages

    @property
    def damaged(self) -> frozenset[int]:
        """The ids of copies that do not verify and are therefore in no result (`mailhold check` says why)."""
        return self._follower.damaged if self._follower else frozenset()

    @property
    def problem(self) -> str | None:
        """Why loading does not go on at the moment (it is tried again), for the user to read."""
        return None if self._problem is None or self.complete else str(self._failure())

    def wait_complete(self, timeout: float | None = None) -> bool:
        """Wait until every copy is there, for at most `timeout` seconds. Raises what keeps loading from going on."""
        self._settled.wait(timeout)
        if self._problem is not None and not self.complete:
            raise self._failure()
        return self.complete

    def _failure(self) -> MailholdError:
        if isinstance(self._problem, MailholdError):
            return self._problem
        return StoreError(f"The catalogue of copies cannot be made ({self._problem}): free some memory and try again.")

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
                        self.on_complete()
                self._maintain()
            except Exception as error:  # Nothing that happens here may print a traceback over the screen.
                if self._stopping.is_set():
                    return
                self._problem = error
                self._settled.set()
                self._stopping.wait(_RETRY_SECONDS)

    def _load(self) -> None:
        from store.catalogue.follow import Follower

        follower = Follower(self._vault)
        span = self._resume(follower)
        if span is None:
            self._saved = None
            span = follower.begin()
        self._follower = follower
        self._read(follower, spans_of(*span))
        follower.finish()

    def _resume(self, follower: Follower) -> tuple[int, int] | None:
        """Start from the snapshot; None where there is none to start from."""
        from store.catalogue.snapshot import SnapshotError, discard, open_snapshot

        if self._path is None:
            return None
        try:
            opened = open_snapshot(self._vault, self._path)
            if opened is None:
                return None
            span = follower.resume(*opened)
        except SnapshotError:
            discard(self._path)
            return None
        self._saved = (0, 0)
        self._saved_at = time.monotonic()
        if follower.deletions:
            self._note_deletion()
        return span

    def _read(self, follower: Follower, spans: list[Span]) -> None:
        """Load spans of ids: in child processes, or here where that is not worth it or a child fails."""
        if self._vault.usage().messages - len(follower.state.frame) > FEW_COPIES:
            try:
                self._children = children = Children(self._vault, spans)
                if self._stopping.is_set():
                    children.stop()
                spans = self._take(follower, children.frames(), spans)
            except LoaderError:
                pass
        if spans and not self._stopping.is_set():
            self._take(follower, load(self._vault, spans), spans)

    def _take(self, follower: Follower, source: Iterator[Loaded], spans: list[Span]) -> list[Span]:
        """Take up frames, more at once as they grow in number. Returns the spans that did not come."""
        left = list(spans)
        waiting: list[Loaded] = []
        for loaded in source:
            if self._stopping.is_set():
                break
            left.remove(loaded.span)
            waiting.append(loaded)
            self._pending += len(loaded.frame)
            if self._pending * 3 > len(follower.state.frame):
                self._add(follower, waiting)
        self._add(follower, waiting)
        return left

    def _add(self, follower: Follower, waiting: list[Loaded]) -> None:
        if waiting:
            from store.catalogue.sections import merged

            frames, damaged = [loaded.frame for loaded in waiting], [loaded.damaged for loaded in waiting]
            waiting.clear()
            follower.add_loaded(merged(frames), chain.from_iterable(damaged))
            give_back_memory()
        self._pending = 0

    # --- Queries -----------------------------------------------------------------------------------------------------

    def select(self, flt: MessageFilter, sort: Sort = NEWEST) -> Selection:
        """The copies that the filter lets through, in this order. Raises StoreUnavailable."""
        self._asked_at = time.monotonic()
        state = self._follower.state if self._follower else None
        if state is None or (not state.complete and not len(state.frame)):
            return self._select_newest(flt, sort)
        from store.catalogue.query import mask_of

        frame = state.frame
        mask = mask_of(frame, flt, now=self._now(), outcomes=self._outcomes(flt))
        positions = frame.orders.order(sort) if mask is None else frame.orders.ordered(mask, sort)
        return FrameSelection(
            frame, positions, mask, total=state.total, partial=not state.complete, high_water=state.high_water
        )

    def _select_newest(self, flt: MessageFilter, sort: Sort) -> Selection:
        copies = self._vault.newest(FIRST_ROWS, on_error=lambda _copy_id, _error: None)
        total = max(self._vault.usage().messages, len(copies))
        now, outcomes = self._now(), self._outcomes(flt)
        found = [copy for copy in copies if flt.matches(copy, now=now, outcomes=outcomes)]
        found.sort(
            key=lambda copy: (copy.stored_at, copy.id), reverse=sort.descending or sort.key is not SortKey.PLACED
        )
        partial = len(copies) < total
        high_water = max((copy.id for copy in copies), default=0)
        return RowSelection([row_of(copy) for copy in found], total=total, partial=partial, high_water=high_water)

    def _outcomes(self, flt: MessageFilter) -> Mapping[int, Delivered]:
        if not flt.asks_delivered():
            return {}
        if self.releases is None:
            from store.delivery.releases import Releases

            self.releases = Releases(self._vault)
        return self.releases.read()

    def engine_counts(self) -> dict[Engine | None, int]:
        """How many copies each engine's verdict caused (None: no verdict)."""
        if (frame := self._frame()) is None:
            return {}
        from store.catalogue.query import engine_counts

        return engine_counts(frame)

    def rule_ids(self) -> list[tuple[int, str]]:
        """The rules that judged any copy, ascending by id, each with its name (empty where unknown)."""
        if (frame := self._frame()) is None:
            return []
        from store.catalogue.query import rule_ids

        return rule_ids(frame)

    def day_counts(self, days: int, *, tz: tzinfo | None = None) -> list[tuple[int, dict[Engine | None, int]]]:
        """Copies by engine on each of the last days (of `tz`, or UTC), the oldest first, with its start (Unix ms)."""
        today = datetime.fromtimestamp(self._now() / 1000, tz or UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        starts = [int((today + timedelta(days=day)).timestamp() * 1000) for day in range(1 - days, 2)]
        if (frame := self._frame()) is None:
            return [(start, {}) for start in starts[:-1]]
        from store.catalogue.query import day_counts

        return list(zip(starts, day_counts(frame, starts), strict=False))

    def placed_span(self, ids: Collection[int]) -> tuple[int, int]:
        """When the oldest and the newest of these copies were placed (Unix ms); zeros where none of them is known."""
        frame = self._frame()
        rows = frame.rows_of(ids) if frame is not None else ()
        if frame is None or not len(rows):
            return 0, 0
        placed = frame.rows.get_column("stored_at").gather(rows)
        return int(placed.min()), int(placed.max())  # type: ignore[arg-type]  # numbers, of a column of numbers

    def _frame(self) -> Frame | None:
        return self._follower.state.frame if self._follower else None

    # --- Following ---------------------------------------------------------------------------------------------------

    def refresh(self) -> bool:
        """Take up copies that came and went since the last time. True where any did. Cheap where none did.

        Of many new copies at once only some thousands are taken up: the next call goes on. Raises StoreUnavailable.
        """
        follower = self._follower
        if follower is None:
            return False
        deletions = follower.deletions
        changed = follower.take_changes()
        if follower.deletions != deletions:
            self._note_deletion()
        if changed:
            self._wake.set()
        return changed

    def _note_deletion(self) -> None:
        now = time.monotonic()
        self._deleted_at = (self._deleted_at[0] if self._deleted_at else now, now)

    # --- Snapshots and upkeep ----------------------------------------------------------------------------------------

    def _maintain(self) -> None:
        """Keep sorts ready, memory tight and the snapshot true, until `close`."""
        follower = self._follower
        assert follower is not None
        tight: int | None = None
        # A command that asks once and closes is not held up by work for the next question.
        self._stopping.wait(_IDLE_SECONDS)
        while self._quiet():
            self._wake.clear()
            changes = follower.arrivals + follower.deletions
            if tight is None or changes - tight > _TIGHTEN_CHANGES:
                self._tighten(follower)
                tight = changes
            follower.state.frame.orders.prepare()
            give_back_memory()
            with self._saving:
                wait = None if self._stopping.is_set() else self._save_in(follower)
                if wait is not None and wait <= 0:
                    self._save(follower)
                    continue
            self._wake.wait(wait)

    def _quiet(self) -> bool:
        """Wait for a pause in the questions. False where the catalogue is being closed."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while (now := time.monotonic()) < until and now - self._asked_at < _QUIET_ASKING:
            self._stopping.wait(self._asked_at + _QUIET_ASKING - now)
            if self._stopping.is_set():
                break
        return not self._stopping.is_set()

    def _tighten(self, follower: Follower) -> None:
        from store.catalogue.sections import loose, tightened

        for name in follower.state.frame.texts:
            frame = follower.state.frame
            if not self._stopping.is_set() and loose(frame, name):
                follower.swap(frame, tightened(frame, name))

    def _save_in(self, follower: Follower) -> float | None:
        """In how many seconds a snapshot is due; None where none is."""
        now = time.monotonic()
        if self._path is None:
            return None
        if self._deleted_at is not None:
            first, last = self._deleted_at
            return max(0.0, min(last + _QUIET_SECONDS, first + max(_STALE_SECONDS, 30 * self._save_took)) - now)
        if self._saved is None:
            return 0.0 if self._worthwhile(follower) else None
        if follower.arrivals - self._saved[0] > max(SNAPSHOT_COPIES, _SAVE_SHARE * len(follower.state.frame)):
            return max(0.0, self._saved_at + _SAVE_AGAIN_SECONDS - now)
        return None

    def _worthwhile(self, follower: Follower) -> bool:
        return len(follower.state.frame) > SNAPSHOT_COPIES

    def _save(self, follower: Follower) -> None:
        """Save the snapshot, or remove the one that is there if it holds deleted copies and cannot be replaced."""
        from store.catalogue import snapshot

        assert self._path is not None
        with self._saving:
            started = time.monotonic()
            stale = self._deleted_at is not None
            self._deleted_at = None
            frame, marks = follower.marks()
            try:
                if self._worthwhile(follower):
                    snapshot.save(self._vault, self._path, frame, marks)
                else:
                    snapshot.discard(self._path)
            except (OSError, MailholdError):
                if stale:
                    snapshot.discard(self._path)
            self._saved = (follower.arrivals, follower.deletions)
            self._saved_at = time.monotonic()
            self._save_took = self._saved_at - started

    def close(self) -> None:
        """Stop the background thread and the child processes, and save the snapshot where it is worthwhile.

        Close the catalogue before its vault.
        """
        self._stopping.set()
        self._wake.set()
        if (children := self._children) is not None:
            children.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)
        self._settled.set()
        follower, self._follower = self._follower, None
        if follower is None or not follower.state.complete or self._path is None:
            return
        with self._saving:
            size = len(follower.state.frame)
            unsaved = follower.arrivals - self._saved[0] if self._saved else size
            if self._deleted_at is not None or unsaved > min(SNAPSHOT_COPIES, 0.01 * size):
                self._save(follower)
