"""Configuration rows that a gateway saw before, kept outside the store: they apply if the store is older."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from weakref import WeakKeyDictionary

import msgspec

from store.database.connection import as_bytes, run, sound
from store.terms.errors import TamperedError
from store.vault.reader import Reader

_ROW = "SELECT changed_at, sealed, signature FROM configuration WHERE name = ? AND version = ? ORDER BY id DESC"


class SeenRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of the configuration, not verified."""

    name: str
    version: int
    changed_at: int
    sealed: bytes
    signature: bytes


#: The kept rows of each open vault, by name.
_kept: WeakKeyDictionary[Reader, dict[str, SeenRow]] = WeakKeyDictionary()


def remember_rows(vault: Reader, rows: Iterable[SeenRow]) -> None:
    """Set the rows to use if the store is older than what was seen of it."""
    _kept[vault] = {row.name: row for row in rows}


def kept_row(vault: Reader, name: str, known: int) -> SeenRow | None:
    """Return the kept row of `name`, in version `known` or later, if the store is older than what was seen of it."""
    row = _kept.get(vault, {}).get(name) if vault.witness.problem else None
    return row if row is not None and row.version >= known else None


def rows_of(vault: Reader, versions: Mapping[str, int]) -> list[SeenRow]:
    """Fetch the rows of these names in these versions; missing ones are left out."""
    found = []
    for name, version in sorted(versions.items()):
        with suppress(TamperedError), vault.reading(), sound(name):
            if (row := run(vault.db, _ROW, name, version).fetchone()) is not None:
                found.append(SeenRow(name, version, row[0], as_bytes(row[1]), as_bytes(row[2])))
    return found
