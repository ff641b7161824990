"""How much the store may hold, as the settings say, and how full it is."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from store.authority.settings import NAME, former_settings, read_settings
from store.database.connection import run
from store.terms.errors import StoreFormat, TamperedError
from store.terms.sizes import format_size
from store.vault.vault import Vault

#: The limits that each open vault read last, and the configuration's row that they were read from.
_read: WeakKeyDictionary[Vault, tuple[object, Bounds]] = WeakKeyDictionary()
#: Where an open vault never read them: what stands for them, once that was found (None: nothing does).
_former: WeakKeyDictionary[Vault, Bounds | None] = WeakKeyDictionary()


class Bounds(NamedTuple):
    """The limits in force: bytes that all copies may take up, and those of them that the bin keeps for itself."""

    max_bytes: int
    bin_bytes: int

    @classmethod
    def of(cls, max_bytes: int, bin_share: int) -> Bounds:
        """Compute the limits of a maximum and the bin's share of it in percent."""
        return cls(max_bytes, max_bytes * bin_share // 100)


class Usage(NamedTuple):
    """How full the store is. Bytes; `oldest` is the time the oldest copy was placed (Unix ms), None without copies.

    `used_bytes` are those of all copies, the `binned` ones with their `binned_bytes` among them, and the
    `derived_bytes` of what was made from copies later; `messages` and `oldest` are without the binned ones. What the
    bin holds beyond its share (`bin_bytes`) is free: it goes first. `max_bytes`, `free_bytes` and `bin_bytes` are 0
    where no maximum is known.
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
    """The maximum that rotation goes by where the settings do not verify: `problem` says what is wrong with them.

    `max_bytes` is what this process read before the damage, or a former version that verifies says; but never less than
    the store held when that was looked up: a former version may be of a time when less was allowed. None: nothing is
    known, and rotation removes nothing.
    """

    problem: str
    max_bytes: int | None

    def __str__(self) -> str:
        if self.max_bytes is None:
            return "No maximum size is known: no copy is removed to make room, and Backup grows as mail comes in."
        return (
            f"The oldest copies are removed beyond {format_size(self.max_bytes)}, the last maximum size that is known."
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


def maximum(vault: Vault) -> int:
    """Return the maximum size in bytes, as `bounds`. Raises TamperedError, StoreFormat."""
    return bounds(vault).max_bytes


def bounds_or_last(vault: Vault) -> Bounds | None:
    """As `bounds`, but the last known where the settings do not verify, as `LastKnown` says: intake goes on."""
    try:
        return bounds(vault)
    except (TamperedError, StoreFormat):
        return _last_bounds(vault)


def maximum_or_last(vault: Vault) -> int | None:
    """Return the maximum size in bytes, as `bounds_or_last`."""
    found = bounds_or_last(vault)
    return None if found is None else found.max_bytes


def last_known(vault: Vault) -> LastKnown | None:
    """Return what rotation uses if the settings do not verify; None if they do."""
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
    """How full the store is, by the last limits that are known where the settings do not verify."""
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
