"""Undo a deletion: its copies that are still in the bin come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from store.authority.audit import record_event
from store.authority.deleting import bring_back, delete_copies
from store.authority.settings import settings_or_former
from store.helpers.runs import ranges
from store.terms.progress import Cancelled, Progress
from store.undoing.plans import Told
from store.vault import live_deliveries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.undoing.plans import PastAct
    from store.vault.vault import Vault

_ALREADY = "{} in Backup already"
_GONE = "{} gone for good: rotated out, expired in the bin, or deleted from it"
_OTHER = "{} deleted again by a later act"
#: Maximum difference (ms) between the times that the bin and the trail note for one batch.
_SLACK_MS = 60_000
#: Most ranges of ids named with a reason.
_SHOWN = 8
_REFUSED = "{} left as before: {}"
_MISSING = "{} no longer in Backup"
_LIVE = "{} kept in Backup because of an unfinished delivery"
_NO_BIN = "there is no bin (bin_days is 0), so deleting again would be for good: delete the copies in Backup instead"


class _Found(NamedTuple):
    """Where an act's copies are: in the bin by that act, in the bin by others, in Backup, or gone."""

    own: list[int]
    others: int
    present: list[int]
    gone: int


class Deleted:
    """Acts that put copies into the bin."""

    def what(self, act: PastAct) -> str:
        """Describe the act in a few words."""
        return f"{_counted(len(act.event.copies), 'message copy', 'message copies')} deleted"

    def plan(self, vault: Vault, act: PastAct, *, again: bool) -> Told:
        """Plan which copies would come back, or be deleted again. Raises TamperedError, StoreUnavailable."""
        found = _where(vault, act)
        if again:
            able, why = _able_again(vault, found)
            return Told((f"{_counted(len(able), 'copy', 'copies')} moved to the bin again",) if able else (), why)
        does = (f"{_counted(len(found.own), 'copy', 'copies')} brought back from the bin",) if found.own else ()
        return Told(does, _does_not(len(found.present), found.others, found.gone))

    def do(
        self, vault: Vault, act: PastAct, *, again: bool, operator: str, progress: Progress, cancelled: Cancelled
    ) -> Told:
        """Restore the copies, or delete them again. Raises TamperedError, StoreUnavailable, UnlockError."""
        found = _where(vault, act)
        if again:
            return _again(vault, act, found, operator, progress, cancelled)
        done = bring_back(vault, found.own, operator=operator, progress=progress, cancelled=cancelled)
        does = (f"{_counted(len(done.restored), 'copy', 'copies')} brought back from the bin",)
        does_not = _does_not(len(found.present) + len(done.there), found.others, found.gone + len(done.gone))
        does_not += _refusals(done.refused)
        if done.left:
            does_not += (_sentence(_REFUSED, len(done.left), "the task was cancelled"),)
        told = Told(does if done.restored else (), does_not)
        if done.restored and not done.left and not done.full:
            _tell(vault, act, told, operator, again=False)
        return told


def _able_again(vault: Vault, found: _Found) -> tuple[list[int], tuple[str, ...]]:
    """List the copies that can be moved into the bin again, and why the others cannot."""
    if found.present and not settings_or_former(vault).bin_days:
        return [], (_NO_BIN,)
    with vault.reading():
        live = live_deliveries.kept(vault.db, found.present)
    able = [copy_id for copy_id in found.present if copy_id not in live]
    kept = len(found.present) - len(able)
    return able, (_sentence(_LIVE, kept),) if kept else ()


def _again(vault: Vault, act: PastAct, found: _Found, operator: str, progress: Progress, cancelled: Cancelled) -> Told:
    """Delete the copies that came back. That is an act of its own, which can be undone."""
    able, kept = _able_again(vault, found)
    done = delete_copies(vault, able, operator=operator, progress=progress, cancelled=cancelled)
    does = (f"{_counted(len(done.binned), 'copy', 'copies')} moved to the bin again",) if done.binned else ()
    does_not = (*kept, *_refusals(done.refused))
    if done.missing:
        does_not += (_sentence(_MISSING, len(done.missing)),)
    left = len(able) - len(done.gone) - len(done.refused) - len(done.missing)
    if left:
        does_not += (_sentence(_REFUSED, left, "the task was cancelled"),)
    told = Told(does, does_not)
    if done.gone and not left and not done.no_room:
        _tell(vault, act, told, operator, again=True)
    return told


def _tell(vault: Vault, act: PastAct, told: Told, operator: str, *, again: bool) -> None:
    said = "; ".join((*told.does, *told.does_not))

    def record() -> None:
        record_event(
            vault,
            "redone" if again else "undone",
            operator=operator,
            detail=f"{act.event.action}: {said}",
            undoes=-act.number if again else act.number,
        )

    vault.room.with_space(record)


def _where(vault: Vault, act: PastAct) -> _Found:
    """Find where an act's copies are now. The bin's acts at the time of the act, by the same operator, belong to it."""
    meant = set(act.event.copies)
    first, last = min(part.at for part in act.parts), max(part.at for part in act.parts)
    own: set[int] = set()
    for each in vault.bin.acts():
        if each.operator == act.event.operator and first - _SLACK_MS <= each.at <= last + _SLACK_MS:
            own |= meant.intersection(vault.bin.ids(each.act))
    in_bin = set(vault.present_in_bin(sorted(meant - own)))
    present = set(vault.present(sorted(meant - own - in_bin)))
    return _Found(sorted(own), len(in_bin), sorted(present), len(meant) - len(own) - len(in_bin) - len(present))


def _refusals(refused: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """Write each reason once, with the number of its copies and the first of their ids."""
    ids: dict[str, list[int]] = {}
    for copy_id, why in refused:
        ids.setdefault(why, []).append(copy_id)
    return tuple(
        f"{f'copy {some[0]}' if len(some) == 1 else f'{len(some):,} copies ({ranges(sorted(some), _SHOWN)})'}: {why}"
        for why, some in ids.items()
    )


def _does_not(present: int, others: int, gone: int) -> tuple[str, ...]:
    counts = ((_ALREADY, present), (_OTHER, others), (_GONE, gone))
    return tuple(_sentence(text, count) for text, count in counts if count)


def _sentence(text: str, count: int, *more: str) -> str:
    return text.format(f"{count:,} {'copy is' if count == 1 else 'copies are'}", *more)


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
