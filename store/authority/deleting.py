"""Operators' deletions, into the bin or for good, and bringing copies back. Each batch is recorded in the trail, in its
transaction.

    delete_copies(vault, ids, operator=…)              into the bin; for good if the setting `bin_days` is 0
    delete_copies(vault, ids, operator=…, for_good=True)
    bring_back(vault, ids, operator=…)                 out of the bin, as the copies were
    empty_bin(vault, ids, operator=…)                  out of the bin for good
    last_act(vault, operator)                          the newest act with copies in the bin: `vault.bin.ids(act.act)`

On a full disk a row cannot be moved. Then the bin is emptied, the oldest deletions first, until there is room; copies
that still do not fit are deleted for good. `DeleteResult.notes` reports both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from store.authority.acts import BIN, DELETE, EMPTY, RESTORE, Act
from store.authority.settings import settings_or_former
from store.helpers.clock import now_ms
from store.vault.deleting import DeleteResult, Spare, spare_none

if TYPE_CHECKING:
    from store.vault.bin import BinAct, RestoreResult
    from store.vault.vault import Vault

Progress = Callable[[int, int], None]
Cancelled = Callable[[], bool]
DAY_MS = 86_400_000
#: Copies of the bin deleted at once when the disk is full.
_EMPTIED = 500
FULL = "The disk is full"


def delete_copies(
    vault: Vault,
    ids: Sequence[int],
    *,
    operator: str,
    for_good: bool = False,
    days: int | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
    spare: Spare = spare_none,
) -> DeleteResult:
    """Delete copies: into the bin (`DeleteResult.binned`), or for good (`deleted`) with `for_good` or without a bin.

    `days` is how long the bin keeps them (0 = no bin); default: the setting. Pass the number of days that the operator
    was shown, in case the setting changes in between. Refused are copies with a live delivery, and those that `spare`
    returns for a batch, called inside its transaction. Raises StoreUnavailable, UnlockError, and any error of `spare`.
    """
    if days is None:
        days = settings_or_former(vault).bin_days
    if for_good or not days:
        return _delete(vault, ids, operator, progress, cancelled, spare)
    result = DeleteResult(until=now_ms() + days * DAY_MS)
    left = _into_bin(vault, ids, operator, result, progress, cancelled, spare)
    if left:
        rest = _delete(vault, left, operator, progress, cancelled, spare)
        result.deleted, result.left = rest.deleted, rest.left
        result.missing += rest.missing
        result.refused += rest.refused
        result.notes.append(f"{FULL}: {_copies(rest.deleted)} deleted permanently, because the bin had no room.")
    if result.binned:
        vault.after_delete()
    return result


def _into_bin(
    vault: Vault,
    ids: Sequence[int],
    operator: str,
    result: DeleteResult,
    progress: Progress | None,
    cancelled: Cancelled | None,
    spare: Spare,
) -> list[int]:
    """Put copies into the bin, as one act. Return those that do not fit on the disk, even with the rest of the bin
    emptied.
    """
    left = list(ids)
    with Act(vault, BIN, operator=operator, copies=ids) as act:
        while True:
            done = vault.bin.put(
                left,
                until=result.until,
                operator=operator,
                act=result.act,
                progress=_behind(progress, len(ids) - len(left), len(ids)),
                cancelled=cancelled,
                told=act.part,
                spare=spare,
            )
            result.act = done.act
            result.binned += done.binned
            result.missing += done.missing
            result.refused += done.refused
            left = done.left
            if not done.full or not _make_room(vault, result, operator):
                break
        act.reached(len(result.binned))
        if cancelled is not None and cancelled():
            act.stopped = "cancelled"
        elif done.full:
            act.stopped = "the disk is full"
    return left if done.full else []


def _make_room(vault: Vault, result: DeleteResult, operator: str) -> bool:
    """Delete up to _EMPTIED copies of the bin for good on a full disk, oldest first. Return True if any were
    deleted.
    """
    own = set(result.binned)
    with vault.reading():
        oldest = [copy_id for copy_id, _ in vault.bin.oldest(_EMPTIED) if copy_id not in own]
    gone = len(empty_bin(vault, oldest, operator=operator).deleted) if oldest else 0
    if gone:
        result.emptied += gone
        what = f"{FULL}: {_copies(range(result.emptied))} deleted permanently from the bin, the oldest first."
        result.notes[:] = [each for each in result.notes if "from the bin" not in each] + [what]
    return gone > 0


def _delete(
    vault: Vault,
    ids: Sequence[int],
    operator: str,
    progress: Progress | None,
    cancelled: Cancelled | None,
    spare: Spare,
) -> DeleteResult:
    with Act(vault, DELETE, operator=operator, copies=ids) as act:
        result = vault.delete(
            ids, operator=operator, progress=progress, cancelled=cancelled, buried=act.part, spare=spare
        )
        act.reached(len(result.deleted))
        if cancelled is not None and cancelled():
            act.stopped = "cancelled"
    return result


def bring_back(
    vault: Vault,
    ids: Sequence[int],
    *,
    operator: str,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> RestoreResult:
    """Bring copies back out of the bin, unchanged. The result names those that are no longer there.

    Raises StoreUnavailable, UnlockError.
    """
    with Act(vault, RESTORE, operator=operator, copies=ids) as act:
        result = vault.bin.restore(ids, operator=operator, progress=progress, cancelled=cancelled, told=act.part)
        act.reached(len(result.restored))
        if cancelled is not None and cancelled():
            act.stopped = "cancelled"
    return result


def empty_bin(
    vault: Vault,
    ids: Sequence[int],
    *,
    operator: str,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> DeleteResult:
    """Delete copies in the bin for good, overwritten as in any deletion. Raises StoreUnavailable, UnlockError."""
    with Act(vault, EMPTY, operator=operator, copies=ids) as act:
        result = vault.bin.empty(ids, operator=operator, progress=progress, cancelled=cancelled, told=act.part)
        act.reached(len(result.deleted))
        if cancelled is not None and cancelled():
            act.stopped = "cancelled"
    if result.deleted:
        vault.after_delete()
    return result


def last_act(vault: Vault, operator: str) -> BinAct | None:
    """Find this operator's newest act that has copies in the bin (`vault.bin.ids(act.act)`); None without one."""
    return next((each for each in vault.bin.acts() if each.operator == operator and each.at), None)


def _behind(progress: Progress | None, before: int, size: int) -> Progress | None:
    return None if progress is None else lambda done, _of: progress(before + done, size)


def _copies(copies: Sequence[int] | range) -> str:
    return "1 copy was" if len(copies) == 1 else f"{len(copies):,} copies were"
