"""The table `derived`: data computed from copies, sealed for operators, one row per copy and kind. All its SQL is here.

    Derived(vault, kind, version)
        write(rows)             write or replace copies' plaintexts, in one transaction
        read(ids)               read copies' plaintexts, without those of another version
        batches(after_id, …)    read all in order of id, 2000 at a time
        lacking(before_id, …)   list copies of Backup without a row of this version, newest first
        remove(after_id, …)     delete the rows of a range of copies
    Loose(vault, kind, version)  the same for rows of no copy, with ids of 0 and below, in the caller's transaction

Deleting a copy deletes its rows in the same transaction (`forget`); copies in the bin keep theirs. A row that does not
verify is treated as missing and reported to `on_error`; it is computed again from the copy.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from store.database.connection import StoreDatabase, as_bytes, run, run_many
from store.sealing.derived import DerivedKey
from store.terms.errors import TamperedError
from store.vault.counters import count_derived
from store.vault.reader import OnError
from store.vault.session import Session

_ROWS, _IDS = 2000, 50_000
_LARGEST_ID = (1 << 63) - 1
_RECORDS = "SELECT id, record FROM message WHERE id = ANY(?) UNION ALL SELECT id, record FROM binned WHERE id = ANY(?)"
_PUT = (
    "INSERT INTO derived (id, kind, version, sealed) VALUES (?, ?, ?, ?) ON CONFLICT (id, kind) DO UPDATE "
    "SET version = excluded.version, sealed = excluded.sealed"
)
_READ = (
    "SELECT derived.id, message.record, derived.sealed FROM derived JOIN message ON message.id = derived.id "
    "WHERE derived.id = ANY(?) AND kind = ? AND version = ?"
)
_READ_BINNED = (
    "SELECT derived.id, binned.record, derived.sealed FROM derived JOIN binned ON binned.id = derived.id "
    "WHERE derived.id = ANY(?) AND kind = ? AND version = ?"
)
_BATCH = (
    "SELECT message.id, message.record, derived.sealed FROM message JOIN derived ON derived.id = message.id "
    "AND derived.kind = ? AND derived.version = ? WHERE message.id > ? AND message.id <= ? ORDER BY message.id LIMIT ?"
)
_BATCH_BINNED = _BATCH.replace("message", "binned")
_LACKING = (
    "SELECT message.id FROM message LEFT JOIN derived ON derived.id = message.id AND derived.kind = ? "
    "AND derived.version = ? WHERE message.id < ? AND message.id > ? AND derived.id IS NULL "
    "ORDER BY message.id DESC LIMIT ?"
)
_HAVING = (
    "SELECT message.id FROM message JOIN derived ON derived.id = message.id AND derived.kind = ? "
    "AND derived.version = ? WHERE message.id > ? AND message.id <= ? ORDER BY message.id LIMIT ?"
)
_HAVING_BINNED = _HAVING.replace("message", "binned")
_ROWS_AND_BYTES = "SELECT COUNT(*), COALESCE(SUM(LENGTH(sealed)), 0) FROM derived WHERE "
_DELETE = "DELETE FROM derived WHERE "
_OF_KIND, _OF_SPAN, _OF_COPIES = "kind = ? AND id = ANY(?)", "kind = ? AND id > ? AND id <= ?", "id = ANY(?)"
_LOOSE = "SELECT id, sealed FROM derived WHERE id <= 0 AND kind = ? AND version = ?"
_LOOSE_ONE = "SELECT sealed FROM derived WHERE id = ? AND kind = ? AND version = ?"
_STRAYS = (
    "SELECT derived.id, derived.kind FROM derived LEFT JOIN message ON message.id = derived.id "
    "LEFT JOIN binned ON binned.id = derived.id WHERE derived.id > 0 AND message.id IS NULL AND binned.id IS NULL "
    "ORDER BY derived.id, derived.kind"
)
_KINDS = "SELECT kind, COUNT(*) FROM derived GROUP BY kind ORDER BY kind"
_LOOSE_IDS = "SELECT id FROM derived WHERE id <= 0 AND kind = ?"


class Derived:
    """Derived data of one kind and version. Thread-safe. Raises UnlockError where the keys are no operator's."""

    def __init__(self, session: Session, kind: str, version: int) -> None:
        self._session = session
        self._kind, self._version = kind, version
        self._key = DerivedKey(session.keys.sealing_key(kind), session.store_id, kind, version)

    def write(self, rows: Iterable[tuple[int, bytes]]) -> list[int]:
        """Write or replace copies' plaintexts. Returns the ids written, without copies that no longer exist.

        Seals inside the transaction, so pass a few hundred rows at most. Raises StoreUnavailable.
        """
        made = dict(rows)
        if not made:
            return []
        session, ids = self._session, list(made)
        with session.write():
            records = run(session.db, _RECORDS, ids, ids).fetchall()
            sealed = [
                (copy_id, self._kind, self._version, self._key.seal(copy_id, as_bytes(record), made[copy_id]))
                for copy_id, record in records
            ]
            _put(session.db, self._kind, sealed)
        return sorted(row[0] for row in sealed)

    def read(self, ids: Sequence[int], *, binned: bool = False, on_error: OnError | None = None) -> dict[int, bytes]:
        """Read the plaintexts of copies in Backup, or with `binned` in the bin, by copy id.

        Leaves out rows that do not verify. Raises StoreUnavailable.
        """
        found: dict[int, bytes] = {}
        for start in range(0, len(ids), _ROWS):
            with self._session.reading():
                sql = _READ_BINNED if binned else _READ
                part = list(ids[start : start + _ROWS])
                rows = run(self._session.db, sql, part, self._kind, self._version).fetchall()
            found.update(self._opened(rows, on_error))
        return found

    def batches(
        self, after_id: int = 0, until: int = _LARGEST_ID, *, binned: bool = False, on_error: OnError | None = None
    ) -> Iterator[list[tuple[int, bytes]]]:
        """Yield (id, plaintext) of copies in Backup, or with `binned` in the bin, above `after_id` up to `until`.

        In order of id, up to 2000 per list.
        """
        sql = _BATCH_BINNED if binned else _BATCH
        while True:
            with self._session.reading():
                rows = run(self._session.db, sql, self._kind, self._version, after_id, until, _ROWS).fetchall()
            if not rows or rows[-1][0] <= after_id:
                return
            after_id = rows[-1][0]
            yield self._opened(rows, on_error)

    def lacking(self, before_id: int = _LARGEST_ID, *, after_id: int = 0, limit: int = _ROWS) -> list[int]:
        """List up to `limit` copies of Backup between the two ids that have no row of this version, newest first."""
        with self._session.reading():
            rows = run(self._session.db, _LACKING, self._kind, self._version, before_id, after_id, limit).fetchall()
        return [copy_id for (copy_id,) in rows]

    def having(self, after_id: int = 0, until: int = _LARGEST_ID, *, binned: bool = False) -> array[int]:
        """List the copies in Backup, or with `binned` in the bin, that have a row of this version, ascending.

        Only ids above `after_id`, up to `until`.
        """
        found, sql = array("Q"), _HAVING_BINNED if binned else _HAVING
        while True:
            with self._session.reading():
                rows = run(self._session.db, sql, self._kind, self._version, after_id, until, _IDS).fetchall()
            if not rows or rows[-1][0] <= after_id:
                return found
            after_id = rows[-1][0]
            found.extend(copy_id for (copy_id,) in rows if copy_id >= 0)

    def remove(self, after_id: int, until: int, ids: Sequence[int] = ()) -> None:
        """Delete the rows of this kind of copies above `after_id` up to `until`, and of the copies `ids`.

        Joins an open transaction. Raises StoreUnavailable.
        """
        with self._session.write():
            _remove(self._session.db, _OF_SPAN, self._kind, max(after_id, 0), until)
            if ids:
                _remove(self._session.db, _OF_KIND, self._kind, [copy_id for copy_id in ids if copy_id > 0])

    def _opened(self, rows: Sequence[Any], on_error: OnError | None) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        for copy_id, record, sealed in rows:
            try:
                found.append((copy_id, self._key.open(copy_id, as_bytes(record), as_bytes(sealed))))
            except TamperedError as error:
                if on_error is not None:
                    on_error(copy_id, error)
        return found


