"""All moves between Backup and the bin: rows go from `message` to `binned` with their act, and back.

Readers of Backup do not see binned rows; bodies stay where they are. Call these functions in a transaction or a
`Session.reading`. Ids are copy ids, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.database.connection import StoreDatabase, run

_COLUMNS = "id, epoch_id, step, stored_at, size, stored_size, record"
_PUT = f"INSERT INTO binned ({_COLUMNS}, act) SELECT {_COLUMNS}, ? FROM message WHERE id = ANY(?)"  # noqa: S608 - of our own text alone
_BACK = f"INSERT INTO message ({_COLUMNS}) SELECT {_COLUMNS} FROM binned WHERE id = ANY(?)"  # noqa: S608 - of our own text alone

#: (copy id, epoch id, step, stored size, act)
BinnedRow = tuple[int, int, int, int, int]


def move_in(db: StoreDatabase, ids: list[int], act: int) -> None:
    """Move copies of Backup into the bin."""
    run(db, _PUT, act, ids)
    run(db, "DELETE FROM message WHERE id = ANY(?)", ids)


def move_back(db: StoreDatabase, ids: list[int]) -> None:
    """Move copies of the bin back to Backup."""
    run(db, _BACK, ids)
    run(db, "DELETE FROM binned WHERE id = ANY(?)", ids)


def in_backup(db: StoreDatabase, ids: list[int]) -> list[tuple[int, int, int, int]]:
    """Return (id, epoch, step, stored size) of those copies that are in Backup, in order of id."""
    sql = "SELECT id, epoch_id, step, stored_size FROM message WHERE id = ANY(?) ORDER BY id"
    return [tuple(row) for row in run(db, sql, ids).fetchall()]


def in_bin(db: StoreDatabase, ids: list[int]) -> list[BinnedRow]:
    """Return the rows of those copies that are in the bin, in order of id."""
    sql = "SELECT id, epoch_id, step, stored_size, act FROM binned WHERE id = ANY(?) ORDER BY id"
    return [tuple(row) for row in run(db, sql, ids).fetchall()]


def of_act(db: StoreDatabase, act: int) -> list[int]:
    """List the copies of an act that are still in the bin, ascending."""
    return sorted(copy_id for (copy_id,) in run(db, "SELECT id FROM binned WHERE act = ?", act).fetchall())


def all_ids(db: StoreDatabase) -> list[int]:
    """List all copies in the bin, ascending."""
    return [copy_id for (copy_id,) in run(db, "SELECT id FROM binned ORDER BY id").fetchall()]


def by_act(db: StoreDatabase) -> dict[int, tuple[int, int]]:
    """Count the copies of each act in the bin and sum their bytes; the oldest act first."""
    sql = "SELECT act, COUNT(*), SUM(stored_size) FROM binned GROUP BY act ORDER BY act"
    return {act: (copies, int(size)) for act, copies, size in run(db, sql).fetchall()}


def acts(db: StoreDatabase) -> list[int]:
    """List the acts that have copies in the bin, oldest first. Skips through the index instead of reading every row."""
    sql = "SELECT MIN(act) FROM binned WHERE act > ?"
    found: list[int] = []
    while (act := run(db, sql, found[-1] if found else -1).fetchone()[0]) is not None:
        found.append(act)
    return found


def of_acts(db: StoreDatabase, acts: Sequence[int], limit: int) -> list[tuple[int, int, int]]:
    """List up to `limit` copies of these acts, the oldest act's first: (id, act, stored size)."""
    sql = "SELECT id, act, stored_size FROM binned WHERE act = ANY(?) ORDER BY act, stored_size, id LIMIT ?"
    return [tuple(row) for row in run(db, sql, list(acts), limit).fetchall()]
