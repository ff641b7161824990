"""Deliveries that are not finished, as the rooms below `store.delivery` ask about them: each keeps its copy.

Functions of a transaction, or of a `Session.reading`, that is open.
"""

from __future__ import annotations

from store.database.connection import StoreDatabase, run


def kept(db: StoreDatabase, copy_ids: list[int]) -> set[int]:
    """Those of the copies that a delivery keeps."""
    sql = "SELECT copy_id FROM delivery WHERE finished_at IS NULL AND copy_id = ANY(?)"
    return {copy_id for (copy_id,) in run(db, sql, copy_ids).fetchall()}


def waiting_for(db: StoreDatabase, gateway_id: int) -> list[int]:
    """List the deliveries that a gateway is to send, in order of id."""
    sql = "SELECT id FROM delivery WHERE finished_at IS NULL AND gateway_id = ? ORDER BY id"
    return [delivery_id for (delivery_id,) in run(db, sql, gateway_id).fetchall()]


def token(db: StoreDatabase) -> object:
    """Something cheap that differs whenever other copies may be kept; compare for equality."""
    return tuple(run(db, "SELECT COUNT(*), MAX(id) FROM delivery WHERE finished_at IS NULL").fetchone())
