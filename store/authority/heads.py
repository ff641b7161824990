"""Heads: what each writer of a store last saw of it, signed, so that a store that holds less can be told.

A head's vector counts what only grows. Writers are the authority (0), `local` (1) and the gateways; the first head of
each is the authority's.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import msgspec

from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.sealing.signatures import AUTHORITY, Right
from store.terms.errors import TamperedError
from store.vault.counters import counters
from store.vault.deleting import verified_runs
from store.vault.epochs import FIRST_PREVIOUS, opening_of
from store.vault.reader import Reader

_ROLE = "head"
_INSERT = "INSERT INTO head (writer, vector, signature) VALUES (?, ?, ?)"
_OPEN = (
    "SELECT id, (SELECT COALESCE(MAX(step), -1) + 1 FROM message WHERE epoch_id = epoch.id) FROM epoch "
    "WHERE gateway_id = ? AND closing_signature IS NULL ORDER BY id"
)


class Vector(msgspec.Struct, frozen=True, array_like=True):
    """What a writer saw. Times are Unix ms; digests are SHA-256, of 32 zero bytes where there is nothing yet.

    `sequence` counts the heads of the whole store. `generation` is that of the newest acceptance, 0 without one.
    `configuration` is the digest of the newest row of each name, `key_generation` that of the configuration key.
    `epoch` is the number of the writer's own last epoch and `opening` the digest of its opening; `open_epochs` are the
    ids of those that it has not closed, with the steps that each has.
    """

    sequence: int
    at: int
    generation: int
    event: int
    event_digest: bytes
    tombstone: int
    buried: int
    bin_act: int
    next_copy: int
    next_delivery: int
    deliveries: int
    configuration: bytes
    key_generation: int
    epoch: int
    opening: bytes
    open_epochs: list[tuple[int, int]]


def first_heads(vault: Reader) -> None:
    """Sign the first head of every writer as the authority. In the caller's transaction. Raises UnlockError."""
    seen = _seen(vault)
    writers = run(vault.db, "SELECT id FROM gateway ORDER BY id").fetchall()
    for sequence, writer in enumerate((AUTHORITY, *(each for (each,) in writers)), 1):
        vector = msgspec.msgpack.encode(msgspec.structs.replace(seen, sequence=sequence, **_own(vault, writer)))
        run(vault.db, _INSERT, writer, vector, vault.sig(_ROLE, writer, vector))


def read_head(vault: Reader, writer: int) -> Vector | None:
    """The newest head of a writer, verified; None where it has none. Raises TamperedError."""
    what = f"the head of writer {writer}"
    with vault.reading(), sound(what):
        row = run(vault.db, "SELECT vector, signature FROM head WHERE writer = ?", writer).fetchone()
        if row is None:
            return None
        vector, signature = as_bytes(row[0]), as_bytes(row[1])
        vault.signers.verify(signature, what, _ROLE, writer, vector, gateway=writer, right=Right.KEYS)
        try:
            return msgpack_decoder(Vector).decode(vector)
        except msgspec.MsgspecError:
            raise TamperedError(what, "its vector is not in the form that this release writes") from None


def configuration_digest(vault: Reader) -> bytes:
    """The digest of the newest row of each name of the configuration."""
    sql = (
        "SELECT name, version, sealed FROM configuration AS this WHERE version = "
        "(SELECT MAX(version) FROM configuration WHERE name = this.name) ORDER BY name, id"
    )
    rows = [(name, version, as_bytes(sealed)) for name, version, sealed in run(vault.db, sql).fetchall()]
    return hashlib.sha256(msgspec.msgpack.encode(rows)).digest()


def _seen(vault: Reader) -> Vector:
    """What there is now, without a writer's own part."""
    event = run(vault.db, "SELECT id, sealed FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    newest, buried = _tombstones(vault)
    newest_delivery, deliveries = run(vault.db, "SELECT COALESCE(MAX(id), 0), COUNT(*) FROM delivery").fetchone()
    (bin_act,) = run(vault.db, "SELECT COALESCE(MAX(id), 0) FROM bin_act").fetchone()
    return Vector(
        sequence=0,
        at=now_ms(),
        generation=0,
        event=event[0] if event else 0,
        event_digest=hashlib.sha256(as_bytes(event[1])).digest() if event else bytes(32),
        tombstone=newest,
        buried=buried,
        bin_act=bin_act,
        next_copy=counters(vault.db).next_copy_id,
        next_delivery=newest_delivery + 1,
        deliveries=deliveries,
        configuration=configuration_digest(vault),
        key_generation=vault.grants.newest(),
        epoch=0,
        opening=FIRST_PREVIOUS,
        open_epochs=[],
    )


def _tombstones(vault: Reader) -> tuple[int, int]:
    """The newest tombstone's id, and how many copies those that verify have buried."""
    newest = buried = 0
    table = vault.models.Tombstone
    for row in table.select().order_by(table.id):
        newest = row.id
        with suppress(TamperedError):
            buried += sum(each.length for each in verified_runs(vault, row))
    return newest, buried


def _own(vault: Reader, writer: int) -> dict[str, Any]:
    """A writer's own part of the vector: its epochs."""
    table = vault.models.Epoch
    last = table.select().where(table.gateway_id == writer).order_by(table.number.desc()).first()
    if last is None:
        return {}
    steps = [(each, count) for each, count in run(vault.db, _OPEN, writer).fetchall()]
    return {"epoch": last.number, "opening": opening_of(vault.store_id, last).digest(), "open_epochs": steps}
