"""Queries on the copies in order of age: which rotation removes next, what that frees, and what was placed since.

Call these functions in a transaction or a `Session.reading`. Sizes are bytes, times Unix milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from store.database.connection import StoreDatabase, run

_REMOVABLE = """
    FROM message
    WHERE id < (SELECT MAX(id) FROM message)
      AND NOT EXISTS (SELECT 1 FROM delivery WHERE copy_id = message.id AND finished_at IS NULL)
"""
_OLDEST = f"SELECT id, stored_size {_REMOVABLE} ORDER BY id LIMIT ?"
#: The oldest removable copies, up to the first with which at least the given bytes are freed.
_DOOMED = f"""
    SELECT COUNT(*), MAX(id), MAX(stored_at), SUM(stored_size) FROM (
        SELECT id, stored_at, stored_size,
               SUM(stored_size) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - stored_size AS freed {_REMOVABLE}
    ) AS oldest WHERE freed < ?
"""  # noqa: S608 - of our own text alone


_PLACED = (
    "SELECT (SELECT SUM(stored_size) FROM message WHERE id >= ? AND stored_at >= ?), "
    "(SELECT SUM(stored_size) FROM binned WHERE stored_at >= ?)"
)
_FIRST = "SELECT (SELECT stored_at FROM message ORDER BY id LIMIT 1), (SELECT MIN(stored_at) FROM binned)"


class Doomed(NamedTuple):
    """Copies to be removed: how many, the highest id, when the newest of them was placed, and their bytes."""

    copies: int
    last_id: int
    newest: int
    freed_bytes: int


def removable(db: StoreDatabase, limit: int) -> list[tuple[int, int]]:
    """List id and bytes of up to `limit` copies that may be removed, oldest first.

    The newest copy may not be removed, nor one that a live delivery keeps.
    """
    return [(copy_id, size) for copy_id, size in run(db, _OLDEST, limit).fetchall()]


def doomed(db: StoreDatabase, excess: int) -> Doomed:
    """Sum up the oldest removable copies that free `excess` bytes, or all if they free less. Reads every row."""
    copies, last_id, newest, freed = run(db, _DOOMED, excess).fetchone()
    return Doomed(copies, last_id or 0, newest or 0, int(freed or 0))


def placed_since(db: StoreDatabase, since: int) -> int:
    """Sum the bytes of copies placed at `since` or later, in Backup or in the bin."""
    sizes = run(db, _PLACED, first_since(db, since), since, since).fetchone()
    return sum(int(size or 0) for size in sizes)


def first_placed(db: StoreDatabase) -> int | None:
    """Return when the oldest copy in Backup or in the bin was placed; None without copies."""
    return min((at for at in run(db, _FIRST).fetchone() if at is not None), default=None)


def first_since(db: StoreDatabase, since: int) -> int:
    """Find the first id placed at `since` or later by binary search: ids are in order of time."""
    sql = "SELECT id, stored_at FROM message WHERE id >= ? ORDER BY id LIMIT 1"
    low, high = run(db, "SELECT (SELECT MIN(id) FROM message), (SELECT MAX(id) FROM message)").fetchone()
    low, high = low or 0, high or 0
    while low < high:
        middle = (low + high) // 2
        copy_id, stored_at = run(db, sql, middle).fetchone() or (high, since)
        if stored_at >= since:
            high = middle
        else:
            low = copy_id + 1
    return int(low)
