"""The audit trail: who did what to which copies, and when. Sealed, and each event bound to the one before it.

An event also carries the versions of all configuration as they were when it was written, so that settings put back from
an older backup are found (see `store.authority.configuration`).
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

#: How many events of gateways are looked past for the newest operator's.
_LOOK_BACK = 500


class CopyIds(Sequence[int]):
    """Ids of copies in ascending order, held as runs: a hundred thousand of them in a row take no more than one."""

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self.runs = tuple(runs)
        self._ends: list[int] = []
        for _, length in self.runs:
            self._ends.append((self._ends[-1] if self._ends else 0) + length)

    @classmethod
    def of(cls, ids: Iterable[int]) -> CopyIds:
        """Collect ids in any order; each counts once."""
        return cls(tuple(runs(sorted(set(ids)))))

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

    __hash__ = None  # type: ignore[assignment] # what compares by content is not hashed

    def __repr__(self) -> str:
        return f"CopyIds({ranges(self)})"


class Event(NamedTuple):
    """One event. `at` is Unix milliseconds; `operator` is "" where the program acted by itself. Text is NOT safe.

    `uid` is the system's user id of the operator's login, None where that is not known. `damage` is what is wrong with
    the event, or "".
    """

    id: int
    at: int
    operator: str
    action: str
    copies: Sequence[int]
    detail: str
    uid: int | None = None
    damage: str = ""
    #: The number of the event that says what its act is meant to do, 0 where it is all of its act.
    act: int = 0
    phase: int = Phase.ONE
    number: int = 0
    #: The number of the act that this one took back; below 0 where it did it again.
    undoes: int = 0
    #: The version of each name's configuration, as known then.
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
    """Write one event, in the transaction that is open or in its own. `action` is a verb phrase ("delivery queued").

    `operator` is what the key slot is called that unlocked the store (`Vault.opened_by`); the login's user id is
    written beside it. `detail` may hold message content: it is sealed, and NOT safe for a terminal. `configured` is the
    name and version of configuration that this transaction wrote. `undoes` is the number of the act that is taken back,
    below 0 where it is done again. Returns the event's number. Raises UnlockError where the keys at hand can only
    read.
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
    """Return the newest event's number and digest. Events of format 1, which have no number, are counted."""
    row = run(vault.db, "SELECT sealed FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return 0, NO_EVENT
    number = number_of(row[0])
    if not number:
        (number,) = run(vault.db, "SELECT COUNT(*) FROM audit").fetchone()
    return number, digest_of(row[0])


def newest_at(db: StoreDatabase) -> int | None:
    """When the newest event was written, as its row says without a key (Unix ms); None where there is none."""
    row = run(db, "SELECT at FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else int(row[0])


def events(vault: Reader, limit: int = 500, before_id: int | None = None, *, lenient: bool = False) -> list[Event]:
    """List the newest events, newest first; with `before_id`, only those older than that event.

    Raises TamperedError where an event was changed, or one between two of them is missing; with `lenient` such a one
    says so as its `damage`, and hides none of the others.
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
            damage = "an event after it is missing, or it is not where it was written"
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
    """Verify the whole trail, oldest first: what each event is called, and what is wrong with it or None.

    `on_operator` is told each event that no gateway wrote.
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
                    problem = f"its number is {opened.number}, and {number} is due: an event before it is missing"
                number = opened.number or number
                if on_operator is not None and not by_gateway(row.sealed):
                    on_operator(_event(row, opened))
            except TamperedError as error:
                problem = str(error)
                number = number_of(row.sealed) or number
            expected = digest_of(row.sealed)
            yield name, problem


class _Row(NamedTuple):
    """An event's row."""

    id: int
    at: int
    sealed: bytes


def known_versions(vault: Reader) -> dict[str, int]:
    """Return the versions of all configuration that the newest operator's event knows. Raises TamperedError.

    What a gateway says of them counts for nothing: it must not be able to shut operators out of their settings.
    """
    for limit in (1, _LOOK_BACK):  # Mostly the newest is an operator's.
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
    """Return the versions for the next event: never less than the event before knew, whatever happened to the rows.

    Of the rows counts what that event did not deny: a damaged one may claim any name and any number.
    """
    if vault.keys.private_key is None:
        return {}  # Of a gateway it would count for nothing.
    rows = run(vault.db, "SELECT name, MAX(version) FROM configuration GROUP BY name").fetchall()
    found = {name: version for name, version in rows if isinstance(version, int) and 0 < version < 1 << 53}
    try:
        known = known_versions(vault)
    except TamperedError:
        known = {}
    versions = {name: max(version, found.get(name, 0)) for name, version in known.items()} if known else found
    return versions | dict([configured] if configured else [])
