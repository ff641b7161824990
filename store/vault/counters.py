"""The table of counters: how many copies there are, their bytes, and the next copy's id. All SQL on it stands here.

Its row 1 counts the copies and the bytes of all, those in the bin with them; row 2, which is there once a copy was in
the bin, the copies in it and their bytes; row 3, which is there once something was made from copies later, those rows
and their bytes. Functions of a transaction, or of a `Session.reading`, that is open. A table
without row 1 is a TamperedError.
"""

from __future__ import annotations

from typing import NamedTuple

from store.database.connection import StoreDatabase, run
from store.database.orm import SqliteDatabase
from store.terms.errors import TamperedError

_ADD = (
    "UPDATE state SET messages = messages + ?, used_bytes = used_bytes + ?, next_copy_id = next_copy_id + ? "
    "WHERE id = 1 RETURNING next_copy_id, used_bytes + "
    "COALESCE((SELECT made.used_bytes FROM state AS made WHERE made.id = 3), 0)"
)


_ALL, _BIN, _DERIVED = 1, 2, 3
_COUNT = (
    "SELECT (SELECT COUNT(*) FROM message), (SELECT COUNT(*) FROM binned), "
    "(SELECT COALESCE(SUM(stored_size), 0) FROM message), (SELECT COALESCE(SUM(stored_size), 0) FROM binned), "
    "(SELECT COUNT(*) FROM derived), (SELECT COALESCE(SUM(LENGTH(sealed)), 0) FROM derived)"
)
_COUNT_WITHOUT = "SELECT COUNT(*), 0, COALESCE(SUM(stored_size), 0), 0, 0, 0 FROM message"
_DERIVED_ADD = "UPDATE state SET messages = messages + ?, used_bytes = used_bytes + ? WHERE id = 3 RETURNING id"
_DERIVED_FIRST = (
    "INSERT INTO state (id, messages, used_bytes, next_copy_id) "
    "SELECT 3, COUNT(*), COALESCE(SUM(LENGTH(sealed)), 0), 0 FROM derived"
)
_DERIVED_ANEW = (
    "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (3, ?, ?, 0) ON CONFLICT (id) DO UPDATE "
    "SET messages = excluded.messages, used_bytes = excluded.used_bytes"
)
_BIN_ADD = (
    "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (2, ?, ?, 0) ON CONFLICT (id) DO UPDATE "
    "SET messages = state.messages + excluded.messages, used_bytes = state.used_bytes + excluded.used_bytes"
)


class Counters(NamedTuple):
    """What the counters say: copies in Backup, the bytes of all, and the next copy's id; copies in the bin, and theirs.

    `used_bytes` are those of the copies in Backup and in the bin; besides, `derived` rows were made from copies later
    (or are of no copy), with their bytes.
    """

    messages: int
    used_bytes: int
    next_copy_id: int
    binned: int = 0
    binned_bytes: int = 0
    derived: int = 0
    derived_bytes: int = 0

    @property
    def all_bytes(self) -> int:
        """The bytes of the copies, and of what was made from them: what a maximum is compared with."""
        return self.used_bytes + self.derived_bytes


def counters(db: StoreDatabase) -> Counters:
    """Read the counters. Raises TamperedError if their table is empty."""
    sql = "SELECT id, messages, used_bytes, next_copy_id FROM state WHERE id <= 3"
    rows = {row[0]: row[1:] for row in run(db, sql).fetchall()}
    if _ALL not in rows:
        raise TamperedError("the table of counters", "it is empty")
    return Counters(*rows[_ALL], *rows.get(_BIN, (0, 0))[:2], *rows.get(_DERIVED, (0, 0))[:2])


def first_counters(db: StoreDatabase) -> None:
    """Write the counters of a new store, which is empty."""
    run(db, "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (1, 0, 0, 1)")


def count_in(db: StoreDatabase, copies: int, used_bytes: int) -> tuple[int, int]:
    """Count copies that come in: the id behind the last of them, and the bytes that are used then in all.

    Raises TamperedError where the table of counters is empty.
    """
    row = run(db, _ADD, copies, used_bytes, copies).fetchone()
    if row is None:
        raise TamperedError("the table of counters", "it is empty")
    return row[0], row[1]


