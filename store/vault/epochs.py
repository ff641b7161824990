"""Epochs in the database: writing this process's own epoch, and reading all epochs.

A writer's epoch begins in the transaction of its first put, and ends after 1,000 steps, after an hour, or with the
process. If a transaction fails after step keys were used, its epoch ends: the closing counts only committed steps, and
the ratchet has already erased the keys of the lost ones. So no key is ever used twice, and every step below an epoch's
count is a copy in Backup, in the bin, or has a tombstone.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from store.database.connection import as_bytes, run, sound
from store.database.orm import Database
from store.database.schema import Models
from store.helpers.clock import now_ms
from store.sealing.epochs import (
    EPOCH_MS,
    EPOCH_STEPS,
    Chains,
    Closing,
    EpochName,
    Opening,
    Ratchet,
    open_epoch,
    read_epoch,
)
from store.sealing.keys import StoreKeys, hybrid_public
from store.terms.errors import StoreError, TamperedError
from store.vault.gateway_rows import Signers
from store.vault.session import Session

FIRST_PREVIOUS = bytes(32)
_AT = (
    "SELECT id FROM message WHERE id = ? AND epoch_id = ? UNION ALL SELECT id FROM binned WHERE id = ? AND epoch_id = ?"
)
_OPENING = (
    "SELECT id, gateway_id, number, opened_at, previous, commitment, sealed_secret, opening_signature FROM epoch "
    "WHERE id = ?"
)


class _Opened(NamedTuple):
    """What an epoch's row says of its opening. Reading it with the ORM takes as long as verifying it."""

    id: int
    gateway_id: int
    number: int
    opened_at: int
    previous: bytes
    commitment: bytes
    sealed_secret: bytes
    opening_signature: bytes


def opening_of(store_id: bytes, row: Any) -> Opening:
    """Read the opening from an epoch's row, without verifying it."""
    name = EpochName(store_id, row.gateway_id, row.id, row.number)
    return Opening(name, row.opened_at, as_bytes(row.previous), as_bytes(row.commitment), as_bytes(row.sealed_secret))


class EpochReader:
    """Step keys of any epoch. Each epoch is verified at first use and then cached. Thread-safe."""

    _KEPT = 2048

    def __init__(self, session: Session, signers: Signers) -> None:
        self._session = session
        self._signers = signers
        self._chains: OrderedDict[int, Chains] = OrderedDict()
        self._latest: Chains | None = None
        self._lock = threading.Lock()

    def chains(self, epoch_id: int) -> Chains:
        """Return an epoch's keys. Raises StoreUnavailable, and TamperedError naming the epoch or its gateway."""
        latest = self._latest
        if latest is not None and latest.name.epoch_id == epoch_id:
            return latest
        with self._lock:
            known = self._chains.get(epoch_id)
            if known is not None:
                self._chains.move_to_end(epoch_id)
                self._latest = known
                return known
        what = f"epoch {epoch_id}"
        with self._session.reading():
            row = run(self._session.db, _OPENING, epoch_id).fetchone()
        with sound(what):
            if row is None:
                raise TamperedError(what, "its row is missing")
            fresh = self.read(_Opened(*row))
        with self._lock:
            self._chains[epoch_id] = fresh
            while len(self._chains) > self._KEPT:
                self._chains.popitem(last=False)
        return fresh

    def read(self, row: Any) -> Chains:
        """Verify an epoch's row and open it. Raises TamperedError, and StoreError where the keys cannot read copies."""
        private = self._session.keys.read_private
        if private is None:
            raise StoreError("This key cannot read message copies. Unlock the store with an operator key.")
        opening = opening_of(self._session.store_id, row)
        signer = self._signers.key(row.gateway_id)
        return Chains(opening.name, read_epoch(opening, as_bytes(row.opening_signature), signer, private))

    def forget(self, epoch_ids: Sequence[int]) -> None:
        """Drop the cached keys of epochs whose transaction was rolled back."""
        with self._lock:
            self._latest = None
            for epoch_id in epoch_ids:
                self._chains.pop(epoch_id, None)

    def clear(self) -> None:
        """Drop all cached keys."""
        with self._lock:
            self._latest = None
            self._chains.clear()


@dataclass
class _Current:
    opening: Opening
    ratchet: Ratchet
    expires: float
    committed: int = 0
    in_database: bool = False


@dataclass
class _Ended:
    """An epoch ended by a failed transaction, with its committed count and chain head.

    `doubtful` (first copy id, count, head) is set if it is unknown whether that transaction was committed: then the
    epoch has that count and head if that copy exists.
    """

    opening: Opening
    count: int
    head: bytes
    doubtful: tuple[int, int, bytes] | None = None


