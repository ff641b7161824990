"""Rotation: when the maximum size is exceeded, removes the oldest copies, and no more of them than needed.

The one exception: a put into a large store frees up to a megabyte more, so that the next puts need not rotate: finding
the oldest and signing their tombstone takes as long for one copy as for many.

In order: copies in the bin beyond its share (earliest deleted first), copies in the bin whose time is over, then the
oldest copies. The oldest is the one with the lowest id, so changes of the clock have no effect. Never removed: a copy
with a live delivery, and the newest copy. So a message always has its copy before an action is taken, even if that copy
alone exceeds the maximum.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import NamedTuple

from store.authority.settings import settings_or_former
from store.database.connection import DiskFull, pragma, pragma_to_its_end
from store.database.orm import SqliteDatabase
from store.helpers.clock import DAY_MS, now_ms
from store.space import limits
from store.space.bin import doomed_in_bin, expire, first_of, from_bin
from store.space.limits import Bounds
from store.space.notice import space_freed
from store.space.reclaiming import Reclaiming
from store.terms.errors import MailholdError, StoreError, StoreUnavailable
from store.terms.progress import Cancelled, Progress
from store.vault import live_deliveries, oldest
from store.vault.counters import counted, counters, put_right
from store.vault.deleting import ROTATED
from store.vault.vault import Vault

#: Period whose growth the forecast extrapolates.
WINDOW_MS = 7 * DAY_MS
#: A shorter life of the store says nothing about a day: an import takes a minute.
SHORTEST_MS = DAY_MS // 24
#: Forecasts further ahead than this are left out.
HORIZON_MS = 3650 * DAY_MS
#: Limits of one transaction, which keep the write lock for a few dozen milliseconds.
_BATCH_COPIES = 500
_BATCH_BYTES = 8 * 1024 * 1024
#: The byte limit on a full disk, where the write-ahead log has little room.
_BATCH_BYTES_FULL = 512 * 1024
#: Up to this excess the counter is trusted; beyond it the copies are counted.
_BELIEVED_BYTES = 2 * _BATCH_BYTES
_VACUUM_PAGES = 2000
#: What a put may free beyond the excess: a 100th of the maximum, up to so many bytes and copies. Nothing if the maximum
#: is smaller than `_SPARE_FROM`.
_SPARE_SHARE, _SPARE_BYTES, _SPARE_COPIES, _SPARE_FROM = 100, 1024 * 1024, 64, 64 * 1024 * 1024
#: Number of pages whose write-ahead log fits into the space of the ballast file.
_FEW_PAGES = 100


class RotateResult(NamedTuple):
    """Copies removed, bytes freed, and bytes still above the maximum (which nothing more can free)."""

    removed: int
    freed_bytes: int
    over_bytes: int


class Removal(NamedTuple):
    """What a smaller maximum would remove: `copies` of the `held` ones, with ids up to `last_id`, `freed_bytes` in all.

    `newest`: when the newest of them was placed (Unix ms, 0 if there is none). `binned`: copies of the bin that go
    before them.
    """

    copies: int = 0
    held: int = 0
    last_id: int = 0
    newest: int = 0
    freed_bytes: int = 0
    binned: int = 0

    @property
    def before(self) -> int:
        """The first whole minute (Unix ms) after the newest of them was placed."""
        return (self.newest // 60_000 + 1) * 60_000


class RemovesMore(StoreError):
    """The smaller maximum would now remove copies that were not confirmed (`removal`). Nothing was changed."""

    def __init__(self, removal: Removal) -> None:
        super().__init__(
            f"More copies arrived meanwhile: the new maximum would now remove {removal.copies:,} of {removal.held:,}. "
            "Nothing was changed. Check the new number and confirm again."
        )
        self.removal = removal


class Forecast(NamedTuple):
    """When rotation will reach the oldest copy, if copies keep arriving as in the last days.

    `reaches_oldest_at` (Unix ms): None if that is too far ahead to tell; not in the future once rotation has begun.
    `bytes_per_day`: the growth that it is computed from.
    """

    oldest: int | None
    bytes_per_day: int
    reaches_oldest_at: int | None


class Rotation:
    """The upkeep of a writable vault (`store.vault.upkeep.Upkeep`)."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        #: The maximum, and as of when.
        self._most: tuple[object, int | None] = (None, None)
        self.reclaiming = Reclaiming(vault)

    def after_put(self, used: int) -> int:
        """Remove the oldest copies if `used` bytes exceed the maximum. Returns the bytes still above it.

        Inside a transaction only one batch is removed. Raises StoreUnavailable.
        """
        at = self._vault.written()
        before, most = self._most
        if at is None or at != before:
            most = limits.maximum_or_last(self._vault)
            self._most = at, most
        if most is None or used <= most:
            return 0
        result = rotate(self._vault)
        self.reclaiming.removed(result.freed_bytes, most)
        return result.over_bytes

    def after_delete(self) -> None:
        """Remove expired copies from the bin, and arm the free space notice again if there is enough space now."""
        with suppress(MailholdError):  # The copies are deleted anyway; the next check of the notice reports the error.
            expire(self._vault)
            space_freed(self._vault)


