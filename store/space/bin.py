"""How much the bin keeps, and how long: its share of the maximum size, the end of its copies' time, and promises.

Copies within the bin's share are kept like any other. Copies beyond it are removed first when Backup is full, those
deleted earliest first. A promise estimates how long a copy in the bin will last at the rate of the last days. Times are
Unix milliseconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from store.authority import configuration
from store.authority.settings import NAME, Settings
from store.helpers.clock import DAY_MS, now_ms
from store.space.limits import Bounds, Usage, usage
from store.terms.errors import StoreFormat, TamperedError
from store.terms.progress import Cancelled
from store.vault import binned, oldest
from store.vault.bin_contents import BinAct
from store.vault.counters import Counters
from store.vault.vault import Vault

#: Period over which the rate is measured.
_WINDOW_MS = 7 * DAY_MS
#: Limits of one transaction: copies, bytes.
_BATCH_COPIES, _BATCH_BYTES = 500, 8 * 1024 * 1024
_ALL = 1 << 31
#: Number of copies whose sizes are read at once.
_SIZES = 1000


class Promise(NamedTuple):
    """How long copies in the bin (`size` bytes) can be restored.

    `until`: when their time ends (Unix ms). `lasts`: ms until they are removed earlier, at the current rate; None if
    they are not, or if no rate is known.
    """

    until: int
    lasts: int | None = None

    @property
    def is_certain(self) -> bool:
        """Whether they stay until `until` at the rate of the last days."""
        return self.lasts is None


def first_of(
    copies: Iterable[tuple[int, int]], wanted: int, most: int = 0, more: int = 0
) -> tuple[list[tuple[int, int]], int]:
    """Return the first of `copies` (id, bytes) that together have `wanted` bytes, and their bytes.

    Up to `more` of the next ones are added as long as all together have no more than `most` bytes.
    """
    found: list[tuple[int, int]] = []
    size = 0
    for copy in copies:
        if size >= wanted:
            if not more or size + copy[1] > most:
                break
            more -= 1
        found.append(copy)
        size += copy[1]
    return found, size


def from_bin(vault: Vault, now: Counters, bounds: Bounds, wanted: int, limit: int) -> list[tuple[int, int]]:
    """Return up to `limit` copies of the bin (id, bytes) that must go first to free `wanted` bytes.

    First those beyond the bin's share, earliest deleted first; then those whose time is over. Call in a transaction.
    """
    if not now.binned:
        return []
    beyond = min(wanted, now.binned_bytes - bounds.bin_bytes)
    if beyond > 0 and (found := first_of(vault.bin.oldest(limit), beyond)[0]):
        return found
    return first_of(vault.bin.oldest(limit, expired=now_ms()), wanted)[0]


def doomed_in_bin(vault: Vault, now: Counters, bounds: Bounds, wanted: int) -> tuple[int, int]:
    """Return how many copies of the bin must go first to free `wanted` bytes, and their bytes.

    Reads the whole bin. Call in a transaction or in `reading`.
    """
    if not now.binned:
        return 0, 0
    beyond = min(wanted, max(0, now.binned_bytes - bounds.bin_bytes))
    found, size = first_of(vault.bin.oldest(_ALL), beyond)
    if size < wanted:
        gone = {copy_id for copy_id, _ in found}
        over = (each for each in vault.bin.oldest(_ALL, expired=now_ms()) if each[0] not in gone)
        more, more_size = first_of(over, wanted - size)
        return len(found) + len(more), size + more_size
    return len(found), size


def expire(vault: Vault, *, now: int | None = None, cancelled: Cancelled | None = None) -> int:
    """Remove the copies whose time in the bin is over; returns how many.

    Works in batches that hold the write lock shortly. Cheap if there are none. Raises StoreUnavailable.
    """
    moment = now_ms() if now is None else now
    removed = 0
    if not vault.bin.totals()[0]:
        return 0
    while not (cancelled is not None and cancelled()):
        end = vault.bin.next_end()
        if end is None or end > moment:
            break
        with vault.write():
            found = first_of(vault.bin.oldest(_BATCH_COPIES, expired=moment), _BATCH_BYTES)[0]
            if found:
                vault.bin.rotate([copy_id for copy_id, _ in found])
        if not found:
            break
        removed += len(found)
    return removed


def promise(vault: Vault, size: int, until: int, *, now: int | None = None) -> Promise:
    """Estimate whether the newest `size` bytes in the bin stay until `until`.

    Within the bin's share they do, whatever arrives. Beyond it they are removed once Backup is full, after all copies
    deleted earlier, at the rate of the last seven days. Reads the sizes of those days' copies: not for an event loop.
    """
    return _Worth(vault, now).of(size, until)


def promise_for(vault: Vault, ids: Sequence[int], days: int, *, now: int | None = None) -> Promise:
    """Estimate the promise for copies of Backup if they were deleted now for `days` days. Reads the size of each."""
    moment = now_ms() if now is None else now
    size = 0
    for start in range(0, len(ids), _SIZES):
        with vault.reading():
            size += sum(row[3] for row in binned.in_backup(vault.db, list(ids[start : start + _SIZES])))
    return _Worth(vault, moment, coming=size).of(size, moment + days * DAY_MS)


def promises(vault: Vault, acts: Sequence[BinAct], *, now: int | None = None) -> dict[int, Promise]:
    """Estimate the promise for each act's copies that are still in the bin, by act id.

    `acts`: all acts, newest first.
    """
    worth = _Worth(vault, now)
    found: dict[int, Promise] = {}
    size = 0
    for act in acts:
        size += act.left_size
        found[act.act] = worth.of(size, act.until)
    return found


class _Worth:
    """Estimates promises at one moment. `coming`: bytes that are about to be moved from Backup to the bin."""

    def __init__(self, vault: Vault, now: int | None, *, coming: int = 0) -> None:
        self._vault = vault
        self._now = now_ms() if now is None else now
        self._full: Usage = usage(vault)
        self._binned = self._full.binned_bytes + coming
        self._rate: tuple[int, int] | None = None

    def of(self, size: int, until: int) -> Promise:
        full = self._full
        if self._binned <= full.bin_bytes or size <= full.bin_bytes or not full.max_bytes:
            return Promise(until)
        if self._rate is None:
            self._rate = bytes_placed(self._vault, self._now)
        placed, in_ms = self._rate
        if not placed:
            return Promise(until)
        # Free space is used up first, and copies deleted earlier are removed first.
        before = max(0, full.max_bytes - full.used_bytes) + max(0, self._binned - size)
        lasts = before * in_ms // placed
        return Promise(until, lasts if self._now + lasts < until else None)


def share_since(vault: Vault) -> tuple[int, int]:
    """Return the bin's share (bytes; -1 if the settings do not verify), and when settings were changed (Unix ms)."""
    try:
        stored = configuration.read(vault, NAME, Settings)
    except (TamperedError, StoreFormat):
        return -1, 0
    settings = stored.value if stored else Settings()
    return Bounds.of(settings.max_size, settings.bin_share).bin_bytes, stored.changed_at if stored else 0


def bytes_placed(vault: Vault, now: int) -> tuple[int, int]:
    """Return the bytes placed in the last seven days (or since the oldest copy), and that time in ms (at least 1)."""
    with vault.reading():
        first = oldest.first_placed(vault.db)
        window = max(1, min(_WINDOW_MS, now - (now if first is None else first)))
        return oldest.placed_since(vault.db, now - window), window
