"""The bin's journal: signed rows that say which copies an act put into the bin, and which were restored.

Each batch (a short transaction) writes one row. All rows of an act have the same `act`: the id of its first row. Rows
are never changed or deleted, and their ids have no gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from store.database.connection import as_bytes, run, sound
from store.helpers.decoding import msgpack_decoder
from store.sealing.epochs import EPOCH_STEPS
from store.sealing.signatures import Right
from store.terms.errors import TamperedError, UnlockError
from store.vault.reader import Reader

BINNED, RESTORED = "binned", "restored"
OPERATOR_ROLE = "bin operator"
_ROLE = "bin"
_COLUMNS = "id, kind, act, at, until, entries, sealed_operator, signature"
_INSERT = f"INSERT INTO bin_act ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - of our own text alone
_PAGE = 50


class BinRun(NamedTuple):
    """Copies with consecutive ids and steps, as `deleting.Run`, with their total bytes."""

    copy_id: int
    epoch_id: int
    step: int
    length: int
    size: int

    def ids(self) -> range:
        """Return the copies' ids."""
        return range(self.copy_id, self.copy_id + self.length)


class JournalRow(NamedTuple):
    """A row whose signature verifies. `kind` is BINNED or RESTORED; `until` (Unix ms) is 0 for RESTORED."""

    id: int
    kind: str
    act: int
    at: int
    until: int
    runs: list[BinRun]
    sealed_operator: bytes | None
    signature: bytes

    def ids(self) -> list[int]:
        """Return the ids of the row's copies, ascending."""
        return [copy_id for each in self.runs for copy_id in each.ids()]


def bin_runs(rows: Iterable[tuple[int, int, int, int]]) -> list[BinRun]:
    """Join rows (copy id, epoch id, step, bytes) in order of id into runs."""
    found: list[list[int]] = []
    for copy_id, epoch_id, step, size in rows:
        last = found[-1] if found else None
        if last and (last[0] + last[3], last[1], last[2] + last[3]) == (copy_id, epoch_id, step):
            last[3] += 1
            last[4] += size
        else:
            found.append([copy_id, epoch_id, step, 1, size])
    return [BinRun(*each) for each in found]


def append(
    vault: Reader, kind: str, act: int, at: int, until: int, runs: Sequence[BinRun], operator: str
) -> tuple[int, bytes]:
    """Write and sign a row, in the caller's transaction. `act` 0 begins a new act.

    Returns the act's id and the row's signature. Raises UnlockError where the keys at hand are no operator's.
    """
    if vault.keys.authority is None:
        raise UnlockError(
            "This key cannot move copies into the bin or out of it. Unlock the store with an operator key."
        )
    row_id = newest_row(vault) + 1
    act = act or row_id
    entries = msgspec.msgpack.encode(runs)
    sealed = vault.seal(OPERATOR_ROLE, operator.encode()) if operator else None
    signature = vault.sig(_ROLE, kind, act, at, until, entries, sealed or b"")
    run(vault.db, _INSERT, row_id, kind, act, at, until, entries, sealed, signature)
    return act, signature


def newest_row(vault: Reader) -> int:
    """Return the newest row's id, 0 if nothing ever entered the bin."""
    return int(run(vault.db, "SELECT COALESCE(MAX(id), 0) FROM bin_act").fetchone()[0])


def verified_row(vault: Reader, row: Sequence[Any]) -> JournalRow:
    """Verify a row's signature (an operator with the right to delete), and return its content. Raises TamperedError."""
    row_id, kind, act, at, until, entries, sealed, signature = row
    what = f"act {row_id} of the bin"
    with vault.reading(), sound(what):
        blob = as_bytes(entries)
        operator = None if sealed is None else as_bytes(sealed)
        fields = (kind, act, at, until, blob, operator or b"")
        vault.signers.verify(as_bytes(signature), what, _ROLE, *fields, right=Right.DELETE, at=at)
        if kind not in (BINNED, RESTORED) or (kind == BINNED and not 0 < act <= row_id):
            raise TamperedError(what, "this version of Mailhold does not know this kind of act")
        return JournalRow(row_id, kind, act, at, until, _runs_in(blob, what), operator, as_bytes(signature))


def rows_after(vault: Reader, row_id: int, act: int | None = None) -> Iterator[tuple[int, JournalRow | TamperedError]]:
    """Yield the journal's rows above `row_id`, oldest first: the id, and the content or why it does not verify.

    With `act`, only the rows of that act.
    """
    of_act = "" if act is None else "AND act = ? "
    sql = f"SELECT {_COLUMNS} FROM bin_act WHERE id > ? {of_act}ORDER BY id LIMIT {_PAGE}"  # noqa: S608 - of our own text alone
    while True:
        with vault.reading():
            rows = run(vault.db, sql, row_id, *([] if act is None else [act])).fetchall()
        for row in rows:
            row_id = row[0]
            try:
                yield row_id, verified_row(vault, row)
            except TamperedError as error:
                yield row_id, error
        if len(rows) < _PAGE:
            return


def touched(vault: Reader, row_id: int) -> tuple[int, list[int]]:
    """Return the newest row's id, and the copies that rows above `row_id` name, verified or not.

    Callers look up in the tables where the copies are now, so an unverified row does no harm. Raises TamperedError
    where a row cannot be read.
    """
    with vault.reading():
        rows = run(vault.db, "SELECT id, entries FROM bin_act WHERE id > ? ORDER BY id", row_id).fetchall()
    ids: list[int] = []
    for each, entries in rows:
        row_id = each
        what = f"act {each} of the bin"
        with sound(what):
            for found in _runs_in(as_bytes(entries), what):
                ids += found.ids()
    return row_id, ids


def _runs_in(blob: bytes, what: str) -> list[BinRun]:
    try:
        found = [BinRun(*each) for each in msgpack_decoder(list[tuple[int, int, int, int, int]]).decode(blob)]
    except msgspec.MsgspecError:
        raise TamperedError(what, "its entries cannot be read") from None
    if any(each.length < 1 or each.length > EPOCH_STEPS for each in found):
        raise TamperedError(what, "its entries cannot be read")
    return found
