"""How much the store may hold, as the settings say, and how full it is."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

from store.authority.settings import NAME, former_settings, read_settings
from store.database.connection import run
from store.terms.errors import StoreFormat, TamperedError
from store.terms.sizes import format_size
from store.vault.vault import Vault

#: The maximum that each open vault read last, and the configuration's row that it was read from.
_read: WeakKeyDictionary[Vault, tuple[object, int]] = WeakKeyDictionary()
#: Where an open vault never read it: what stands for it, once that was found (None: nothing does).
_former: WeakKeyDictionary[Vault, int | None] = WeakKeyDictionary()


class Usage(NamedTuple):
    """How full the store is. Bytes; `oldest` is the time the oldest copy was placed (Unix ms), None without copies.

    `max_bytes` and `free_bytes` are 0 where no maximum is known.
    """

    messages: int
    used_bytes: int
    max_bytes: int
    free_bytes: int
    oldest: int | None


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


def maximum(vault: Vault) -> int:
    """The maximum size in bytes, as the settings say. Read again only when the settings changed.

    Raises TamperedError, StoreFormat.
    """
    sql = "SELECT id, version FROM configuration WHERE name = ? ORDER BY id DESC LIMIT 1"
    key = run(vault.db, sql, NAME).fetchone()
    known = _read.get(vault)
    if known is not None and known[0] == key:
        return known[1]
    found = read_settings(vault).max_size
    _read[vault] = (key, found)
    _former.pop(vault, None)
    return found


def maximum_or_last(vault: Vault) -> int | None:
    """As `maximum`, but the last one known where the settings do not verify, as `LastKnown` says: intake goes on."""
    try:
        return maximum(vault)
    except (TamperedError, StoreFormat) as error:
        return _last_known(vault, str(error)).max_bytes


def last_known(vault: Vault) -> LastKnown | None:
    """What rotation goes by where the settings do not verify; None where they do."""
    try:
        read_settings(vault)
    except (TamperedError, StoreFormat) as error:
        return _last_known(vault, str(error))
    return None


def _last_known(vault: Vault, problem: str) -> LastKnown:
    known = _read.get(vault)
    if known is not None:
        return LastKnown(problem, known[1])
    if vault not in _former:
        former = former_settings(vault)
        _former[vault] = None if former is None else max(former.max_size, vault.count().used_bytes)
    return LastKnown(problem, _former[vault])


def usage(vault: Vault) -> Usage:
    """How full the store is, by the last maximum that is known where the settings do not verify."""
    count = vault.count()
    with vault.reading():
        most = maximum_or_last(vault) or 0
    return Usage(count.messages, count.used_bytes, most, max(0, most - count.used_bytes), count.oldest)