def rotate(
    vault: Vault,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> RotateResult:
    """Remove the oldest copies until the store is within the maximum, in batches that hold the write lock shortly.

    Inside a transaction (of a put) only one batch is removed; the rest follows after the commit. `progress` is in
    bytes. Raises StoreUnavailable.
    """
    nested = vault.db.in_transaction()
    removed = freed = 0
    total: int | None = None
    made_room = False
    while True:
        began = time.perf_counter()
        try:
            with vault.write():
                most = None if nested else _BATCH_BYTES_FULL if made_room else _BATCH_BYTES
                over, ids, size, binned = _excess(vault, most, trusted=total is not None, spare=nested)
                total = max(over, 0) if total is None else total
                if ids and binned:
                    vault.bin.rotate(ids)
                elif ids:
                    vault.delete(ids, cause=ROTATED)
        except DiskFull:
            if nested or not vault.room.make():
                raise
            made_room = True
            continue
        if made_room:
            vault.room.done()
        removed += len(ids)
        freed += size
        if progress is not None and total:
            progress(min(freed, total), total)
        if not ids or over - size <= 0 or nested or (cancelled is not None and cancelled()):
            if made_room:
                vault.room.settle()
            return RotateResult(removed, freed, max(0, over - size))
        time.sleep(min((time.perf_counter() - began) / 5, 0.005))


def _excess(vault: Vault, most: int | None, *, trusted: bool, spare: bool) -> tuple[int, list[int], int, bool]:
    """Return the bytes above the maximum, the next copies to remove, their bytes, and whether these are in the bin.

    `most`: byte limit of the batch. The counter of used bytes is `trusted` only for a small excess. Before removing
    more than that, the copies are counted: a forged counter must not empty the store. With `spare`, copies of Backup
    that fit in `_spare_bytes` come on top of the excess.
    """
    bounds = limits.bounds_or_last(vault)
    if bounds is None:
        return 0, [], 0, False
    now = counters(vault.db)
    over = now.all_bytes - bounds.max_bytes
    if not trusted and over > _BELIEVED_BYTES:
        held = counted(vault.db)
        put_right(vault.db, held)
        now = now._replace(**held.told())
        over = now.all_bytes - bounds.max_bytes
    wanted = over if most is None else min(over, most)
    if wanted > 0 and (ids := from_bin(vault, now, bounds, wanted, _BATCH_COPIES)):
        return over, [copy_id for copy_id, _ in ids], sum(size for _, size in ids), True
    if wanted <= 0:
        return over, [], 0, False
    ids, size = [], 0
    more = _spare_bytes(bounds.max_bytes) if spare else 0
    messages = now.messages + now.binned
    about = min(_BATCH_COPIES, over * messages // max(now.all_bytes, 1) * 2 + (_SPARE_COPIES if more else 8))
    for limit in (about, _BATCH_COPIES):
        if size >= wanted:
            break
        ids, size = first_of(oldest.removable(vault.db, limit), wanted, wanted + more, _SPARE_COPIES if more else 0)
    return over, [copy_id for copy_id, _ in ids], size, False


def _spare_bytes(maximum: int) -> int:
    """Return how many bytes a put may free beyond the excess."""
    return min(maximum // _SPARE_SHARE, _SPARE_BYTES) if maximum >= _SPARE_FROM else 0


def removal_token(vault: Vault) -> object:
    """Return a cheap token that changes whenever the result of `would_remove` may change; compare for equality."""
    with vault.reading():
        return counters(vault.db), live_deliveries.token(vault.db)


def would_remove(vault: Vault, maximum: int, bin_share: int | None = None) -> Removal:
    """Estimate what `shrink` would remove with another maximum (bytes) and bin share (percent, None: unchanged).

    Reads every row: not for an event loop. Changes nothing. Copies with a live delivery stay, and so does the newest.
    """
    with vault.reading():
        now = counters(vault.db)
        if now.all_bytes - maximum > _BELIEVED_BYTES:
            now = now._replace(**counted(vault.db).told())
        over = now.all_bytes - maximum
        if over <= 0:
            return Removal(held=now.messages)
        share = Bounds.of(maximum, settings_or_former(vault).bin_share if bin_share is None else bin_share)
        binned, size = doomed_in_bin(vault, now, share, over)
        if over <= size:
            return Removal(held=now.messages, binned=binned)
        copies, last_id, newest, freed = oldest.doomed(vault.db, over - size)
    return Removal(copies, now.messages, last_id, newest, freed, binned)


def shrink(
    vault: Vault,
    *,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> RotateResult:
    """Rotate to a smaller maximum, and return the file's free space beyond it to the disk."""
    result = rotate(vault, progress=progress, cancelled=cancelled)
    try:
        give_back(vault, cancelled=cancelled)
    except DiskFull:
        while vault.room.make():  # returning space needs some space itself
            with suppress(StoreUnavailable):
                give_back(vault, cancelled=cancelled, batch=_FEW_PAGES)
                break
        vault.room.settle()
    except StoreUnavailable:
        pass  # The database is busy: the free pages stay in the file for new copies.
    return result


def give_back(vault: Vault, *, cancelled: Cancelled | None = None, batch: int = _VACUUM_PAGES) -> int:
    """Cut free pages off a SQLite file that is larger than the maximum; returns the bytes.

    PostgreSQL needs none of this. Free pages within the maximum stay, for new copies. Pages go through the write-ahead
    log `batch` at a time; it is emptied in between. Raises StoreUnavailable if others keep the file busy.
    """
    if not isinstance(vault.db, SqliteDatabase) or vault.db.in_transaction():
        return 0
    if (most := limits.maximum_or_last(vault)) is None:
        return 0
    page_size = _pragma(vault, "page_size")
    before = _pragma(vault, "page_count")
    while not (cancelled is not None and cancelled()):
        pages, free = _pragma(vault, "page_count"), _pragma(vault, "freelist_count")
        surplus = min(free, pages - most // page_size, batch)
        if surplus <= 0:
            break
        with vault.writing():
            pragma_to_its_end(vault.db, "wal_checkpoint(TRUNCATE)")
            pragma_to_its_end(vault.db, f"incremental_vacuum({surplus})")
        if _pragma(vault, "page_count") >= pages:
            break
    with vault.writing():
        pragma_to_its_end(vault.db, "wal_checkpoint(TRUNCATE)")
    return max(0, before - _pragma(vault, "page_count")) * page_size


def _pragma(vault: Vault, name: str) -> int:
    with vault.reading():
        return int(pragma(vault.db, name))


def forecast(vault: Vault, *, now: int | None = None) -> Forecast:
    """Estimate when rotation will reach the oldest copy. Reads the last days' sizes: not for an event loop."""
    moment = now_ms() if now is None else now
    usage = limits.usage(vault)
    if usage.oldest is None:
        return Forecast(None, 0, None)
    if moment <= usage.oldest:
        return Forecast(usage.oldest, 0, None)
    window = max(SHORTEST_MS, min(WINDOW_MS, moment - usage.oldest))
    with vault.reading():
        grown = oldest.placed_since(vault.db, moment - window)
    per_day = grown * DAY_MS // window
    if not usage.max_bytes:
        return Forecast(usage.oldest, per_day, None)
    ahead = usage.free_bytes * window // grown if grown else HORIZON_MS + 1
    return Forecast(usage.oldest, per_day, moment + ahead if ahead <= HORIZON_MS else None)
