"""Store copies. Callers that wait at the same time share one commit.

Sealing runs inside the transaction, because a sealed part is bound to its copy's id and step, which are only known
there.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from store.database.committing import DOUBT
from store.database.connection import Clash, StoreDatabase, run_many
from store.database.executing import Execute, executor
from store.database.orm import SqliteDatabase
from store.sealing.copies import seal_copy
from store.terms.errors import StoreUnavailable, TamperedError
from store.vault.counters import count_in
from store.vault.epochs import EpochWriter
from store.vault.prepared import Prepared
from store.vault.room import Room
from store.vault.session import Session
from store.vault.unanswered import Unanswered
from store.vault.upkeep import Upkeep

GROUP_COPIES = 50
GROUP_BYTES = 4 * 1024 * 1024
#: Seconds without work after which the committing thread ends.
IDLE_SECONDS = 5.0
#: Differs from every thread's number.
_NO_THREAD = 0
_INSERT_MESSAGE = (
    "INSERT INTO message (id, epoch_id, step, stored_at, size, stored_size, record) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_STORED = (
    "SELECT COUNT(*) FROM (SELECT id FROM message WHERE id = ? AND record = ? "
    "UNION ALL SELECT id FROM binned WHERE id = ? AND record = ?) AS stored"
)
_INSERT_BODY = "INSERT INTO body (id, sealed) VALUES (?, ?)"
#: Both in one statement, which SQLite does not know: on PostgreSQL each statement waits for the server.
_INSERT_BOTH = f"WITH made AS ({_INSERT_MESSAGE}) {_INSERT_BODY}"


#: A row of the table of messages, and one of the table of bodies.
Sealed = tuple[tuple[Any, ...], tuple[Any, ...]]

#: Called with (copy id, None) once a copy is durable, or (0, error) if it was not stored. Must not block.
Told = Callable[[int, Exception | None], None]


class _Waiting:
    """A copy queued for the committing thread.

    `done` is locked until it is stored, or not stored because of `error`.
    """

    __slots__ = ("copy_id", "done", "error", "item")

    def __init__(self, item: Prepared) -> None:
        self.item = item
        self.copy_id = 0
        self.error: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def told(self, copy_id: int, error: Exception | None) -> None:
        """Store the result and wake the waiting thread."""
        self.copy_id, self.error = copy_id, error
        self.done.release()


class _HandedIn(NamedTuple):
    """A queued copy that no thread waits for."""

    item: Prepared
    told: Told


#: Work that hands copies in.
Work = Callable[[], None]


def _call(foreign: Callable[..., None], *values: Any) -> None:
    """Call what a caller passed in. If it raises, report that as the error of a thread, and go on for the others."""
    try:
        foreign(*values)
    except Exception:
        kind, error, trace = sys.exc_info()
        threading.excepthook(threading.ExceptHookArgs((kind, error, trace, threading.current_thread())))


class Writer:
    """Stores copies in one vault, for all threads of the process.

    A thread that is the only one putting commits by itself. When several threads put, a dedicated thread commits for
    all of them, on one connection: each commit makes all other connections drop their page caches.
    """

    def __init__(
        self, session: Session, epochs: EpochWriter, upkeep: Upkeep, room: Room, unanswered: Unanswered
    ) -> None:
        self._session = session
        self._unanswered = unanswered
        self._room = room
        self._epochs = epochs
        self._upkeep = upkeep
        self._queue: deque[_Waiting | _HandedIn | Work] = deque()
        self._guard = threading.Lock()
        self._changed = threading.Condition(self._guard)
        self._committing = False
        #: Number of the thread that put last.
        self._last: int | None = None
        self._thread: threading.Thread | None = None
        self._closing = False

    def put(self, item: Prepared) -> int:
        """Store one copy and return its id once it is durable. Other callers' copies may share the commit."""
        self._require_own_transaction()
        this = threading.get_ident()
        with self._guard:
            alone = self._last in (None, this) and not self._committing and not self._queue
            self._last = this
            if alone:
                self._committing = True
            else:
                mine = _Waiting(item)
                self._have_committed()
                self._queue.append(mine)
        if alone:
            try:
                return self._commit([item])[0]
            finally:
                with self._guard:
                    self._committing = False
                    if self._queue:
                        self._changed.notify()
        mine.done.acquire()
        if mine.error is not None:
            raise mine.error
        return mine.copy_id

    def hand_in(self, item: Prepared, told: Told) -> None:
        """Queue one copy and return at once. The committing thread calls `told`."""
        self._require_own_transaction()
        with self._changed:
            self._last = _NO_THREAD
            self._have_committed()
            self._queue.append(_HandedIn(item, told))

    def run_before_commit(self, work: Work) -> None:
        """Have the committing thread do `work` before its next commit, and return at once.

        What `work` hands in comes into that commit, with what others hand in meanwhile.
        """
        with self._changed:
            self._last = _NO_THREAD
            self._have_committed()
            self._queue.append(work)

    def put_many(self, items: Iterable[Prepared], placed: Callable[[list[int]], None] | None = None) -> list[int]:
        """Store copies in groups, one commit each."""
        ids: list[int] = []
        for group in _groups(items):
            self._require_own_transaction()
            ids.extend(self._commit(group, placed))
        return ids

    def close(self) -> None:
        """Make the committing thread finish its queue, and wait for it."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _require_own_transaction(self) -> None:
        if self._session.db.in_transaction():
            raise RuntimeError(
                "a copy cannot be stored inside another transaction: its keys could not be accounted for"
            )

    def _have_committed(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._commit_all, name="vault-writer", daemon=True)
            thread.start()  # Raises RuntimeError if the system has none left; the next caller tries again.
            self._thread = thread
        self._changed.notify()

    def _commit_all(self) -> None:
        """Commit queued copies in groups, until there are none for `IDLE_SECONDS`."""
        try:
            while self._wait_for_work():
                if group := self._next_group():
                    self._commit_waiting(group)
        finally:
            if not self._session.db.is_closed():
                self._session.db.close()

    def _wait_for_work(self) -> bool:
        """Return True when there is work and no other thread commits; False when the thread should end."""
        with self._changed:
            while self._committing or not self._queue:
                closing = self._closing and not self._queue  # Else wait: the committing thread needs this lock.
                ending = closing or not self._changed.wait(IDLE_SECONDS)
                if ending and not self._queue:
                    self._thread = self._last = None
                    return False
        return True

    def _next_group(self) -> list[_Waiting | _HandedIn]:
        """Do the queued work; return the next group of queued copies, [] if there are none."""
        group: list[_Waiting | _HandedIn] = []
        size = 0
        while self._queue and len(group) < GROUP_COPIES and size < GROUP_BYTES:
            each = self._queue.popleft()
            if callable(each):
                _call(each)
            else:
                group.append(each)
                size += len(each.item.body)
        return group

    def _commit_waiting(self, group: list[_Waiting | _HandedIn]) -> None:
        ids, failed = [0] * len(group), None
        try:
            ids = self._commit([each.item for each in group])
        except Exception as error:
            failed = error
        for waiting, copy_id in zip(group, ids, strict=True):
            _call(waiting.told, copy_id, failed)

    def _commit(self, group: list[Prepared], placed: Callable[[list[int]], None] | None = None) -> list[int]:
        session, epochs = self._session, self._epochs
        total = 0
        for item in group:
            total += item.stored_size
        self._room.admit(total)
        first_copy: int | None = None
        used, over, last = 0, 0, b""
        tagged: list[tuple[bytes, int]] = []
        answered: list[tuple[bytes, int]] = []
        with session.lock:
            try:
                try:
                    with session.write(quiet=True, counting=True):
                        first_copy, used, last, tagged = self._write(group, total)
                        ids = list(range(first_copy, first_copy + len(group)))
                        if tagged:
                            answered = self._unanswered.write(tagged)
                        if placed is not None:
                            placed(ids)
                        over = self._upkeep.after_put(used)
                except Clash:
                    raise
                except StoreUnavailable as error:
                    if first_copy is None:
                        raise
                    newest = ids[-1], last
                    try:
                        session.require_done(error, _STORED, *newest, *newest)
                    except StoreUnavailable as unknown:
                        if DOUBT in str(unknown):
                            self._unanswered.doubt(tagged)
                        raise
            except Clash:
                epochs.failed()
                raise TamperedError("the table of counters", "it would assign IDs that are already used") from None
            except BaseException:
                epochs.failed(first_copy=first_copy)
                raise
            epochs.committed()
            if answered:
                self._unanswered.written(answered)
        if over:
            try:
                self._upkeep.after_put(used)
            except StoreUnavailable:
                pass  # The copies are durable; the next put continues the rotation.
        return ids

    def _write(self, group: list[Prepared], total: int) -> tuple[int, int, bytes, list[tuple[bytes, int]]]:
        """Seal and insert a group of `total` bytes inside the transaction.

        Returns the first id, the bytes then used, the last record, and the tags with their copies' ids.
        """
        db, epochs = self._session.db, self._epochs
        execute = executor(db)
        count = len(group)
        next_copy, used = count_in(db, execute, count, total)
        first_copy = next_copy - count
        # There is no network to wait for, and the bytes of a sealed copy are in the processor's caches.
        at_once = isinstance(db, SqliteDatabase)
        sealed: list[Sealed] = []
        tagged = []
        for copy_id, item in enumerate(group, first_copy):
            name, ratchet, step = epochs.advance()
            stored_at, size, stored = item.stored_at, item.size, item.stored_size
            place = step, copy_id, stored_at, size, stored
            record, body = seal_copy(ratchet, name, place, item.record, item.body)
            sealed.append(((copy_id, name.epoch_id, step, stored_at, size, stored, record), (copy_id, body)))
            if at_once:
                _insert(db, execute, sealed)
                sealed.clear()
            if item.tag:
                tagged.append((item.tag, copy_id))
        if sealed:
            _insert(db, execute, sealed)
        return first_copy, used, record, tagged


def _insert(db: StoreDatabase, execute: Execute, copies: list[Sealed]) -> None:
    if isinstance(db, SqliteDatabase):
        for message, body in copies:
            execute(_INSERT_MESSAGE, message)
            execute(_INSERT_BODY, body)
    elif len(copies) == 1:
        execute(_INSERT_BOTH, copies[0][0] + copies[0][1])
    else:
        run_many(db, _INSERT_MESSAGE, [message for message, _ in copies])
        run_many(db, _INSERT_BODY, [body for _, body in copies])


def _groups(items: Iterable[Prepared]) -> Iterator[list[Prepared]]:
    group: list[Prepared] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item.body)
        if len(group) >= GROUP_COPIES or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
