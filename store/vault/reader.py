"""Read sealed copies: records, bodies, and bodies released for delivery."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import msgspec
from cryptography.exceptions import InvalidTag

from store.database.connection import ABSURD, StoreDatabase, as_bytes, run, sound
from store.database.schema import Models
from store.helpers.decoding import msgpack_decoder
from store.sealing.copies import BODY, RECORD, Place, open_part, open_records, unpack_body
from store.sealing.epochs import EPOCH_STEPS, Chains, EpochName
from store.sealing.keys import CONFIGURATION, StoreKeys, Target
from store.sealing.sealed import hpke_open, hpke_seal, seal_with, unseal_with
from store.sealing.signatures import AUTHORITY, Right, Signer, sign
from store.sealing.statements import statement
from store.terms.errors import CopyBinned, CopyMissing, StoreFormat, TamperedError, UnlockError
from store.terms.records import Copy, CopyRecord
from store.vault.epochs import EpochReader
from store.vault.gateway_rows import Signers
from store.vault.grants import Grants
from store.vault.operators import verify_operator
from store.vault.session import Session

_SCAN_ROWS = 1000
_SELECT = "SELECT id, epoch_id, step, stored_at, size, stored_size, record FROM message "
_SELECT_BINNED = "SELECT id, epoch_id, step, stored_at, size, stored_size, record FROM binned "
_NEWEST_STEP = (
    "SELECT (SELECT MAX(step) FROM message WHERE epoch_id = ?), (SELECT MAX(step) FROM binned WHERE epoch_id = ?)"
)
_RELEASED = (
    "SELECT message.id, epoch_id, step, stored_at, size, stored_size, gateway_id, number, sealed FROM message "
    "LEFT JOIN epoch ON epoch.id = epoch_id LEFT JOIN body ON body.id = message.id WHERE message.id = ?"
)
_LARGEST_ID = (1 << 63) - 1
_RELEASE = "released body key"
MessageRow = tuple[int, int, int, int, int, int, bytes]
OnError = Callable[[int, TamperedError], None]


class Reader(Session):
    """A session that reads copies."""

    def __init__(self, location: str, db: StoreDatabase, models: Models, keys: StoreKeys) -> None:
        super().__init__(location, db, models, keys)
        self.signers = Signers(self)
        self.epoch_reader = EpochReader(self, self.signers)
        self.grants = Grants(self, self.signers)
        self._decoder = msgpack_decoder(CopyRecord)

    def seal(self, role: str, plaintext: bytes) -> bytes:
        """Seal data other than copies (settings, snapshots, recipients), bound to this store and `role`.

        Roles that begin with `configuration` use the newest generation of the configuration key.
        """
        if role.startswith(CONFIGURATION):
            return self.grants.seal(role, plaintext)
        return seal_with(self.keys.sealing_key(role), role, self.store_id, plaintext)

    def unseal(self, role: str, sealed: bytes) -> bytes:
        """Open what `seal` made for the same role. Raises TamperedError naming the role."""
        if role.startswith(CONFIGURATION):
            return self.grants.unseal(role, sealed)
        return unseal_with(self.keys.sealing_key(role), role, self.store_id, sealed)

    def sig(self, role: str, *fields: int | bytes | str, gateway: bool = False) -> bytes:
        """Sign as `sig(role, field…)`: with the authority's key if an operator unlocked the store, else this gateway's.

        With `gateway`, always with this gateway's. Raises UnlockError where the keys at hand cannot sign.
        """
        keys = self.keys
        if keys.authority is not None and not gateway:
            signer = Signer(AUTHORITY, keys.authority)
        elif keys.gateway is not None:
            signer = Signer(keys.gateway.gateway_id, keys.gateway.signing)
        else:
            raise UnlockError(f"This key cannot sign the {role}. Unlock the store with an operator key.")
        return sign(self.store_id, statement(role, self.store_id, *fields), signer)

    def sign(self, role: str, data: bytes) -> bytes:
        """Sign `data` (64 bytes) with the authority's key, bound to this store and `role`.

        Raises UnlockError where the keys at hand cannot sign.
        """
        if self.keys.authority is None:
            raise UnlockError(f"This key cannot sign the {role}. Unlock the store with an operator key.")
        return self.keys.authority.sign(statement("signed", role, self.store_id, data))

    def verify(self, role: str, data: bytes, signature: bytes, right: Right, *, at: int | None = None) -> None:
        """Verify what `sign` made, or operators who have `right` signed instead (see `verify_operator`).

        Raises TamperedError naming the role.
        """
        verify_operator(self, statement("signed", role, self.store_id, data), signature, role, right, at=at)

    def get(self, copy_id: int) -> Copy:
        """Open the copy with this id. Raises CopyMissing, TamperedError."""
        return self._open_all([self.row(copy_id)], None)[0]

    def get_many(self, ids: Sequence[int], *, on_error: OnError | None = None, binned: bool = False) -> list[Copy]:
        """Open the copies with these ids, in that order, leaving out missing ones. With `binned`, those in the bin.

        A copy that does not verify raises TamperedError or, if `on_error` is given, is left out and reported to it.
        """
        rows: dict[int, MessageRow] = {}
        for start in range(0, len(ids), _SCAN_ROWS):
            rows.update((row[0], row) for row in self.rows_of(ids[start : start + _SCAN_ROWS], binned=binned))
        return self._open_all([rows[copy_id] for copy_id in ids if copy_id in rows], on_error)

    def newest(self, limit: int, before_id: int | None = None, *, on_error: OnError | None = None) -> list[Copy]:
        """Open up to `limit` copies, newest first, below `before_id` if given. `on_error` as in `get_many`."""
        return self._open_all(self.newest_rows(limit, _LARGEST_ID if before_id is None else before_id - 1), on_error)

    def scan(self, after_id: int = 0, limit: int | None = None, *, on_error: OnError | None = None) -> Iterator[Copy]:
        """Yield copies above `after_id` in order of id, without one long transaction. `on_error` as in `get_many`."""
        left = limit
        while left is None or left > 0:
            rows = self.rows(after_id, _SCAN_ROWS if left is None else min(left, _SCAN_ROWS))
            if not rows:
                return
            after_id = rows[-1][0]
            if left is not None:
                left -= len(rows)
            yield from self._open_all(rows, on_error)

    def batches(self, after_id: int, until: int, *, on_error: OnError) -> Iterator[list[Copy]]:
        """Yield lists of up to 1000 copies, as `scan` does, up to the id `until`."""
        while rows := self.rows(after_id, _SCAN_ROWS, until):
            after_id = rows[-1][0]
            yield self._open_all(rows, on_error)

    def rows(self, after_id: int, limit: int, until: int = _LARGEST_ID) -> list[MessageRow]:
        """Fetch up to `limit` message rows above `after_id` and up to `until`, in order of id, not verified.

        Raises StoreFormat if they are out of order, as in a damaged file: a caller that continues after the last row's
        id would then never end.
        """
        with self.reading():
            sql = _SELECT + "WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
            found = run(self.db, sql, after_id, until, limit).fetchall()
        last: Any = after_id
        for row in found:
            if not isinstance(row[0], int) or row[0] <= last:
                raise StoreFormat(
                    f"The store {self.location} is damaged: its copies are out of order. Run `mailhold check`."
                )
            last = row[0]
        return cast("list[MessageRow]", found)

    def rows_of(self, ids: Sequence[int], *, binned: bool = False) -> list[MessageRow]:
        """Fetch the message rows with these ids (in the bin, if `binned`), in any order, not verified."""
        with self.reading():
            sql = (_SELECT_BINNED if binned else _SELECT) + "WHERE id = ANY(?)"
            return cast("list[MessageRow]", run(self.db, sql, list(ids)).fetchall())

    def newest_rows(self, limit: int, until: int) -> list[MessageRow]:
        """Fetch up to `limit` message rows up to the id `until`, newest first, not verified."""
        with self.reading():
            sql = _SELECT + "WHERE id <= ? ORDER BY id DESC LIMIT ?"
            return cast("list[MessageRow]", run(self.db, sql, until, limit).fetchall())

    def raw(self, copy_id: int, *, binned: bool = False) -> bytes:
        """Open a message's source, byte for byte, and verify its SHA-256. With `binned`, of a copy in the bin.

        Raises CopyMissing (CopyBinned for a copy in the bin without `binned`), TamperedError.
        """
        rows = self.rows_of([copy_id], binned=True) if binned else [self.row(copy_id)]
        if not rows:
            raise CopyMissing(copy_id)
        copy, place, body_key = self.open_row(rows[0])
        return self.open_body(place, body_key, copy.record.sha256)

    def ids(self) -> list[int]:
        """List the ids of all copies in Backup, ascending."""
        with self.reading():
            return [copy_id for (copy_id,) in run(self.db, "SELECT id FROM message ORDER BY id").fetchall()]

    def id_range(self) -> tuple[int, int]:
        """Return the lowest and the highest copy id in Backup; zeros if it is empty."""
        with self.reading():
            sql = "SELECT (SELECT MIN(id) FROM message), (SELECT MAX(id) FROM message)"
            low, high = run(self.db, sql).fetchone()
        return low or 0, high or 0

    def newest_id(self) -> int:
        """Return the highest id of a copy in Backup or in the bin, 0 if there is none."""
        with self.reading():
            sql = "SELECT (SELECT MAX(id) FROM message), (SELECT MAX(id) FROM binned)"
            return max(one or 0 for one in run(self.db, sql).fetchone())

    def count_above(self, after_id: int) -> int:
        """Count the copies of Backup with a higher id."""
        with self.reading():
            return int(run(self.db, "SELECT COUNT(*) FROM message WHERE id > ?", after_id).fetchone()[0])

    def ids_above(self, after_id: int, limit: int) -> list[int]:
        """List up to `limit` ids of copies of Backup above `after_id`, ascending."""
        with self.reading():
            sql = "SELECT id FROM message WHERE id > ? ORDER BY id LIMIT ?"
            return [copy_id for (copy_id,) in run(self.db, sql, after_id, limit).fetchall()]

    def present(self, ids: Sequence[int]) -> set[int]:
        """Return those ids that are of copies in Backup."""
        return self._found("SELECT id FROM message WHERE id = ANY(?)", ids)

    def present_in_bin(self, ids: Sequence[int]) -> set[int]:
        """Return those ids that are of copies in the bin."""
        return self._found("SELECT id FROM binned WHERE id = ANY(?)", ids)

    def _found(self, sql: str, ids: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(ids), _SCAN_ROWS):
            chunk = list(ids[start : start + _SCAN_ROWS])
            with self.reading():
                rows = run(self.db, sql, chunk).fetchall()
            found.update(copy_id for (copy_id,) in rows)
        return found

    def newest_step(self, epoch_id: int) -> int:
        """Return the highest step of an epoch that belongs to a copy, in the bin or not; -1 if none does."""
        with self.reading():
            steps = run(self.db, _NEWEST_STEP, epoch_id, epoch_id).fetchone()
        return max(-1 if step is None else int(step) for step in steps)

    def row(self, copy_id: int) -> MessageRow:
        """Fetch a message row, not verified. Raises CopyMissing (CopyBinned if the copy is in the bin)."""
        with self.reading():
            row = run(self.db, _SELECT + "WHERE id = ?", copy_id).fetchone() if abs(copy_id) <= _LARGEST_ID else None
        if row is None:
            raise self.missing(copy_id)
        return cast("MessageRow", row)

    def missing(self, copy_id: int) -> CopyMissing:
        """Make the error for a copy that is not in Backup: CopyBinned if it is in the bin."""
        known = abs(copy_id) <= _LARGEST_ID
        return CopyBinned(copy_id) if known and self.rows_of([copy_id], binned=True) else CopyMissing(copy_id)

    def _open_all(self, rows: Sequence[MessageRow], on_error: OnError | None) -> list[Copy]:
        copies: list[Copy] = []
        for _epoch_id, run_of_it in groupby(rows, itemgetter(1)):
            consecutive = list(run_of_it)
            try:
                copies += self._open_run(consecutive)
            except (TamperedError, InvalidTag, msgspec.MsgspecError, *ABSURD):
                copies += self._open_each(consecutive, on_error)
        return copies

    def _open_run(self, rows: Sequence[MessageRow]) -> Iterable[Copy]:
        """Open rows of one epoch at once. If one does not verify, this raises without saying which."""
        ids, _epochs, steps, times, sizes, stored_sizes, sealed = zip(*rows, strict=True)
        self._require_step(rows[0])
        if {*map(type, steps)} != {int} or min(steps) < 0 or max(steps) >= EPOCH_STEPS:
            raise ValueError("a step that does not exist")
        chains = self.epoch_reader.chains(rows[0][1])
        opened = open_records(chains, steps, (ids, times, sizes, stored_sizes), sealed)
        records = list(map(self._decoder.decode, opened))
        return map(Copy._make, zip(ids, times, stored_sizes, records, strict=True))

    def _open_each(self, rows: Iterable[MessageRow], on_error: OnError | None) -> Iterator[Copy]:
        for row in rows:
            try:
                chains = self._chains_of(row, self.epoch_reader)
                [key] = chains.record_keys([row[2]])
                yield self._open_record(row, chains, key)[0]
            except TamperedError as error:
                if on_error is None:
                    raise
                on_error(row[0], error)

    def open_row(self, row: MessageRow, reader: EpochReader | None = None) -> tuple[Copy, Place, bytes]:
        """Open a row: its copy, its place, and the key of its body. Raises TamperedError naming the copy."""
        chains = self._chains_of(row, reader or self.epoch_reader)
        record_key, body_key = chains.keys(row[2])
        return *self._open_record(row, chains, record_key), body_key

    def _chains_of(self, row: MessageRow, reader: EpochReader) -> Chains:
        """Return the keys of a row's epoch, after checking that its step is in range."""
        copy_id, epoch_id = row[:2]
        self._require_step(row)
        try:
            return reader.chains(epoch_id)
        except TamperedError as error:
            why = f"it belongs to {error.what}, which does not verify"
            raise TamperedError(f"copy {copy_id}", why) from None

    @staticmethod
    def _require_step(row: MessageRow) -> None:
        _id, epoch_id, step, *_rest = row
        if not isinstance(step, int) or not 0 <= step < EPOCH_STEPS or not isinstance(epoch_id, int):
            raise TamperedError(f"copy {row[0]}", "it refers to a step or epoch that does not exist")

    def _open_record(self, row: MessageRow, chains: Chains, key: bytes) -> tuple[Copy, Place]:
        copy_id, _epoch_id, step, stored_at, size, stored_size, sealed = row
        place = Place(chains.name, step, copy_id, stored_at, size, stored_size)
        try:
            record = self._decoder.decode(open_part(key, place, RECORD, sealed))
        except msgspec.MsgspecError:
            raise TamperedError(
                f"copy {copy_id}", "this version of Mailhold does not know the format of its record"
            ) from None
        except ABSURD:
            raise TamperedError(f"copy {copy_id}", "a field of its row holds an impossible value") from None
        return Copy(copy_id, stored_at, stored_size, record), place

    def open_body(self, place: Place, body_key: bytes, sha256: bytes) -> bytes:
        """Open the body at a place. Raises CopyMissing, TamperedError naming the copy."""
        what = f"copy {place.copy_id}"
        with self.reading():
            row = run(self.db, "SELECT sealed FROM body WHERE id = ?", place.copy_id).fetchone()
        if row is None:
            if not self.present_in_bin([place.copy_id]):
                self.row(place.copy_id)
            raise TamperedError(what, "its body is missing")
        return _opened_body(place, body_key, sha256, row[0])

    def release_body_key(self, copy_id: int, delivery_id: int, target: Target | None = None) -> bytes:
        """Seal a copy's body key to the delivering gateway, for one delivery only, signed with the authority's key.

        `target` is that gateway (`store.enrolment.enrolled.delivery_target`), by default this process's own. Raises
        CopyMissing, TamperedError, and UnlockError where the keys at hand cannot release a copy.
        """
        copy, _place, body_key = self.open_row(self.row(copy_id))
        gateway = self.keys.gateway
        if gateway is None:
            raise UnlockError("This key cannot release a copy. Unlock the store with an operator key.")
        gateway_id, key = target[:2] if target else (gateway.gateway_id, gateway.delivery.public_key())
        info = statement(_RELEASE, self.store_id, gateway_id, delivery_id, copy_id)
        sealed = hpke_seal(key, info, body_key + copy.record.sha256)
        return self.sign(_RELEASE, info + sealed) + sealed

    def released_raw(self, delivery: Any, ordered: bytes | None = None) -> bytes:
        """Open the message that a delivery's row releases, and verify its SHA-256; with `ordered`, that it is this one.

        Raises CopyMissing, TamperedError, and UnlockError where the keys at hand cannot deliver.
        """
        gateway, what = self.keys.gateway, f"delivery {delivery.id}"
        if gateway is None:
            raise UnlockError("This key cannot deliver. Unlock the store with an operator key.")
        if delivery.sealed_body_key is None:
            raise TamperedError(what, "it holds no key for its copy")
        with sound(what):
            info = self.verify_release(delivery)
        blob = as_bytes(delivery.sealed_body_key)
        opened = hpke_open(gateway.delivery, info, blob[64:], what)
        if ordered is not None and opened[32:] != ordered:
            raise TamperedError(what, "its copy is not the one that was ordered")
        with self.reading():
            row = run(self.db, _RELEASED, delivery.copy_id).fetchone()
        if row is None:
            raise self.missing(delivery.copy_id)
        copy_id, epoch_id, step, stored_at, size, stored_size, writer, number, sealed = row
        if number is None:
            raise TamperedError(f"epoch {epoch_id}", "its row is missing")
        # The epoch need not be verified: under a wrong name no body opens.
        name = EpochName(self.store_id, writer, epoch_id, number)
        place = Place(name, step, copy_id, stored_at, size, stored_size)
        if sealed is None:
            return self.open_body(place, opened[:32], opened[32:])
        return _opened_body(place, opened[:32], opened[32:], sealed)

    def verify_release(self, delivery: Any) -> bytes:
        """Verify that an operator released the body key in a delivery's row. Returns the `info` it is sealed with.

        Raises TamperedError.
        """
        info = statement(_RELEASE, self.store_id, delivery.gateway_id, delivery.id, delivery.copy_id)
        blob = as_bytes(delivery.sealed_body_key)
        try:
            self.verify(_RELEASE, info + blob[64:], blob[:64], Right.RELEASE)
        except TamperedError:
            why = "its key was not released by an operator"
            raise TamperedError(f"delivery {delivery.id}", why) from None
        return info


def _opened_body(place: Place, body_key: bytes, sha256: bytes, sealed: bytes) -> bytes:
    what = f"copy {place.copy_id}"
    with sound(what):
        raw = unpack_body(open_part(body_key, place, BODY, sealed), place.size, what)
    if hashlib.sha256(raw).digest() != sha256:
        raise TamperedError(what, "its body does not match its record")
    return raw
