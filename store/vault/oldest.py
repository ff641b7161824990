"""The copies in the order in which they were placed: which go first, what that frees, and what came in since a moment.

Functions of a transaction, or of a `Session.reading`, that is open. Sizes are bytes, times Unix milliseconds.
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
#: Those before which less is freed than is too much.
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
    """How many copies go, the highest of their ids, when the newest of them was placed, and their bytes."""

    copies: int
    last_id: int
    newest: int
    freed_bytes: int


def removable(db: StoreDatabase, limit: int) -> list[tuple[int, int]]:
    """List ids and bytes of up to `limit` copies that may be removed, oldest first.

    Neither the newest copy may be, nor one that a live delivery keeps.
    """
    return [(copy_id, size) for copy_id, size in run(db, _OLDEST, limit).fetchall()]


def doomed(db: StoreDatabase, excess: int) -> Doomed:
    """Find the oldest removable copies whose removal frees `excess` bytes, or all of them. Reads every row."""
    copies, last_id, newest, freed = run(db, _DOOMED, excess).fetchone()
    return Doomed(copies, last_id or 0, newest or 0, int(freed or 0))


def placed_since(db: StoreDatabase, since: int) -> int:
    """Sum the bytes of copies placed at `since` or later, in Backup or in the bin."""
    sizes = run(db, _PLACED, first_since(db, since), since, since).fetchone()
    return sum(int(size or 0) for size in sizes)


def first_placed(db: StoreDatabase) -> int | None:
    """When the oldest copy was placed, in Backup or in the bin; None without any."""
    return min((at for at in run(db, _FIRST).fetchone() if at is not None), default=None)


def first_since(db: StoreDatabase, since: int) -> int:
    """Find the first id placed at `since` or later without reading all: ids follow the time."""
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
