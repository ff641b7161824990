"""Upgrade from format 1 to 2: add tables, drop one, and seal the configuration with a key that has generations.

No table is altered, and no copy is sealed again.
"""

from __future__ import annotations

from store.authority.configuration import seal_anew
from store.database.tables import ADDED, GONE, drop, make
from store.vault.vault import Vault


def to_format_2(vault: Vault) -> None:
    """Upgrade to format 2, in the caller's transaction."""
    drop(vault.db, GONE)
    make(vault.db, ADDED)
    vault.grants.grant(1)
    seal_anew(vault)
