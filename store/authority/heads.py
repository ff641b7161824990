"""Heads: each writer's signed statement of what the store held when it last signed. They reveal a store that holds
less.

A head's vector holds counters that only grow. Writers are the authority (0), `local` (1) and the gateways; the first
head of each is signed by the authority.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from store.authority.audit import newest_event
from store.authority.configuration_rows import UNSIGNED
from store.authority.event_forms import digest_of, is_genuine, number_of
from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.sealing.signatures import AUTHORITY, Right
from store.sealing.statements import verify
from store.terms.errors import TamperedError
from store.vault.counters import counters
from store.vault.deleting import verified_runs
from store.vault.epochs import FIRST_PREVIOUS, opening_of
from store.vault.reader import Reader

_ROLE = "head"
_PUT = (
    "INSERT INTO head (writer, vector, signature) VALUES (?, ?, ?) "
    "ON CONFLICT (writer) DO UPDATE SET vector = excluded.vector, signature = excluded.signature"
)
_PRESENT = (
    "SELECT (SELECT MAX(id) FROM tombstone), (SELECT MAX(id) FROM bin_act), (SELECT MAX(id) FROM message), "
    "(SELECT MAX(id) FROM binned), (SELECT MAX(id) FROM delivery), (SELECT MAX(id) FROM configuration), "
    "(SELECT MAX(generation) FROM acceptance)"
)
_OPEN = (
    "SELECT id, (SELECT COALESCE(MAX(step), -1) + 1 FROM message WHERE epoch_id = epoch.id), "
    "(SELECT COALESCE(MAX(step), -1) + 1 FROM binned WHERE epoch_id = epoch.id) FROM epoch "
    "WHERE gateway_id = ? AND closing_signature IS NULL ORDER BY id"
)


class Vector(msgspec.Struct, frozen=True, array_like=True):
    """The state of the store that a writer saw.

    Times are Unix ms; digests are SHA-256, 32 zero bytes if there is nothing yet. `sequence` counts the heads of the
    whole store. `generation` is that of the newest acceptance, 0 without one. `configuration` is the digest over the
    newest row of each name, `key_generation` the generation of the configuration key. `epoch` is the number of the
    writer's own last epoch and `opening` the digest of its opening; `open_epochs` are its epochs not yet closed (id,
    number of steps).
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


class Head(NamedTuple):
    """A writer's signed head: `blob` is the signed encoding of its vector."""

    writer: int
    vector: Vector
    blob: bytes
    signature: bytes

    def newness(self) -> tuple[int, int]:
        """Return a sort key that is greater for a newer head, across all writers."""
        return self.vector.generation, self.vector.sequence


class Present(NamedTuple):
    """What the tables of a store hold now; fields named as in `Vector` are comparable with it.

    `newest_copy` is the highest id of a copy in Backup or in the bin, 0 without any; `acceptance` is the newest
    generation that a row claims.
    """

    event: int
    event_digest: bytes
    tombstone: int
    bin_act: int
    next_copy: int
    newest_copy: int
    next_delivery: int
    newest_configuration: int
    acceptance: int


def first_heads(vault: Reader) -> None:
    """Sign the first head of every writer as the authority. In the caller's transaction. Raises UnlockError."""
    seen = counted_anew(vault)
    writers = run(vault.db, "SELECT id FROM gateway ORDER BY id").fetchall()
    for sequence, writer in enumerate((AUTHORITY, *(each for (each,) in writers)), 1):
        put_head(vault, writer, msgspec.structs.replace(seen, sequence=sequence, **own_part(vault, writer)))


def put_head(vault: Reader, writer: int, vector: Vector) -> Head:
    """Sign a writer's head with the keys at hand and write it. In the caller's transaction. Raises UnlockError."""
    blob = msgspec.msgpack.encode(vector)
    signature = vault.sig(_ROLE, writer, blob)
    run(vault.db, _PUT, writer, blob, signature)
    return Head(writer, vector, blob, signature)


def head_rows(vault: Reader) -> list[tuple[int, Any, Any]]:
    """Fetch each writer's newest head, not verified: writer, vector, signature."""
    return list(run(vault.db, "SELECT writer, vector, signature FROM head ORDER BY writer").fetchall())


def verified_head(vault: Reader, writer: Any, blob: Any, signature: Any) -> Head:
    """Verify a head from a row or a file. Raises TamperedError."""
    what = f"the head of writer {writer}"
    with vault.reading(), sound(what):
        if not isinstance(writer, int):
            raise TamperedError(what, "this writer does not exist")
        blob, signature = as_bytes(blob), as_bytes(signature)
        vault.signers.verify(signature, what, _ROLE, writer, blob, gateway=writer, right=Right.KEYS, seconded=False)
        try:
            return Head(writer, msgpack_decoder(Vector).decode(blob), blob, signature)
        except msgspec.MsgspecError:
            raise TamperedError(what, "its vector is not in the format of this version of Mailhold") from None


def configuration_digest(vault: Reader) -> bytes:
    """Hash the newest row of each signed name of the configuration."""
    sql = (
        "SELECT name, version, sealed FROM configuration AS this WHERE version = "
        "(SELECT MAX(version) FROM configuration WHERE name = this.name) ORDER BY name, id"
    )
    with sound("the configuration"):
        found = run(vault.db, sql).fetchall()
        rows = [(name, version, as_bytes(sealed)) for name, version, sealed in found if name not in UNSIGNED]
        return hashlib.sha256(msgspec.msgpack.encode(rows)).digest()


