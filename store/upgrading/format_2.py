"""From format 1 to 2: tables are added and one goes; the configuration is sealed with a key that has generations.

No table is altered and no copy is sealed anew.
"""

from __future__ import annotations

from store.authority.configuration import seal_anew
from store.database.tables import ADDED, GONE, drop, make
from store.vault.vault import Vault


def to_format_2(vault: Vault) -> None:
    """Make what format 2 has and format 1 has not. In the caller's transaction."""
    drop(vault.db, GONE)
    make(vault.db, ADDED)
    vault.grants.grant(1)
    seal_anew(vault)
