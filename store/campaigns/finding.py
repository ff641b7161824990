"""Finds the campaigns of a store: makes missing traits, groups copies, assigns ids and texts, stores all of it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from store.campaigns.arrivals import Arrivals
from store.campaigns.due import apart_digest, enough_new
from store.campaigns.flags import flags_of
from store.campaigns.grouping import Handle
from store.campaigns.indexing import index, traits_of
from store.campaigns.joining import Joiner
from store.campaigns.lasting import kept_ids
from store.campaigns.lease import Lease, LeaseLost
from store.campaigns.marks import Marks, read_marks
from store.campaigns.material import Entry, entry_of
from store.campaigns.packing import unpacked
from store.campaigns.rows import JoinedRow
from store.campaigns.sampling import grouped_by_sample
from store.campaigns.standing import Campaign
from store.campaigns.stored import Found, FoundMeanwhile, State, Stored
from store.campaigns.titles import Speller
from store.helpers.clock import now_ms
from store.terms.errors import TamperedError
from store.terms.progress import Cancelled, Progress
from store.vault.vault import Vault

#: Seconds between checks for the result of another process. If finding takes at most `_SOON_MS`, any change is enough
#: for a new one.
_WAIT, _SOON_MS = 0.2, 5_000
#: Copies per read.
_READ = 2000


@dataclass
class FindResult:
    """The result of `find`.

    `indexed`: copies that got traits; `failed`: copies that could not be read (id, reason); `left`: copies still
    without traits. `grouped`: campaigns were found anew; `campaigns`: their number now. If `cancelled`, the previous
    campaigns remain.
    """

    indexed: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    left: int = 0
    grouped: bool = False
    campaigns: int = 0
    cancelled: bool = False


class _Cancelled(Exception):
    """The caller cancelled the finding."""


def find(
    vault: Vault,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    again: bool = False,
) -> FindResult:
    """Make missing traits, let new copies join, and find campaigns anew if enough changed.

    If another process is finding them, wait for its result. `again`: find anew in any case. `progress` is called with
    numbers of copies; `cancelled` is called between steps. Raises StoreUnavailable, UnlockError, TamperedError if the
    operators' marks do not verify.
    """
    cancelled = cancelled or (lambda: False)
    lease = Lease(vault)
    newest = vault.id_range()[1]
    while True:
        if lease.take():
            try:
                with lease.kept():
                    stored = Stored(vault, guard=lease.guard)
                    return find_leased(vault, stored, progress=progress, cancelled=cancelled, again=again)
            except LeaseLost:
                continue  # This process was paused for longer than the lease lasts.
        state = Stored(vault).state_or_new()
        if state.generation and state.looked >= newest and not again:
            return FindResult(campaigns=len(state.order))
        if cancelled():
            return FindResult(campaigns=len(state.order), cancelled=True)
        time.sleep(_WAIT)


def find_leased(
    vault: Vault,
    stored: Stored,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled,
    again: bool = False,
) -> FindResult:
    """Do `find` while holding the lease that the guard of `stored` checks. Also raises LeaseLost."""
    made = index(vault, progress=progress, cancelled=cancelled)
    result = FindResult(made.indexed, made.failed, made.left)
    state = stored.state_or_new()
    result.campaigns = len(state.order)
    if made.left or cancelled():
        result.cancelled = True
        return result
    marks, _ = read_marks(vault)
    if not again and not _enough_changed(vault, state, marks):
        arrivals = Arrivals(vault, stored)
        while arrivals.look():
            if cancelled():
                result.cancelled = True
                break
        return result

    def stop() -> None:
        if cancelled():
            raise _Cancelled

    try:
        result.campaigns = len(_found(vault, stored, marks, stop).order)
        result.grouped = True
    except FoundMeanwhile:
        result.campaigns = len(stored.state_or_new().order)
    except _Cancelled:
        result.cancelled = True
    return result


def pairs_apart(marks: Marks) -> list[tuple[int, int]]:
    """Return pairs of a peeled-off copy and a copy that it must not be grouped with."""
    return [(copy_id, one.stays) for one in marks.peeled for copy_id in one.copies]


def entries_of(vault: Vault, ids: Sequence[int]) -> Iterator[Entry]:
    """Yield the entries of those copies that have traits, in Backup or in the bin, in order of id."""
    traits = traits_of(vault)
    for start in range(0, len(ids), _READ):
        part = ids[start : start + _READ]
        yield from _entries(vault, sorted({**traits.read(part, binned=True), **traits.read(part)}.items()))


def entries(vault: Vault, after_id: int = 0, until: int = (1 << 63) - 1) -> Iterator[Entry]:
    """Yield the entries of Backup's copies in this range of ids, in order of id. Skips missing and damaged traits."""
    for batch in traits_of(vault).batches(after_id, until):
        yield from _entries(vault, batch)


