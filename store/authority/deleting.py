"""Operators' deletions, into the bin or for good, and bringing copies back. Each batch is recorded in the trail, in its
transaction.

    delete_copies(vault, ids, operator=…)              into the bin; for good if the setting `bin_days` is 0
    delete_copies(vault, ids, operator=…, for_good=True)
    bring_back(vault, ids, operator=…)                 out of the bin, as the copies were
    empty_bin(vault, ids, operator=…)                  out of the bin for good
    last_act(vault, operator)                          the newest act with copies in the bin: `vault.bin.ids(act.act)`

Moving a copy into the bin takes some space. Copies for which a full disk has none stay in Backup, in
`DeleteResult.no_room`. Nothing is deleted for good unless the caller asks for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from store.authority.acts import BIN, DELETE, EMPTY, RESTORE, Act
from store.authority.settings import settings_or_former
from store.helpers.clock import DAY_MS, now_ms
from store.terms.progress import Cancelled, Progress
from store.vault.bin import LEAST_FULL
from store.vault.deleting import DeleteResult, Spare, spare_none

if TYPE_CHECKING:
    from store.vault.bin import BinAct, RestoreResult
    from store.vault.vault import Vault

NO_ROOM = "the disk is full: the bin has no room"


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
    was shown, in case the setting changes in between. Refused are copies with a live delivery, those that `spare`
    returns for a batch, called inside its transaction, and on a full disk those that do not fit into the bin (also in
    `no_room`). Raises StoreUnavailable, UnlockError, and any error of `spare`.
    """
    if days is None:
        days = settings_or_former(vault).bin_days
    if for_good or not days:
        return _delete(vault, ids, operator, progress, cancelled, spare)
    result = DeleteResult(until=now_ms() + days * DAY_MS)
    with _move(vault, BIN, operator, ids) as act:
        done = vault.bin.put(
            ids,
            until=result.until,
            operator=operator,
            progress=progress,
            cancelled=cancelled,
            told=act.part,
            spare=spare,
        )
        act.reached(len(done.binned))
        if done.full:
            act.stopped = "the disk is full"
            result.no_room = done.left
        elif cancelled is not None and cancelled():
            act.stopped = "cancelled"
    result.act, result.binned, result.missing = done.act, done.binned, done.missing
    result.refused = [*done.refused, *((copy_id, NO_ROOM) for copy_id in result.no_room)]
    if result.binned:
        vault.after_delete()
    return result


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
    with _move(vault, RESTORE, operator, ids) as act:
        result = vault.bin.restore(ids, operator=operator, progress=progress, cancelled=cancelled, told=act.part)
        act.reached(len(result.restored))
        if result.full:
            act.stopped = "the disk is full"
        elif cancelled is not None and cancelled():
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


def _move(vault: Vault, action: str, operator: str, ids: Sequence[int]) -> Act:
    """Make the act of moving copies; on a full disk they are moved in small parts."""
    if vault.room.is_short():
        return Act(vault, action, operator=operator, copies=ids, one_part=LEAST_FULL)
    return Act(vault, action, operator=operator, copies=ids)