def count_out(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Count copies that go."""
    run(db, "UPDATE state SET messages = messages - ?, used_bytes = used_bytes - ? WHERE id = 1", copies, used_bytes)


def count_into_bin(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Count copies of Backup that go into the bin; with negative numbers, those that come back."""
    run(db, "UPDATE state SET messages = messages - ? WHERE id = 1", copies)
    run(db, _BIN_ADD, copies, used_bytes)


def count_out_of_bin(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Count copies of the bin that go for good."""
    run(db, "UPDATE state SET used_bytes = used_bytes - ? WHERE id = 1", used_bytes)
    run(db, _BIN_ADD, -copies, -used_bytes)


def count_derived(db: StoreDatabase, rows: int, size: int) -> None:
    """Count rows that were made from copies, and their bytes, once they are written; negative numbers: that went.

    Where none was counted before, all that there are are counted.
    """
    if (rows or size) and run(db, _DERIVED_ADD, rows, size).fetchone() is None:
        run(db, _DERIVED_FIRST)


class Held(NamedTuple):
    """What is there, counted anew: copies in Backup, in the bin, the bytes of each; what was made from copies later."""

    messages: int
    binned: int
    message_bytes: int
    binned_bytes: int
    derived: int = 0
    derived_bytes: int = 0

    @property
    def used_bytes(self) -> int:
        """The bytes of all."""
        return self.message_bytes + self.binned_bytes

    def told(self) -> dict[str, int]:
        """Return the figures that `Counters` has too, by name."""
        return {
            "messages": self.messages,
            "used_bytes": self.used_bytes,
            "binned": self.binned,
            "binned_bytes": self.binned_bytes,
            "derived": self.derived,
            "derived_bytes": self.derived_bytes,
        }


def put_right(db: StoreDatabase, held: Held) -> None:
    """Write what was counted anew."""
    run(db, "UPDATE state SET messages = ?, used_bytes = ? WHERE id = 1", held.messages, held.used_bytes)
    run(db, "UPDATE state SET messages = ?, used_bytes = ? WHERE id = 2", held.binned, held.binned_bytes)
    if held.derived:
        run(db, _DERIVED_ANEW, held.derived, held.derived_bytes)
    else:
        run(db, "DELETE FROM state WHERE id = 3")


def raise_next(db: StoreDatabase, next_copy_id: int) -> None:
    """Give out no id below `next_copy_id` any more."""
    run(db, "UPDATE state SET next_copy_id = ? WHERE id = 1 AND next_copy_id < ?", next_copy_id, next_copy_id)


def taken_ids(db: StoreDatabase) -> list[int]:
    """List all copies' ids, in the bin or not, ascending."""
    sql = "SELECT id FROM message UNION SELECT id FROM binned ORDER BY id"
    return [int(copy_id) for (copy_id,) in run(db, sql).fetchall()]


def counted(db: StoreDatabase, *, has_bin: bool = True) -> Held:
    """Count what is there anew. A store of format 1 has no bin."""
    return Held(*map(int, run(db, _COUNT if has_bin else _COUNT_WITHOUT).fetchone()))


def newest_id(db: StoreDatabase) -> int:
    """Return the highest copy id, in Backup or in the bin; 0 if there is none."""
    sql = "SELECT (SELECT COALESCE(MAX(id), 0) FROM message), (SELECT COALESCE(MAX(id), 0) FROM binned)"
    return max(map(int, run(db, sql).fetchone()))


def require_right(db: StoreDatabase) -> None:
    """Raise TamperedError where the counters do not count what is there. The reads are to be of one moment."""
    what, told, held = "the table of counters", counters(db), counted(db)
    if not told.derived:  # A release that did not count them may have written them.
        held = held._replace(derived=told.derived, derived_bytes=told.derived_bytes)
    if held.told() != {name: getattr(told, name) for name in held.told()}:
        raise TamperedError(what, "it does not count what is there")
    if told.next_copy_id <= newest_id(db):
        raise TamperedError(what, "it would give out ids that are taken")


def made_right(db: StoreDatabase, floor: int) -> list[str]:
    """Write the counters of the store anew where they do not count what is there; says what was written, in words.

    The next copy's id is at least `floor`, and above every copy, in the bin or not.
    """
    try:
        now: Counters | None = counters(db)
    except TamperedError:
        now = None
    held = counted(db)
    least = max(floor, newest_id(db) + 1)
    known = now is not None and isinstance(now.next_copy_id, int) and least <= now.next_copy_id < 1 << 53
    next_copy = now.next_copy_id if now is not None and known else least
    wanted = Counters(
        *(held.messages, held.used_bytes, next_copy, held.binned, held.binned_bytes, held.derived, held.derived_bytes)
    )
    if now is not None and tuple(now) == tuple(wanted):
        return []
    run(db, "DELETE FROM state")
    sql = "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (1, ?, ?, ?)"
    run(db, sql, *wanted[:3])
    if held.binned:
        run(db, _BIN_ADD, held.binned, held.binned_bytes)
    count_derived(db, held.derived, held.derived_bytes)
    in_bin = f", {held.binned:,} copies in the bin" if held.binned else ""
    return [
        f"the table of counters: {wanted.messages:,} copies, {wanted.used_bytes:,} bytes{in_bin}, the next copy is "
        f"{wanted.next_copy_id}"
    ]


def lock(db: StoreDatabase) -> None:
    """Keep every other writer out until the transaction ends. On SQLite its beginning does that."""
    if not isinstance(db, SqliteDatabase):
        run(db, "SELECT id FROM state WHERE id = 1 FOR UPDATE")