class Loose:
    """Rows of one kind and version that belong to no copy; their ids are 0 or negative.

    Sealing (`seal`) and writing (`put`) are separate, so that sealing need not happen inside a transaction. Raises
    UnlockError where the keys are no operator's.
    """

    def __init__(self, session: Session, kind: str, version: int) -> None:
        self._session = session
        self._kind, self._version = kind, version
        self._key = DerivedKey(session.keys.sealing_key(kind), session.store_id, kind, version)

    def seal(self, row_id: int, plaintext: bytes) -> bytes:
        """Seal a row for `put`."""
        return self._key.seal(row_id, b"", plaintext)

    def open(self, row_id: int, sealed: bytes) -> bytes:
        """Open a row. Raises TamperedError."""
        return self._key.open(row_id, b"", sealed)

    def get(self, row_id: int) -> bytes:
        """Return the sealed row; b"" if there is none. Raises StoreUnavailable."""
        with self._session.reading():
            row = run(self._session.db, _LOOSE_ONE, row_id, self._kind, self._version).fetchone()
        return as_bytes(row[0]) if row else b""

    def all(self) -> dict[int, bytes]:
        """Return all rows, still sealed, read at one moment. Raises StoreUnavailable."""
        with self._session.reading():
            rows = run(self._session.db, _LOOSE, self._kind, self._version).fetchall()
        return {row_id: as_bytes(sealed) for row_id, sealed in rows}

    def ids(self) -> list[int]:
        """List the rows' ids, of any version. Raises StoreUnavailable."""
        with self._session.reading():
            return [row_id for (row_id,) in run(self._session.db, _LOOSE_IDS, self._kind).fetchall()]

    def put(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Write or replace sealed rows. Joins an open transaction. Raises StoreUnavailable."""
        if rows:
            with self._session.write():
                _put(self._session.db, self._kind, [(row_id, self._kind, self._version, one) for row_id, one in rows])

    def remove(self, ids: Sequence[int]) -> None:
        """Delete rows. Joins an open transaction. Raises StoreUnavailable."""
        if ids:
            with self._session.write():
                _remove(self._session.db, _OF_KIND, self._kind, list(ids))


def strays(db: StoreDatabase) -> list[tuple[int, str]]:
    """List (id, kind) of rows whose copy is neither in Backup nor in the bin."""
    return [(row_id, kind) for row_id, kind in run(db, _STRAYS).fetchall()]


def kinds(db: StoreDatabase) -> dict[str, int]:
    """Count the rows of each kind."""
    return dict(run(db, _KINDS).fetchall())


def forget(db: StoreDatabase, ids: list[int]) -> None:
    """Delete all derived rows of these copies, in the open transaction."""
    _remove(db, _OF_COPIES, ids)


def _put(db: StoreDatabase, kind: str, rows: list[tuple[Any, ...]]) -> None:
    """Write or replace rows of one kind, each with a different id, and count them."""
    if rows:
        before, size = run(db, _ROWS_AND_BYTES + _OF_KIND, kind, [row[0] for row in rows]).fetchone()
        run_many(db, _PUT, rows)
        count_derived(db, len(rows) - before, sum(len(row[3]) for row in rows) - size)


def _remove(db: StoreDatabase, which: str, *values: Any) -> None:
    rows, size = run(db, _ROWS_AND_BYTES + which, *values).fetchone()
    if rows:
        run(db, _DELETE + which, *values)
        count_derived(db, -rows, -int(size))