class EpochWriter:
    """Supplies step keys to this process's one writer. Call it under the writer's lock, inside its transaction."""

    def __init__(self, db: Database, models: Models, keys: StoreKeys, reader: EpochReader) -> None:
        self._db = db
        self._models = models
        self._keys = keys
        self._reader = reader
        self._public = hybrid_public(keys.read_public)
        self._current: _Current | None = None
        self._closed: list[_Current] = []
        self._ended: list[_Ended] = []
        #: The opening of the epoch that this process began last; None after a failed transaction.
        self._latest: Opening | None = None
        self._pid = os.getpid()

    def advance(self) -> tuple[EpochName, Ratchet, int]:
        """Advance to the next step.

        Returns the epoch, the ratchet (which holds the step's keys) and the step's number.
        """
        if self._pid != os.getpid():
            self.drop()
        if self._ended:
            self._write_ended(now_ms())
        current = self._current
        if current is not None and (current.ratchet.step >= EPOCH_STEPS or time.monotonic() >= current.expires):
            self._close(current, now_ms())
            current = None
        if current is None:
            with sound("the table of epochs"):
                current = self._current = self._open(now_ms())
        return current.opening.name, current.ratchet, current.ratchet.advance()

    def committed(self) -> None:
        """Note that the transaction that used the keys is durable."""
        current = self._current
        if current is not None:
            ratchet = current.ratchet
            ratchet.settle()
            current.committed = ratchet.step
            current.in_database = True
        if self._closed or self._ended:
            for closed in self._closed:
                closed.ratchet.wipe()
            self._closed.clear()
            self._ended.clear()

    def failed(self, *, first_copy: int | None = None) -> None:
        """End the epoch after a transaction rolled back, or may have.

        `first_copy` is the id of the transaction's first copy: if that exists in this epoch later, the transaction was
        committed.
        """
        for epoch in [*self._closed, *([self._current] if self._current else [])]:
            if epoch.in_database:
                doubtful = None
                if first_copy is not None and epoch.ratchet.step > epoch.committed:
                    doubtful = (first_copy, epoch.ratchet.step, epoch.ratchet.head())
                self._ended.append(_Ended(epoch.opening, epoch.committed, epoch.ratchet.settled_head(), doubtful))
            else:
                self._reader.forget([epoch.opening.name.epoch_id])
            epoch.ratchet.wipe()
        self._closed.clear()
        self._current = self._latest = None

    def finish(self, now: int) -> None:
        """Close the current epoch, when the vault is closed."""
        self._write_ended(now)
        if self._current is not None and self._current.in_database:
            self._close(self._current, now)
            self._current = None

    def state(self) -> tuple[Opening, int] | None:
        """Return the newest epoch and the steps used in it, including the open transaction; None if unknown."""
        if self._pid != os.getpid() or self._latest is None or self._ended:
            return None
        return self._latest, self._current.ratchet.step if self._current is not None else 0

    def needs_finish(self) -> bool:
        """Whether `finish` has anything to write."""
        return self._pid == os.getpid() and (self._current is not None or bool(self._ended))

    def drop(self) -> None:
        """Forget the epoch without closing it, in a forked child, which must not use its parent's keys."""
        for epoch in [*self._closed, *([self._current] if self._current else [])]:
            epoch.ratchet.wipe()
        self._closed.clear()
        self._ended.clear()
        self._current = self._latest = None
        self._pid = os.getpid()

    def _open(self, now: int) -> _Current:
        gateway = self._keys.gateway
        if gateway is None:
            raise StoreError("This key can only read this store. To write, unlock it with an operator key.")
        epochs = self._models.Epoch
        (newest,) = run(self._db, "SELECT MAX(id) FROM epoch").fetchone()
        before = epochs.select().where(epochs.gateway_id == gateway.gateway_id).order_by(epochs.number.desc()).first()
        name = EpochName(
            self._keys.store_id,
            gateway.gateway_id,
            newest + 1 if newest else 1,
            before.number + 1 if before else 1,
        )
        previous = opening_of(self._keys.store_id, before).digest() if before else FIRST_PREVIOUS
        opening, signature, ratchet = open_epoch(name, self._public, gateway.signing, previous, now)
        epochs.create(
            id=name.epoch_id,
            gateway_id=name.gateway_id,
            number=name.number,
            opened_at=now,
            previous=opening.previous,
            commitment=opening.commitment,
            sealed_secret=opening.sealed_secret,
            opening_signature=signature,
        )
        self._latest = opening
        return _Current(opening, ratchet, time.monotonic() + EPOCH_MS / 1000)

    def _close(self, epoch: _Current, now: int) -> None:
        self._closed.append(epoch)
        self._write_closing(Closing(epoch.opening, epoch.ratchet.step, epoch.ratchet.head(), now))

    def _write_ended(self, now: int) -> None:
        for ended in self._ended:
            count, head = ended.count, ended.head
            if ended.doubtful is not None:
                first_copy, doubtful_count, doubtful_head = ended.doubtful
                # If the transaction rolled back, another writer may since have used this copy id; so compare the epoch
                # as well.
                place = first_copy, ended.opening.name.epoch_id
                if run(self._db, _AT, *place, *place).fetchone():
                    count, head = doubtful_count, doubtful_head
            self._write_closing(Closing(ended.opening, count, head, now))

    def _write_closing(self, closing: Closing) -> None:
        gateway = self._keys.gateway
        assert gateway is not None
        end = closing.served, closing.chain_head, closing.closed_at, gateway.signing.sign(closing.data())
        sql = "UPDATE epoch SET count = ?, chain_head = ?, closed_at = ?, closing_signature = ? WHERE id = ?"
        run(self._db, sql, *end, closing.opening.name.epoch_id)
