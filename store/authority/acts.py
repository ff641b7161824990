"""Acts on many copies, recorded in the trail while they run: one event for the intent, one per part, one for the end.

Each part is recorded in the transaction that does it. If the process is killed, the act has no end, and its parts show
how far it came. An act of one part is a single event. Deleting, bringing back and emptying are in
`store.authority.deleting`.
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
#: An act of up to so many copies is one part, without an event for the intent.
ONE_PART = 100
#: Max runs of copies in the event for the intent.
_RUNS = 2000
#: An act without an end is under way if its newest event is younger than this (ms), else interrupted.
_UNDER_WAY = 60_000
#: Max runs of ids named in a problem.
_SHOWN = 8


class Act:
    """One act of an operator, recorded in the trail.

    A context manager: leaving it records the end with the number done. `copies` are the copies to act on, or `size` is
    their number. Up to `one_part` copies are one part; None means that the number is not known, and the intent is
    recorded in any case. Raises UnlockError if the keys at hand can only read.
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
        #: Number of copies done: those of the recorded parts, unless `reached` says otherwise.
        self.done = 0
        #: Why the act ended early, if known.
        self.stopped = ""

    def __enter__(self) -> Act:
        if self._many:
            self._tell_intent()
        return self

    def _tell_intent(self) -> None:
        copies, detail = CopyIds.of(self._copies), self._detail
        if len(copies.runs) > _RUNS:
            # With very many runs, record only the number: each part names its own copies.
            detail = "; ".join(part for part in (f"{len(copies):,} copies", detail) if part)
            copies = CopyIds(())
        try:
            self._number = self._vault.room.with_space(lambda: self._record(Phase.INTENT, copies, detail))
        except DiskFull:
            # On a full disk deleting makes room: record each part, without an event for the intent.
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
            pass  # The parts are recorded, so the missing end (again a full disk, say) loses nothing.

    def part(self, copies: Iterable[int], detail: str = "") -> None:
        """Record a part, in the transaction that does it; `detail` describes that part only."""
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
        """Set the number of copies done: a part that was rolled back and repeated was counted twice."""
        self._told = self.done = done

    def _end(self, why: str) -> None:
        told = f"{self.done:,} of {self._size:,}" if self._size else f"{self.done:,}"
        self._vault.room.with_space(lambda: self._record(Phase.END, (), f"{told}; {why}" if why else told))

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
    """The deletions that the trail records, to compare with the tombstones and the copies."""

    def __init__(self) -> None:
        self._told: set[int] = set()
        self._binned: set[int] = set()
        #: Time (Unix ms) from which every deletion has an event; earlier ones may have none if the store was upgraded
        #: from format 1.
        self._since: int | None = None

    def note(self, event: Event) -> None:
        """Add an event of the trail. Call with the oldest event first."""
        if self._since is None and event.number:
            self._since = event.at if event.number > 1 else 0
        if event.action in (DELETE, EMPTY) and event.phase in (Phase.ONE, Phase.BATCH):
            self._told.update(event.copies)
        if event.action == BIN and event.phase in (Phase.ONE, Phase.BATCH):
            self._binned.update(event.copies)

    def problems(
        self, vault: Vault, deleted: Iterable[tuple[int, list[int]]], binned: Iterable[int]
    ) -> Iterator[tuple[str, str]]:
        """Yield disagreements between the trail and the store.

        `deleted` are the operators' tombstones (time in Unix ms, copy ids), `binned` the copies that they put into the
        bin.
        """
        since = self._since or 0
        untold = {copy_id for at, ids in deleted if at >= since for copy_id in ids} - self._told
        if untold:
            yield "events", f"copies were deleted, but no event records it: {ranges(CopyIds.of(untold), _SHOWN)}"
        if untold := set(binned) - self._binned:
            yield (
                "events",
                f"copies were moved into the bin, but no event records it: {ranges(CopyIds.of(untold), _SHOWN)}",
            )
        if back := vault.present(sorted(self._told)) | vault.present_in_bin(sorted(self._told)):
            yield "events", f"they record the deletion of copies that still exist: {ranges(CopyIds.of(back), _SHOWN)}"


def folded(events: Sequence[Event], now: int) -> list[Event]:
    """Merge the events of each act into one, with all its copies, and how far it came if it did not finish.

    Newest first. `now` is Unix ms. An act without an end whose newest event is less than a minute old is under way,
    else interrupted. If the first event of an act is not among `events`, it is `cut_off`.
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


def cut_off(event: Event) -> bool:
    """Return True if a folded event lacks the older events of its act: it concerns more copies than it names."""
    return bool(event.act) and not event.damage


def _as_one(parts: list[Event], now: int) -> Event:
    """Combine an act's events, newest first, into one."""
    newest, oldest = parts[0], parts[-1]
    copies = CopyIds.union(part.copies for part in parts if part.phase in (Phase.ONE, Phase.BATCH))
    end = next((part.detail for part in parts if part.phase == Phase.END), None)
    told = [part.detail for part in parts if part.phase in (Phase.ONE, Phase.INTENT) and part.detail]
    if end is None:
        meant = sum(len(part.copies) for part in parts if part.phase == Phase.INTENT)
        so_far = f"{len(copies):,} of {meant:,}" if meant else f"{len(copies):,}"
        under_way = now - newest.at < _UNDER_WAY
        if cut_off(oldest):
            told.append("under way" if under_way else "interrupted")
        else:
            told.append(f"under way: {so_far}" if under_way else f"interrupted after {so_far}")
    elif not is_whole(end):
        told.append(end)
    return oldest._replace(id=newest.id, at=newest.at, copies=copies, detail="; ".join(told))


def is_whole(end: str) -> bool:
    """Return True if the detail of an act's end says that every copy was done."""
    done, of, size = end.partition(" of ")
    return done == size if of else ";" not in end