def present(vault: Reader) -> Present:
    """Read cheaply what the store holds now. Raises TamperedError if a counter's table is empty or malformed."""
    number, digest = newest_event(vault)
    with sound("the counters of the store"):
        found = [_count(each) for each in run(vault.db, _PRESENT).fetchone()]
        next_copy = _count(counters(vault.db).next_copy_id)
    tombstone, bin_act, in_backup, in_bin, newest_delivery, *others = found
    newest_copy = max(in_backup, in_bin)
    return Present(number, digest, tombstone, bin_act, next_copy, newest_copy, newest_delivery + 1, *others)


def counted_deliveries(vault: Reader) -> int:
    """Count the deliveries."""
    return int(run(vault.db, "SELECT COUNT(*) FROM delivery").fetchone()[0])


def last_epochs(vault: Reader) -> dict[int, int]:
    """Return the number of each gateway's last epoch."""
    return dict(run(vault.db, "SELECT gateway_id, MAX(number) FROM epoch GROUP BY gateway_id").fetchall())


def opening_digest(vault: Reader, gateway_id: int, number: int) -> bytes | None:
    """Hash the opening of a gateway's epoch; None if there is no such epoch. Raises TamperedError."""
    table = vault.models.Epoch
    with vault.reading(), sound(f"epoch number {number} of gateway {gateway_id}"):
        row = table.get_or_none((table.gateway_id == gateway_id) & (table.number == number))
        return opening_of(vault.store_id, row).digest() if row is not None else None


def still_open(vault: Reader, epoch_ids: Collection[int]) -> set[int]:
    """Return those of these epochs that are not closed."""
    sql = "SELECT id FROM epoch WHERE id = ANY(?) AND closing_signature IS NULL"
    return {each for (each,) in run(vault.db, sql, list(epoch_ids)).fetchall()} if epoch_ids else set()


def another_event(vault: Reader, number: int, digest: bytes) -> bool:
    """Return True if another genuine event has this number, near its place, with another digest.

    Damaged events do not count.
    """
    rows = run(vault.db, "SELECT sealed, at FROM audit WHERE id >= ? ORDER BY id LIMIT 50", number).fetchall()
    found = next(((sealed, at) for sealed, at in rows if number_of(sealed) == number), None)
    return found is not None and digest_of(found[0]) != digest and is_genuine(vault, *found)


def another_epoch(vault: Reader, gateway_id: int, number: int, digest: bytes) -> bool:
    """Return True if a gateway's epoch of this number is missing or is another genuine one.

    A damaged epoch does not count.
    """
    table, what = vault.models.Epoch, f"epoch number {number} of gateway {gateway_id}"
    with vault.reading():
        row = table.get_or_none((table.gateway_id == gateway_id) & (table.number == number))
    if row is None:
        return True
    try:
        with sound(what):
            opening = opening_of(vault.store_id, row)
            if opening.digest() == digest:
                return False
            verify(vault.signers.key(gateway_id), as_bytes(row.opening_signature), opening.data(), what)
    except TamperedError:
        return False
    return True


def event_digests(vault: Reader) -> Iterator[tuple[int, bytes]]:
    """Yield each event's number and digest, oldest first."""
    after = count = 0
    while rows := run(vault.db, "SELECT id, sealed FROM audit WHERE id > ? ORDER BY id LIMIT 500", after).fetchall():
        for row_id, sealed in rows:
            after, count = row_id, count + 1
            yield number_of(sealed) or count, digest_of(sealed)


def _count(value: object) -> int:
    if value is not None and not isinstance(value, int):
        raise TypeError("not a number")
    return value or 0


def counted_anew(vault: Reader) -> Vector:
    """Build a vector from the tables, without a writer's own part. Raises TamperedError."""
    now = present(vault)
    _, buried = _tombstones(vault)
    return Vector(
        sequence=0,
        at=now_ms(),
        generation=0,
        event=now.event,
        event_digest=now.event_digest,
        tombstone=now.tombstone,
        buried=buried,
        bin_act=now.bin_act,
        next_copy=now.next_copy,
        next_delivery=now.next_delivery,
        deliveries=counted_deliveries(vault),
        configuration=configuration_digest(vault),
        key_generation=vault.grants.newest(),
        epoch=0,
        opening=FIRST_PREVIOUS,
        open_epochs=[],
    )


def _tombstones(vault: Reader) -> tuple[int, int]:
    """Return the newest tombstone's id, and the number of copies buried in tombstones that verify."""
    newest = buried = 0
    table = vault.models.Tombstone
    for row in table.select().order_by(table.id):
        newest = row.id
        with suppress(TamperedError):
            buried += sum(each.length for each in verified_runs(vault, row))
    return newest, buried


def own_part(vault: Reader, writer: int) -> dict[str, Any]:
    """Read a writer's own part of the vector, its epochs, from the tables."""
    table = vault.models.Epoch
    last = table.select().where(table.gateway_id == writer).order_by(table.number.desc()).first()
    if last is None:
        return {"epoch": 0, "opening": FIRST_PREVIOUS, "open_epochs": []}
    steps = [(each, max(counts)) for each, *counts in run(vault.db, _OPEN, writer).fetchall()]
    return {"epoch": last.number, "opening": opening_of(vault.store_id, last).digest(), "open_epochs": steps}