def _entries(vault: Vault, rows: Sequence[tuple[int, bytes]]) -> Iterator[Entry]:
    flags = flags_of(vault, [copy_id for copy_id, _ in rows])
    for copy_id, data in rows:
        try:
            traits = unpacked(data, f"the traits of copy {copy_id}").traits
        except TamperedError:
            continue
        yield entry_of(copy_id, traits, flags[copy_id]) if copy_id in flags else entry_of(copy_id, traits)


def _enough_changed(vault: Vault, state: State, marks: Marks) -> bool:
    """Return True if enough copies came since the last finding (any change, if finding is quick), or marks changed."""
    if not state.generation or state.apart != apart_digest(marks):
        return True
    new = vault.count_above(state.until) + len(state.returned)
    if state.took > _SOON_MS:
        return enough_new(state, new)
    return new > 0 or _there(vault) != state.grouped


def _there(vault: Vault) -> int:
    count = vault.count()
    return count.messages + count.binned


def _found(vault: Vault, stored: Stored, marks: Marks, stop: Callable[[], None]) -> State:
    begun = time.monotonic()
    bin_row, until, there = vault.bin.newest_row(), vault.newest_id(), _there(vault)
    # Copies in the bin are grouped too: copies like them belong with them, and a restored copy has its place at once.
    traits = traits_of(vault)
    there_are = array("Q", sorted({*traits.having(until=until), *traits.having(until=until, binned=True)}))
    stop()
    handles = grouped_by_sample(
        there_are, lambda some: entries_of(vault, some), apart=pairs_apart(marks), stop=stop
    ).handles
    stop()
    rows = stored.read()
    ids = _ids(rows.campaigns, rows.joined, handles, max(stored.state_or_new().following, _said(marks) + 1))
    known = {key: text for one in rows.campaigns for key, text in one.texts.items()}
    speller = Speller(vault, known, stop)
    found = [Found(number, one, *speller.spelled(one)) for number, one in zip(ids, handles, strict=True)]
    joined, looked = _joined_already(vault, ids, handles, until)
    state = State(
        following=max([0, *ids]) + 1,
        found_at=now_ms(),
        took=round((time.monotonic() - begun) * 1000),
        grouped=there,
        until=until,
        apart=apart_digest(marks),
        looked=looked,
        bin_row=bin_row,
    )
    stop()
    return stored.put_found(state, found, joined)


def _ids(
    campaigns: tuple[Campaign, ...], joined: Mapping[int, JoinedRow], handles: tuple[Handle, ...], following: int
) -> list[int]:
    old = {one.id: list(one.copies) for one in campaigns}
    for copy_id, row in joined.items():
        if row.campaign in old and not row.reasons:
            old[row.campaign].append(copy_id)
    return kept_ids(old, [one.copies for one in handles], following)


def _said(marks: Marks) -> int:
    """Return the highest campaign id in the operators' marks; new campaigns get higher ids."""
    said = [one.campaign for one in marks.marks] + [one.into for one in marks.marks]
    return max([0, *said, *(one.campaign for one in marks.peeled)])


def _joined_already(
    vault: Vault, ids: list[int], handles: tuple[Handle, ...], until: int
) -> tuple[dict[int, JoinedRow], int]:
    """Let copies that arrived during the finding join, up to the first without traits.

    Returns them and the last id handled.
    """
    joiner = Joiner(handles)
    joined: dict[int, JoinedRow] = {}
    lacking = traits_of(vault).lacking(after_id=until)
    looked = until
    for entry in entries(vault, until, min(lacking, default=1 << 62) - 1):
        place = joiner.join(entry)
        looked = entry.copy
        if place is not None:
            joined[entry.copy] = JoinedRow(0, ids[place.handle], place.fit, place.reasons)
    return joined, looked
