"""The configuration of a new store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.authority import settings
from store.judging.rules import rules

if TYPE_CHECKING:
    from store.vault.vault import Vault


def write_first_configuration(vault: Vault) -> None:
    """Write the settings and rules of a new store, in the open transaction.

    With them, mail that cannot be scanned or copied waits until it can.
    """
    settings.write_first(vault)
    rules.write_first(vault)
