"""The audit trail: who did what to which copies, and when. Events are sealed, and each names the digest of the one
before.

An event also holds the versions of all configuration at its time, so that settings restored from an older backup are
detected (see `store.authority.configuration`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, overload

from store.authority.event_forms import (
    NO_EVENT,
    Opened,
    Phase,
    Sealed,
    by_gateway,
    digest_of,
    number_of,
    open_event,
    seal_event,
)
from store.database.connection import StoreDatabase, run, sound
from store.helpers.clock import now_ms
from store.helpers.login import login_uid
from store.helpers.runs import ranges, runs
from store.terms.errors import TamperedError
from store.vault.reader import Reader

#: Max newest events that are searched for an operator's, past those of gateways.
_LOOK_BACK = 500


class CopyIds(Sequence[int]):
    """Copy ids in ascending order, held as runs: a hundred thousand consecutive ids are one run."""

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self.runs = tuple(runs)
        self._ends: list[int] = []
        for _, length in self.runs:
            self._ends.append((self._ends[-1] if self._ends else 0) + length)

    @classmethod
    def of(cls, ids: Iterable[int]) -> CopyIds:
        """Collect ids in any order; each counts once."""
        return cls(tuple(runs(sorted(set(ids)))))

    @classmethod
    def union(cls, parts: Iterable[Sequence[int]]) -> CopyIds:
        """Collect the ids of all parts; each counts once. Takes time by the runs of `CopyIds`, not by their ids."""
        every = [run for part in parts for run in (part if isinstance(part, CopyIds) else cls.of(part)).runs]
        joined: list[tuple[int, int]] = []
        for first, length in sorted(every):
            start, before = joined[-1] if joined else (first, 0)
            if first > start + before:
                joined.append((first, length))
            else:
                joined[-1:] = [(start, max(before, first + length - start))]
        return cls(joined)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        run = bisect_right(self._ends, at)
        first, length = self.runs[run]
        return first + length - (self._ends[run] - at)

    def __iter__(self) -> Iterator[int]:
        for first, length in self.runs:
            yield from range(first, first + length)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CopyIds):
            return self.runs == other.runs
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # compares by content, so not hashable

    def __repr__(self) -> str:
        return f"CopyIds({ranges(self)})"


class Event(NamedTuple):
    """One event. `at` is Unix milliseconds; `operator` is "" if the program acted by itself. Text is NOT safe.

    `uid` is the user id of the operator's login, None if not known. `damage` says what is wrong with the event, "" if
    nothing.
    """

    id: int
    at: int
    operator: str
    action: str
    copies: Sequence[int]
    detail: str
    uid: int | None = None
    damage: str = ""
    #: The number of the event for the intent of this act; 0 in that event itself, and if the act is a single event.
    act: int = 0
    phase: int = Phase.ONE
    number: int = 0
    #: The number of the act that this act undoes; negative if it does that act again.
    undoes: int = 0
    #: The version of each configuration name at that time.
    versions: Mapping[str, int] = MappingProxyType({})


def record_event(
    vault: Reader,
    action: str,
    *,
    operator: str,
    copies: Iterable[int] = (),
    detail: str = "",
    at: int | None = None,
    configured: tuple[str, int] | None = None,
    act: int = 0,
    phase: Phase = Phase.ONE,
    undoes: int = 0,
) -> int:
    """Write one event, in the open transaction or in its own. `action` is a verb phrase ("delivery queued").

    `operator` is the name of the key slot that unlocked the store (`Vault.opened_by`); the login's user id is recorded
    too. `detail` may hold message content: it is sealed, and NOT safe for a terminal. `configured` is the name and
    version of configuration that this transaction wrote. `undoes` is the number of the act that is undone, negative if
    it is redone. Returns the event's number. Raises UnlockError if the keys at hand can only read.
    """
    runs = list(CopyIds.of(copies).runs)
    with vault.write():
        now = now_ms() if at is None else at
        number, previous = newest_event(vault)
        uid = login_uid() if operator else None
        event = Sealed(now, operator, action, runs, detail, b"", _versions(vault, configured), uid, act, phase, undoes)
        sealed = seal_event(vault, number + 1, previous, event)
        run(vault.db, "INSERT INTO audit (at, sealed) VALUES (?, ?)", now, sealed)
    return number + 1


def newest_event(vault: Reader) -> tuple[int, bytes]:
    """Return the newest event's number and digest. Format 1 events have no number: then the events are counted."""
    row = run(vault.db, "SELECT sealed FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return 0, NO_EVENT
    number = number_of(row[0])
    if not number:
        (number,) = run(vault.db, "SELECT COUNT(*) FROM audit").fetchone()
    return number, digest_of(row[0])


def newest_at(db: StoreDatabase) -> int | None:
    """Read the time (Unix ms) of the newest event from its row, without a key; None if there is no event."""
    row = run(db, "SELECT at FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else int(row[0])


def events(vault: Reader, limit: int = 500, before_id: int | None = None, *, lenient: bool = False) -> list[Event]:
    """List the newest events, newest first; with `before_id`, only those older than that event.

    Raises TamperedError if an event was changed, or one between two of them is missing. With `lenient`, such an event
    is listed with its `damage` instead.
    """
    table = vault.models.Audit
    query = table.select().order_by(table.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(table.id < before_id)
    found: list[Event] = []
    expected: bytes | None = None
    with vault.reading():
        rows = list(query)
    for row in rows:
        damage = ""
        try:
            opened = _open(vault, row)
        except TamperedError as error:
            if not lenient:
                raise
            at = row.at if isinstance(row.at, int) else 0
            found.append(Event(row.id, at, "", "", (), "", damage=error.why))
            expected = None
            continue
        if expected is not None and expected != digest_of(row.sealed):
            damage = "an event after it is missing, or it was moved"
            if not lenient:
                raise TamperedError(f"event {row.id}", damage)
        expected = opened.previous
        found.append(_event(row, opened, damage))
    return found


def _event(row: Any, opened: Opened, damage: str = "") -> Event:
    event = opened.sealed
    return Event(
        row.id,
        row.at,
        event.operator,
        event.action,
        CopyIds(event.runs),
        event.detail,
        event.uid,
        damage,
        event.act,
        event.phase,
        opened.number,
        event.undoes,
        event.versions,
    )


def check_events(vault: Reader, on_operator: Callable[[Event], None] | None = None) -> Iterator[tuple[str, str | None]]:
    """Verify the whole trail, oldest first. Yield each event's name, and what is wrong with it or None.

    `on_operator` is called with each event that an operator wrote.
    """
    table = vault.models.Audit
    expected: bytes = b""
    after = number = 0
    while rows := list(table.select().where(table.id > after).order_by(table.id).limit(500)):
        for row in rows:
            after, number = row.id, number + 1
            name = f"event {row.id}"
            problem = None
            try:
                opened = _open(vault, row)
                if opened.previous != expected and (expected or opened.previous != NO_EVENT):
                    problem = "an event before it is missing"
                elif opened.number and opened.number != number:
                    problem = f"its number is {opened.number} instead of {number}: an event before it is missing"
                number = opened.number or number
                if on_operator is not None and not by_gateway(row.sealed):
                    on_operator(_event(row, opened))
            except TamperedError as error:
                problem = str(error)
                number = number_of(row.sealed) or number
            expected = digest_of(row.sealed)
            yield name, problem


class _Row(NamedTuple):
    """The row of an event."""

    id: int
    at: int
    sealed: bytes


def known_versions(vault: Reader) -> dict[str, int]:
    """Return the configuration versions in the newest operator's event. Raises TamperedError.

    Gateways' events are ignored: a gateway must not be able to lock operators out of their settings.
    """
    for limit in (1, _LOOK_BACK):  # Usually the newest event is an operator's.
        with vault.reading():
            rows = run(vault.db, "SELECT id, at, sealed FROM audit ORDER BY id DESC LIMIT ?", limit).fetchall()
        for row in map(_Row._make, rows):
            if not by_gateway(row.sealed):
                return _open(vault, row).sealed.versions
    return {}


def _open(vault: Reader, row: Any) -> Opened:
    name = f"event {row.id}"
    with sound(name):
        try:
            opened = open_event(vault, row.sealed, row.at, name)
        except TamperedError as error:
            if error.what == name:
                raise
            raise TamperedError(name) from None
    if opened.sealed.at != row.at:
        raise TamperedError(name, "its time was changed")
    return opened


def _versions(vault: Reader, configured: tuple[str, int] | None) -> dict[str, int]:
    """Return the configuration versions for the next event: never lower than in the event before, even if rows are
    damaged.

    Names come from that event if it has any: a damaged row may claim any name.
    """
    if vault.keys.private_key is None:
        return {}  # Versions in a gateway's event are ignored anyway.
    rows = run(vault.db, "SELECT name, MAX(version) FROM configuration GROUP BY name").fetchall()
    found = {name: version for name, version in rows if isinstance(version, int) and 0 < version < 1 << 53}
    try:
        known = known_versions(vault)
    except TamperedError:
        known = {}
    versions = {name: max(version, found.get(name, 0)) for name, version in known.items()} if known else found
    return versions | dict([configured] if configured else [])
