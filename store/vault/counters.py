"""The table of counters: how many copies there are, their bytes, and the next copy's id. All SQL on it stands here.

Functions of a transaction, or of a `Session.reading`, that is open. An empty table is a TamperedError.
"""

from __future__ import annotations

from typing import NamedTuple

from store.database.connection import StoreDatabase, run
from store.database.orm import SqliteDatabase
from store.terms.errors import TamperedError

_ADD = (
    "UPDATE state SET messages = messages + ?, used_bytes = used_bytes + ?, next_copy_id = next_copy_id + ? "
    "WHERE id = 1 RETURNING next_copy_id, used_bytes"
)


class Counters(NamedTuple):
    """What the counters say."""

    messages: int
    used_bytes: int
    next_copy_id: int


def counters(db: StoreDatabase) -> Counters:
    """What they say. Raises TamperedError where their table is empty."""
    row = run(db, "SELECT messages, used_bytes, next_copy_id FROM state WHERE id = 1").fetchone()
    if row is None:
        raise TamperedError("the table of counters", "it is empty")
    return Counters(*row)


def first_counters(db: StoreDatabase) -> None:
    """Write the counters of a new store, which is empty."""
    run(db, "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (1, 0, 0, 1)")


def count_in(db: StoreDatabase, copies: int, used_bytes: int) -> tuple[int, int]:
    """Count copies that come in: the id behind the last of them, and the bytes that are used then.

    Raises TamperedError where the table of counters is empty.
    """
    row = run(db, _ADD, copies, used_bytes, copies).fetchone()
    if row is None:
        raise TamperedError("the table of counters", "it is empty")
    return row[0], row[1]


def count_out(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Count copies that go."""
    run(db, "UPDATE state SET messages = messages - ?, used_bytes = used_bytes - ? WHERE id = 1", copies, used_bytes)


def put_right(db: StoreDatabase, messages: int, used_bytes: int) -> None:
    """Write what was counted anew."""
    run(db, "UPDATE state SET messages = ?, used_bytes = ? WHERE id = 1", messages, used_bytes)


def raise_next(db: StoreDatabase, next_copy_id: int) -> None:
    """Give out no id below `next_copy_id` any more."""
    run(db, "UPDATE state SET next_copy_id = ? WHERE id = 1 AND next_copy_id < ?", next_copy_id, next_copy_id)


def taken_ids(db: StoreDatabase) -> list[int]:
    """The ids of all copies, in the bin or not, ascending."""
    sql = "SELECT id FROM message UNION SELECT id FROM binned ORDER BY id"
    return [int(copy_id) for (copy_id,) in run(db, sql).fetchall()]


def counted(db: StoreDatabase) -> tuple[int, int]:
    """How many copies there are and their bytes, counted anew."""
    copies, used = run(db, "SELECT COUNT(*), COALESCE(SUM(stored_size), 0) FROM message").fetchone()
    return int(copies), int(used)


def made_right(db: StoreDatabase, floor: int) -> list[str]:
    """Write the counters of the store anew where they do not count what is there; says what was written, in words.

    The next copy's id is at least `floor`, and above every copy, in the bin or not.
    """
    row = run(db, "SELECT messages, used_bytes, next_copy_id FROM state WHERE id = 1").fetchone()
    messages, used = counted(db)
    sql = "SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM message UNION ALL SELECT id FROM binned) AS taken"
    (newest,) = run(db, sql).fetchone()
    least = max(floor, newest + 1)
    known = row is not None and isinstance(row[2], int) and least <= row[2] < 1 << 53
    wanted = (messages, used, row[2] if known else least)
    if row is not None and tuple(row) == wanted:
        return []
    run(db, "DELETE FROM state")
    sql = "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (1, ?, ?, ?)"
    run(db, sql, *wanted)
    return [f"the table of counters: {wanted[0]:,} copies, {wanted[1]:,} bytes, the next copy is {wanted[2]}"]


def lock(db: StoreDatabase) -> None:
    """Keep every other writer out until the transaction ends. On SQLite its beginning does that."""
    if not isinstance(db, SqliteDatabase):
        run(db, "SELECT id FROM state WHERE id = 1 FOR UPDATE")
