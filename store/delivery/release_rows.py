"""The table `release`: one row per recipient of a message that a gateway sends, by which intake recognizes it.

The sending gateway signs each row with its own key, in the transaction that announces DATA. Intake on any gateway
deletes the rows when the message passes, so a marker is valid once. A row of a revoked gateway does not verify.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from store.database.connection import as_bytes, run, run_many, sound
from store.delivery.marker import LIFE, WHAT, digest_of, spellings, tag_of
from store.delivery.orders import verify_order
from store.mail.addresses import same
from store.mail.outcome import State
from store.sealing.signatures import verify_signature
from store.sealing.statements import statement
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from store.delivery.access import Access
    from store.vault.vault import Vault

ROLE = "release"
#: Updates the row, because a second attempt over another connection announces the same marker again.
_WRITE = (
    "INSERT INTO release (tag, delivery_id, gateway_id, digest, expires_at, signature) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (tag) DO UPDATE SET delivery_id = excluded.delivery_id, gateway_id = excluded.gateway_id, "
    "digest = excluded.digest, expires_at = excluded.expires_at, signature = excluded.signature"
)
_READ = "SELECT tag, delivery_id, gateway_id, digest, expires_at, signature FROM release WHERE tag = ?"
_ORDER = "SELECT id, copy_id, gateway_id, order_blob, order_signature, state = ? FROM delivery WHERE id = ?"
_DELETE = "DELETE FROM release WHERE tag = ?"
_EXPIRED = "DELETE FROM release WHERE expires_at < ?"


class Release(NamedTuple):
    """One row of `release`. `expires_at` is Unix ms."""

    tag: bytes
    delivery_id: int
    gateway_id: int
    digest: bytes
    expires_at: int
    signature: bytes


class _Ordered(NamedTuple):
    """The columns of a delivery that its order's signature covers, and whether it was cancelled."""

    id: int
    copy_id: int
    gateway_id: int
    order_blob: bytes
    order_signature: bytes
    cancelled: bool


def fields_of(row: Release, order_signature: bytes) -> tuple[int | bytes, ...]:
    """List the fields of a row that the gateway signs, after the store's id."""
    order = hashlib.sha256(order_signature).digest()
    return (row.gateway_id, row.delivery_id, order, row.tag, row.digest, row.expires_at)


def releases_of(
    access: Access,
    delivery: Any,
    token: bytes,
    sender: str,
    recipients: Sequence[str],
    message: bytes,
    ignored: Set[bytes],
    now: int,
) -> dict[str, Release]:
    """Sign a release row for each recipient of `message` (what is sent below the marker); returned by address.

    `delivery` is the delivery's row, `ignored` the names of fields that the relay may add (lower case), `now` Unix ms.
    Raises TamperedError where the message cannot have a marker.
    """
    digest = digest_of(token, same(sender), message, 0, ignored)
    order_signature = as_bytes(delivery.order_signature)
    found = {}
    for address in recipients:
        row = Release(tag_of(token, same(address)), delivery.id, access.gateway_id, digest, now + LIFE, b"")
        found[address] = row._replace(signature=access.sign(ROLE, *fields_of(row, order_signature)))
    return found


def announce(vault: Vault, releases: Sequence[Release], now: int) -> None:
    """Insert rows, and delete expired ones, in the open transaction."""
    if releases:
        run(vault.db, _EXPIRED, now)
        run_many(vault.db, _WRITE, [tuple(each) for each in releases])


def retract(vault: Vault, releases: Sequence[Release]) -> None:
    """Delete rows of recipients that the message does not go to after all, in the open transaction."""
    if releases:
        run_many(vault.db, _DELETE, [(each.tag,) for each in releases])


def rows_for(vault: Vault, token: bytes, recipients: Iterable[str]) -> list[Release]:
    """Fetch the rows of a message that came back to `recipients`. Raises TamperedError unless each has one."""
    found: dict[bytes, Release] = {}
    for address in recipients:
        tags = [tag_of(token, each) for each in spellings(address)]
        row = next(filter(None, (run(vault.db, _READ, tag).fetchone() for tag in tags)), None)
        if row is None:
            raise TamperedError(WHAT, "it was not sent to these recipients, or it was already used")
        with sound(WHAT):
            release = Release(as_bytes(row[0]), row[1], row[2], as_bytes(row[3]), row[4], as_bytes(row[5]))
        found[release.tag] = release
    if not found:
        raise TamperedError(WHAT, "it arrived without recipients")
    return list(found.values())


def take(vault: Vault, token: bytes, recipients: Sequence[str], digest: bytes, now: int) -> list[Release]:
    """Use up the marker of a message that came back, in the open transaction. Returns the rows that it deleted.

    `digest` is the message's. Raises TamperedError, saying why, where it does not pass: then the transaction must be
    rolled back.
    """
    rows = rows_for(vault, token, recipients)
    orders: dict[int, bytes] = {}
    keys: dict[int, Ed25519PublicKey] = {}

    def key_of(signer: int) -> Ed25519PublicKey:
        if signer != row.gateway_id:
            raise TamperedError(WHAT, f"only gateway {row.gateway_id} may sign it")
        if signer not in keys:
            keys[signer] = vault.signers.key(signer)
        return keys[signer]

    for row in rows:
        if row.digest != digest:
            raise TamperedError(WHAT, "the message is not exactly the one that was sent")
        if row.expires_at < now:
            raise TamperedError(WHAT, "it has expired")
        if row.delivery_id not in orders:
            orders[row.delivery_id] = _order_signature(vault, row)
        data = statement(ROLE, vault.store_id, *fields_of(row, orders[row.delivery_id]))
        verify_signature(vault.store_id, data, row.signature, key_of, WHAT)
    retract(vault, rows)
    run(vault.db, _EXPIRED, now)
    return rows


def _order_signature(vault: Vault, row: Release) -> bytes:
    """Return the signature of the order that a release row belongs to.

    Raises TamperedError if the order is not in force.
    """
    found = run(vault.db, _ORDER, State.CANCELLED.value, row.delivery_id).fetchone()
    if found is None or found[2] != row.gateway_id:
        raise TamperedError(WHAT, "its delivery does not exist or belongs to another gateway")
    delivery = _Ordered(*found)
    if delivery.cancelled:
        raise TamperedError(WHAT, "its delivery was cancelled")
    verify_order(vault, delivery)
    return as_bytes(delivery.order_signature)
