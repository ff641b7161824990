"""Repair what can be rebuilt from the rest of a store without loss: its own row, and the table of counters."""

from __future__ import annotations

from typing import Any

from store.authority.audit import record_event
from store.database.connection import sound
from store.database.tables import FORMAT
from store.helpers.clock import now_ms
from store.opening.opening import store_statement, verify_store
from store.terms.errors import TamperedError, UnlockError
from store.vault.counters import made_right
from store.vault.vault import Vault

REPAIRED = "store repaired"


def repair(vault: Vault, *, operator: str = "") -> list[str]:
    """Repair what is damaged and can be rebuilt. Returns sentences that say what was written.

    All in one transaction with its event. Ids of copies, and ids in tombstones, are not used again. Raises UnlockError
    where the keys at hand are no operator's, StoreOlder where the store then still holds less than was seen of it:
    nothing is written then.
    """
    vault.witness.repairing = True
    try:
        with vault.write():
            done = _store_row(vault)
            _, buried = vault.tombstones_since(0)
            done += made_right(vault.db, max(buried, default=0) + 1)
            if done:
                record_event(vault, REPAIRED, operator=operator, detail="; ".join(done))
    finally:
        vault.witness.repairing = False
    return done


def _store_row(vault: Vault) -> list[str]:
    keys = vault.keys
    if keys.authority is None:
        raise UnlockError("This key cannot sign the store's row. Unlock the store with an operator key.")
    row: Any = vault.models.Store.get_or_none()
    try:
        with sound("the store's row"):
            verify_store(row, keys)
    except TamperedError as error:
        row.format, row.store_id = FORMAT, keys.store_id
        row.read_key, row.authority_key = keys.read_public, keys.authority_public
        row.created_at = row.created_at if 0 < row.created_at <= now_ms() else now_ms()
        row.signature = keys.authority.sign(store_statement(row))
        row.save()
        return [f"the store's row: {error.why}"]
    return []
