"""Rows left over from copies that are neither in Backup nor in the bin."""

from __future__ import annotations

from store.database.connection import StoreDatabase, run

_BODIES = (
    "SELECT body.id FROM body LEFT JOIN message ON message.id = body.id LEFT JOIN binned ON binned.id = body.id "
    "WHERE message.id IS NULL AND binned.id IS NULL"
)


def stray_bodies(db: StoreDatabase) -> list[int]:
    """List the ids of bodies without a copy."""
    return [copy_id for (copy_id,) in run(db, _BODIES).fetchall()]
