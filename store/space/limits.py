"""How much the store may hold according to the settings, and how full it is."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from store.authority.settings import NAME, former_settings, read_settings
from store.database.connection import run
from store.terms.errors import StoreFormat, TamperedError
from store.terms.sizes import format_size
from store.vault.vault import Vault

#: By open vault: the limits last read, and the configuration row that they came from.
_read: WeakKeyDictionary[Vault, tuple[object, Bounds]] = WeakKeyDictionary()
#: By open vault that never read valid limits: the substitute for them, once looked up (None: there is none).
_former: WeakKeyDictionary[Vault, Bounds | None] = WeakKeyDictionary()


class Bounds(NamedTuple):
    """The limits in force (bytes): the maximum for all copies, and the bin's share of it."""

    max_bytes: int
    bin_bytes: int

    @classmethod
    def of(cls, max_bytes: int, bin_share: int) -> Bounds:
        """Compute the limits from a maximum (bytes) and the bin's share of it (percent)."""
        return cls(max_bytes, max_bytes * bin_share // 100)


class Usage(NamedTuple):
    """How full the store is, in bytes. `oldest`: when the oldest copy was placed (Unix ms), None without copies.

    `used_bytes` is for all copies; it includes the `binned` ones (`binned_bytes`) and `derived_bytes`, what was made
    from copies later. `messages` and `oldest` are without the bin. What the bin holds beyond its share (`bin_bytes`)
    counts as free, because it goes first. Without a known maximum, `max_bytes`, `free_bytes` and `bin_bytes` are 0.
    """

    messages: int
    used_bytes: int
    max_bytes: int
    free_bytes: int
    oldest: int | None
    binned: int = 0
    binned_bytes: int = 0
    bin_bytes: int = 0
    derived_bytes: int = 0


class LastKnown(NamedTuple):
    """The maximum that rotation uses when the settings do not verify; `problem` says what is wrong with them.

    `max_bytes` is what this process read before the damage, or what an earlier valid version says. The latter is at
    least what the store held when it was looked up, since the maximum may have been raised later. None: nothing is
    known, and rotation removes nothing.
    """

    problem: str
    max_bytes: int | None

    def __str__(self) -> str:
        if self.max_bytes is None:
            return "No maximum size is known, so no copies are removed and Backup keeps growing."
        return (
            f"The last known maximum size applies: beyond {format_size(self.max_bytes)} the oldest copies are removed."
        )


def bounds(vault: Vault) -> Bounds:
    """Return the limits in the settings. Reads them again only if the settings changed.

    Raises TamperedError, StoreFormat.
    """
    sql = "SELECT id, version FROM configuration WHERE name = ? ORDER BY id DESC LIMIT 1"
    key = run(vault.db, sql, NAME).fetchone()
    known = _read.get(vault)
    if known is not None and known[0] == key:
        return known[1]
    settings = read_settings(vault)
    found = Bounds.of(settings.max_size, settings.bin_share)
    _read[vault] = (key, found)
    _former.pop(vault, None)
    return found


def bounds_or_last(vault: Vault) -> Bounds | None:
    """Return `bounds`, or the last known (see `LastKnown`) if the settings do not verify, so that intake goes on."""
    try:
        return bounds(vault)
    except (TamperedError, StoreFormat):
        return _last_bounds(vault)


def maximum_or_last(vault: Vault) -> int | None:
    """Return the maximum size in bytes, from `bounds_or_last`."""
    try:
        return bounds(vault).max_bytes
    except (TamperedError, StoreFormat):
        last = _last_bounds(vault)
        return None if last is None else last.max_bytes


def last_known(vault: Vault) -> LastKnown | None:
    """Return the limits that rotation uses if the settings do not verify; None if they do."""
    try:
        read_settings(vault)
    except (TamperedError, StoreFormat) as error:
        last = _last_bounds(vault)
        return LastKnown(str(error), None if last is None else last.max_bytes)
    return None


def _last_bounds(vault: Vault) -> Bounds | None:
    known = _read.get(vault)
    if known is not None:
        return known[1]
    if vault not in _former:
        former = former_settings(vault)
        _former[vault] = (
            None if former is None else Bounds.of(max(former.max_size, vault.count().used_bytes), former.bin_share)
        )
    return _former[vault]


def usage(vault: Vault) -> Usage:
    """Return how full the store is. If the settings do not verify, the last known limits are used."""
    count = vault.count()
    with vault.reading():
        most = bounds_or_last(vault)
    if most is None:
        bin_now = (count.binned, count.binned_bytes, 0)
        return Usage(count.messages, count.used_bytes, 0, 0, count.oldest, *bin_now, count.derived_bytes)
    beyond = max(0, count.binned_bytes - most.bin_bytes)
    free = max(0, most.max_bytes - count.used_bytes + beyond)
    bin_now = (count.binned, count.binned_bytes, most.bin_bytes)
    derived = count.derived_bytes
    return Usage(count.messages, count.used_bytes, most.max_bytes, free, count.oldest, *bin_now, derived)
