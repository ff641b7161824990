"""Filters saved under a name, for the console tree: shared by all who open the store, sealed and signed.

A filter is saved as its line, so that `period:week` stays relative, and times are read in the viewer's time zone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING

from store.authority import configuration
from store.filters.line import parse
from store.filters.named import SavedFilter, key_of
from store.terms.errors import UsageError

if TYPE_CHECKING:
    from store.vault.vault import Vault

__all__ = ["SavedFilter", "checked_name", "key_of", "read_saved_filters", "remove_filter", "save_filter"]

NAME = "saved-filters"
#: Actions of these changes, as recorded in the trail.
SAVED, REMOVED = "filter saved", "filter removed"
MAX_NAME = 40
MAX_FILTERS = 100


def read_saved_filters(vault: Vault) -> tuple[SavedFilter, ...]:
    """Read the saved filters in order of name. Raises TamperedError."""
    return _read(vault)[0]


def checked_name(name: str) -> str:
    """Normalise a name. Raises UsageError if it cannot be used."""
    name = unicodedata.normalize("NFC", " ".join(name.split())).removeprefix("@")
    if not name:
        raise UsageError("A saved filter needs a name.")
    if len(name) > MAX_NAME:
        raise UsageError(f"The name of a saved filter can have at most {MAX_NAME} characters.")
    if any(unicodedata.category(char)[0] == "C" for char in name):
        raise UsageError("The name of a saved filter contains a character that cannot be shown.")
    return name


def save_filter(vault: Vault, name: str, line: str, *, operator: str = "") -> SavedFilter:
    """Save `line` under `name`, replacing a filter of that name (ignoring case).

    Raises FilterError if the line does not parse, UsageError if the name cannot be used.
    """
    name = checked_name(name)
    line = line.strip()
    if parse(line).is_empty:
        raise UsageError("This filter matches everything: there is nothing to save.")
    saved = SavedFilter(name, line)

    def change(present: list[SavedFilter]) -> list[SavedFilter]:
        others = [each for each in present if key_of(each.name) != key_of(name)]
        if len(others) >= MAX_FILTERS:
            raise UsageError(f"There are {MAX_FILTERS} saved filters already, the maximum. Delete one first.")
        return [*others, saved]

    _change(vault, change, operator, SAVED, f"{name}: {line}")
    return saved


def remove_filter(vault: Vault, name: str, *, operator: str = "") -> bool:
    """Remove the filter with this name; returns False if there is none."""
    if not any(key_of(each.name) == key_of(name) for each in read_saved_filters(vault)):
        return False

    def change(present: list[SavedFilter]) -> list[SavedFilter]:
        return [each for each in present if key_of(each.name) != key_of(name)]

    _change(vault, change, operator, REMOVED, name)
    return True


def _read(vault: Vault) -> tuple[tuple[SavedFilter, ...], int]:
    stored = configuration.read(vault, NAME, tuple[SavedFilter, ...])
    return (stored.value, stored.version) if stored else ((), 0)


def _change(
    vault: Vault, change: Callable[[list[SavedFilter]], list[SavedFilter]], operator: str, action: str, detail: str
) -> None:
    with vault.write():
        present, version = _read(vault)
        changed = sorted(change(list(present)), key=lambda each: key_of(each.name))
        configuration.write(vault, NAME, changed, expected=version, operator=operator, action=action, detail=detail)
