"""The table of counters: copies, their bytes, and the next copy's id. All SQL on it is in this module.

Row 1 counts all copies (messages: those in Backup only) and their bytes, the bin's included. Row 2 counts the copies in
the bin and their bytes; it exists once a copy was in the bin. Row 3 counts the rows of `derived` and their bytes; it
exists once there was one. Call these functions in a transaction or a `Session.reading`. A table without row 1 is a
TamperedError.
"""

from __future__ import annotations

from typing import NamedTuple

from store.database.connection import StoreDatabase, run
from store.database.executing import Execute
from store.database.orm import SqliteDatabase
from store.terms.errors import TamperedError

_ADD = (
    "UPDATE state SET messages = messages + ?, used_bytes = used_bytes + ?, next_copy_id = next_copy_id + ? "
    "WHERE id = 1"
)
_TELL = (
    "SELECT next_copy_id, used_bytes + COALESCE((SELECT made.used_bytes FROM state AS made WHERE made.id = 3), 0) "
    "FROM state WHERE id = 1"
)
_ADD_AND_TELL = (
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
    """The stored counters.

    `messages` are the copies in Backup, `used_bytes` the bytes of those and of the `binned` ones. `derived` counts rows
    of data derived from copies (or belonging to none), `derived_bytes` their bytes.
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
        """The bytes of all copies and of the data derived from them: compared with the maximum size."""
        return self.used_bytes + self.derived_bytes


def counters(db: StoreDatabase) -> Counters:
    """Read the counters. Raises TamperedError if their table is empty."""
    sql = "SELECT id, messages, used_bytes, next_copy_id FROM state WHERE id <= 3"
    rows = {row[0]: row[1:] for row in run(db, sql).fetchall()}
    if _ALL not in rows:
        raise TamperedError("the table of counters", "it is empty")
    return Counters(*rows[_ALL], *rows.get(_BIN, (0, 0))[:2], *rows.get(_DERIVED, (0, 0))[:2])


def first_counters(db: StoreDatabase) -> None:
    """Write the counters of a new, empty store."""
    run(db, "INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (1, 0, 0, 1)")


def count_in(db: StoreDatabase, execute: Execute, copies: int, used_bytes: int) -> tuple[int, int]:
    """Count copies that come in. Returns the id after the last of them, and the bytes then used in total.

    `execute` is the `executor` of `db`. Raises TamperedError where the table of counters is empty.
    """
    if isinstance(db, SqliteDatabase):  # RETURNING takes longer than a second statement there.
        execute(_ADD, (copies, used_bytes, copies))
        row = execute(_TELL, ()).fetchone()
    else:
        row = execute(_ADD_AND_TELL, (copies, used_bytes, copies)).fetchone()
    if row is None:
        raise TamperedError("the table of counters", "it is empty")
    return row


def count_out(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Subtract copies deleted from Backup."""
    run(db, "UPDATE state SET messages = messages - ?, used_bytes = used_bytes - ? WHERE id = 1", copies, used_bytes)


def count_into_bin(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Count copies moved from Backup into the bin; negative numbers for copies restored."""
    run(db, "UPDATE state SET messages = messages - ? WHERE id = 1", copies)
    run(db, _BIN_ADD, copies, used_bytes)


def count_out_of_bin(db: StoreDatabase, copies: int, used_bytes: int) -> None:
    """Subtract copies deleted from the bin."""
    run(db, "UPDATE state SET used_bytes = used_bytes - ? WHERE id = 1", used_bytes)
    run(db, _BIN_ADD, -copies, -used_bytes)


def count_derived(db: StoreDatabase, rows: int, size: int) -> None:
    """Count derived rows and their bytes, after they were written or deleted (negative numbers).

    If row 3 does not exist yet, it is created with the count of all rows that are there.
    """
    if (rows or size) and run(db, _DERIVED_ADD, rows, size).fetchone() is None:
        run(db, _DERIVED_FIRST)


class Held(NamedTuple):
    """A fresh count of the rows: copies in Backup and in the bin, their bytes, and derived rows with their bytes."""

    messages: int
    binned: int
    message_bytes: int
    binned_bytes: int
    derived: int = 0
    derived_bytes: int = 0

    @property
    def used_bytes(self) -> int:
        """The bytes of all copies, in Backup and in the bin."""
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
    """Overwrite the counters with a fresh count."""
    run(db, "UPDATE state SET messages = ?, used_bytes = ? WHERE id = 1", held.messages, held.used_bytes)
    run(db, "UPDATE state SET messages = ?, used_bytes = ? WHERE id = 2", held.binned, held.binned_bytes)
    if held.derived:
        run(db, _DERIVED_ANEW, held.derived, held.derived_bytes)
    else:
        run(db, "DELETE FROM state WHERE id = 3")


def raise_next(db: StoreDatabase, next_copy_id: int) -> None:
    """Raise the next copy's id to `next_copy_id`, if it is lower."""
    run(db, "UPDATE state SET next_copy_id = ? WHERE id = 1 AND next_copy_id < ?", next_copy_id, next_copy_id)


def taken_ids(db: StoreDatabase) -> list[int]:
    """List the ids of all copies, in Backup and in the bin, ascending."""
    sql = "SELECT id FROM message UNION SELECT id FROM binned ORDER BY id"
    return [int(copy_id) for (copy_id,) in run(db, sql).fetchall()]


def counted(db: StoreDatabase, *, has_bin: bool = True) -> Held:
    """Count all rows anew. Without `has_bin` (a store of format 1), those of Backup only."""
    return Held(*map(int, run(db, _COUNT if has_bin else _COUNT_WITHOUT).fetchone()))


def newest_id(db: StoreDatabase) -> int:
    """Return the highest copy id, in Backup or in the bin; 0 if there is none."""
    sql = "SELECT (SELECT COALESCE(MAX(id), 0) FROM message), (SELECT COALESCE(MAX(id), 0) FROM binned)"
    return max(map(int, run(db, sql).fetchone()))


def require_right(db: StoreDatabase) -> None:
    """Raise TamperedError if the counters differ from the rows. Call it in a snapshot, so that all reads agree."""
    what, told, held = "the table of counters", counters(db), counted(db)
    if not told.derived:  # An older release, which did not count derived rows, may have written the counters.
        held = held._replace(derived=told.derived, derived_bytes=told.derived_bytes)
    if held.told() != {name: getattr(told, name) for name in held.told()}:
        raise TamperedError(what, "its counts do not match the copies")
    if told.next_copy_id <= newest_id(db):
        raise TamperedError(what, "it would assign IDs that are already used")


def made_right(db: StoreDatabase, floor: int) -> list[str]:
    """Rewrite the counters if they differ from the rows. Returns sentences that say what was written.

    The next copy's id becomes at least `floor`, and higher than that of every copy, in the bin or not.
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
    in_bin = f", {held.binned:,} in the bin" if held.binned else ""
    return [
        f"the table of counters: {wanted.messages:,} copies, {wanted.used_bytes:,} bytes{in_bin}, next copy ID "
        f"{wanted.next_copy_id}"
    ]


def lock(db: StoreDatabase) -> None:
    """Keep every other writer out until the transaction ends. SQLite's BEGIN IMMEDIATE already does."""
    if not isinstance(db, SqliteDatabase):
        run(db, "SELECT id FROM state WHERE id = 1 FOR UPDATE")
