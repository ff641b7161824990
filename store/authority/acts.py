"""Work on many copies, told in the trail as it is done: what is meant first, each part in its own transaction, the end.

Whoever is killed in the midst leaves an act without an end, whose parts say how far it came. What one part can hold is
told by one event alone. Deleting, bringing back and emptying are in `store.authority.deleting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from store.authority.audit import CopyIds, record_event
from store.authority.event_forms import Phase
from store.database.connection import DiskFull
from store.helpers.runs import ranges
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.vault.vault import Vault

DELETE, BIN, RESTORE, EMPTY = "delete", "delete into the bin", "bring back", "delete from the bin"
#: So many copies are one part, and need no event of what is meant.
ONE_PART = 100
#: So many runs of copies the event of what is meant holds at most.
_RUNS = 2000
#: An act that a part was told of within this time (ms) is under way.
_UNDER_WAY = 60_000
#: So many runs are named where something is wrong.
_SHOWN = 8


class Act:
    """One act of an operator, as the trail tells it. A context: at its end the end is told, with what was done.

    `copies` are those that are meant, or `size` says how many. What `one_part` holds is one part; with None the number
    is not known, and what is meant is told in any case. Raises UnlockError where the keys at hand can only read.
    """

    def __init__(
        self,
        vault: Vault,
        action: str,
        *,
        operator: str,
        copies: Sequence[int] = (),
        size: int | None = None,
        detail: str = "",
        one_part: int | None = ONE_PART,
    ) -> None:
        self._vault = vault
        self._action = action
        self._operator = operator
        self._copies = copies
        self._size = len(copies) if size is None else size
        self._detail = detail
        self._many = one_part is None or self._size > one_part
        self._number = self._told = 0
        #: How many copies are done: by default those that the parts hold that were told.
        self.done = 0
        #: Why the act ended before its end, where that is known.
        self.stopped = ""

    def __enter__(self) -> Act:
        if self._many:
            self._tell_intent()
        return self

    def _tell_intent(self) -> None:
        copies, detail = CopyIds.of(self._copies), self._detail
        if len(copies.runs) > _RUNS:
            # Of very many runs the number is enough: each part names its own.
            detail = "; ".join(part for part in (f"{len(copies):,} copies", detail) if part)
            copies = CopyIds(())
        try:
            self._number = self._record(Phase.INTENT, copies, detail)
        except DiskFull:
            # On a full disk what is deleted makes room: each part is told, and nothing before the first.
            self._many = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._many and self.done == self._told:
            return
        why = self.stopped or (str(error) if isinstance(error, MailholdError) else kind.__name__ if kind else "")
        try:
            self._end(why)
        except MailholdError:
            pass  # Its parts are told: a disk that is full again, say, changes nothing in that.

    def part(self, copies: Iterable[int], detail: str = "") -> None:
        """Tell a part, in the transaction that does it; `detail` is of that part."""
        ids = list(copies)
        if not ids:
            return
        if self._many:
            self._record(Phase.BATCH, ids, detail)
        else:
            self._number = self._record(Phase.ONE, ids, "; ".join(filter(None, (self._detail, detail))))
        self._told += len(ids)
        self.done += len(ids)

    def reached(self, done: int) -> None:
        """Say how many copies are done: a part whose transaction was rolled back and done again was told twice."""
        self._told = self.done = done

    def _end(self, why: str) -> None:
        told = f"{self.done:,} of {self._size:,}" if self._size else f"{self.done:,}"
        self._record(Phase.END, (), f"{told}; {why}" if why else told)

    def _record(self, phase: Phase, copies: Iterable[int], detail: str) -> int:
        return record_event(
            self._vault,
            self._action,
            operator=self._operator,
            copies=copies,
            detail=detail,
            act=self._number if phase is not Phase.ONE else 0,
            phase=phase,
        )


class ToldDeletions:
    """What the trail says was deleted, to be held against the tombstones and the copies."""

    def __init__(self) -> None:
        self._told: set[int] = set()
        self._binned: set[int] = set()
        #: From here on (Unix ms) each deletion has its event: a store of format 1 that was upgraded has older ones.
        self._since: int | None = None

    def note(self, event: Event) -> None:
        """Take in an event of the trail, the oldest first."""
        if self._since is None and event.number:
            self._since = event.at if event.number > 1 else 0
        if event.action in (DELETE, EMPTY) and event.phase in (Phase.ONE, Phase.BATCH):
            self._told.update(event.copies)
        if event.action == BIN and event.phase in (Phase.ONE, Phase.BATCH):
            self._binned.update(event.copies)

    def problems(
        self, vault: Vault, deleted: Iterable[tuple[int, list[int]]], binned: Iterable[int]
    ) -> Iterator[tuple[str, str]]:
        """Find disagreements: what operators `deleted` (times of tombstones, and ids), what they put into the
        bin, and what is there.
        """
        since = self._since or 0
        untold = {copy_id for at, ids in deleted if at >= since for copy_id in ids} - self._told
        if untold:
            yield "events", f"copies were deleted, and no event says so: {ranges(CopyIds.of(untold), _SHOWN)}"
        if untold := set(binned) - self._binned:
            yield "events", f"copies went into the bin, and no event says so: {ranges(CopyIds.of(untold), _SHOWN)}"
        if back := vault.present(sorted(self._told)) | vault.present_in_bin(sorted(self._told)):
            yield "events", f"they say that copies were deleted that are there: {ranges(CopyIds.of(back), _SHOWN)}"


def folded(events: Sequence[Event], now: int) -> list[Event]:
    """Events, newest first, those of one act as one: all its copies, and how far it came where it did not end whole.

    `now` is Unix ms: an act without an end that a part was told of a minute ago is under way, else it was interrupted.
    """
    found: list[Event] = []
    acts: dict[int, tuple[int, list[Event]]] = {}
    for event in events:
        act = event.act or (event.number if event.phase == Phase.INTENT or event.number in acts else 0)
        if not act or event.damage:
            found.append(event)
        elif act in acts:
            acts[act][1].append(event)
        else:
            acts[act] = len(found), [event]
            found.append(event)
    for place, parts in acts.values():
        found[place] = _as_one(parts, now)
    return found


def _as_one(parts: list[Event], now: int) -> Event:
    """Combine an act's events, newest first, into one."""
    newest, oldest = parts[0], parts[-1]
    copies = CopyIds.of(copy_id for part in parts if part.phase in (Phase.ONE, Phase.BATCH) for copy_id in part.copies)
    end = next((part.detail for part in parts if part.phase == Phase.END), None)
    told = [part.detail for part in parts if part.phase in (Phase.ONE, Phase.INTENT) and part.detail]
    if end is None:
        meant = sum(len(part.copies) for part in parts if part.phase == Phase.INTENT)
        so_far = f"{len(copies):,} of {meant:,}" if meant else f"{len(copies):,}"
        told.append(f"under way: {so_far}" if now - newest.at < _UNDER_WAY else f"interrupted after {so_far}")
    elif not is_whole(end):
        told.append(end)
    return oldest._replace(id=newest.id, at=newest.at, copies=copies, detail="; ".join(told))


def is_whole(end: str) -> bool:
    """Whether the detail of an act's end says that all was done that was meant."""
    done, of, size = end.partition(" of ")
    return done == size if of else ";" not in end
