"""Queries on unfinished deliveries for the packages below `store.delivery`. Each such delivery keeps its copy.

Call them in a transaction or a `Session.reading`.
"""

from __future__ import annotations

from store.database.connection import StoreDatabase, run


def kept(db: StoreDatabase, copy_ids: list[int]) -> set[int]:
    """Return those copies that a live delivery keeps from being deleted."""
    sql = "SELECT copy_id FROM delivery WHERE finished_at IS NULL AND copy_id = ANY(?)"
    return {copy_id for (copy_id,) in run(db, sql, copy_ids).fetchall()}


def waiting_for(db: StoreDatabase, gateway_id: int) -> list[int]:
    """List the live deliveries assigned to a gateway, in order of id."""
    sql = "SELECT id FROM delivery WHERE finished_at IS NULL AND gateway_id = ? ORDER BY id"
    return [delivery_id for (delivery_id,) in run(db, sql, gateway_id).fetchall()]


def token(db: StoreDatabase) -> object:
    """Return a value that differs whenever other copies may be kept. Compare for equality; cheap."""
    return tuple(run(db, "SELECT COUNT(*), MAX(id) FROM delivery WHERE finished_at IS NULL").fetchone())
