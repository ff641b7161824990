"""How much the store may hold, as the settings say, and how full it is."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from store.authority.settings import NAME, Settings, read_settings
from store.database.connection import run
from store.terms.errors import StoreFormat, TamperedError
from store.vault.vault import Vault

#: Without settings that verify nothing is rotated away.
_UNKNOWN_MAXIMUM = 1 << 62
#: The maximum that each open vault read last, and the configuration's row that it was read from.
_read: WeakKeyDictionary[Vault, tuple[object, int]] = WeakKeyDictionary()


class Usage(NamedTuple):
    """How full the store is. Bytes; `oldest` is the time the oldest copy was placed (Unix ms), None without copies."""

    messages: int
    used_bytes: int
    max_bytes: int
    free_bytes: int
    oldest: int | None


def maximum(vault: Vault) -> int:
    """The maximum size in bytes, as the settings say. Read again only when the settings changed.

    Raises TamperedError, StoreFormat.
    """
    sql = "SELECT id, version FROM configuration WHERE name = ? ORDER BY id DESC LIMIT 1"
    key = run(vault.db, sql, NAME).fetchone()
    if key is None:
        return Settings().max_size
    known = _read.get(vault)
    if known is not None and known[0] == key:
        return known[1]
    found = read_settings(vault).max_size
    _read[vault] = (key, found)
    return found


def maximum_or_last(vault: Vault) -> int:
    """As `maximum`, but the last one known where the settings do not verify: intake must not stop for that."""
    try:
        return maximum(vault)
    except (TamperedError, StoreFormat):
        known = _read.get(vault)
        return known[1] if known is not None else _UNKNOWN_MAXIMUM


def usage(vault: Vault) -> Usage:
    """How full the store is. Raises TamperedError, StoreFormat; `vault.count()` needs no settings."""
    count = vault.count()
    with vault.reading():
        most = maximum(vault)
    return Usage(count.messages, count.used_bytes, most, max(0, most - count.used_bytes), count.oldest)
