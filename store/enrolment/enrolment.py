"""Enrolment: credentials with which a gateway can write to a store, but not read copies.

A credentials file (mode 0600) holds the gateway's signing key and delivery key, and the store's public keys, pinned.
The configuration key is granted to it in the store. The authority signs the gateway's row, so that writing to the
database is not enough to enrol a gateway. A vault opened with credentials stores copies, rotates, reads settings, rules
and lists, delivers what was released to it, and writes events that only operators can read. It has no key that opens a
copy.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.authority.audit import record_event
from store.authority.keeper import HeadKeeper
from store.authority.memory import Memory
from store.authority.seconding import heed
from store.database.access import reach
from store.database.connection import as_bytes, run, sound, translated
from store.database.modes import Use
from store.database.schema import Models
from store.helpers.clock import now_ms
from store.helpers.decoding import json_decoder
from store.helpers.secret_files import NotPlain, WrongSize, read_secret, write_new
from store.opening.opening import look_at, store_row, store_statement
from store.sealing.keys import (
    HYBRID_SEED_SIZE,
    GatewayKeys,
    StoreKeys,
    hybrid_private,
    hybrid_public_bytes,
)
from store.sealing.statements import KEY_SIZE, verify
from store.space.rotation import Rotation
from store.terms.errors import GatewayRevoked, KeyFileError, TamperedError, UnlockError, UsageError
from store.vault.counters import raise_next
from store.vault.gateway_rows import gateway_statement, is_revoked, verified
from store.vault.vault import Vault

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
#: Kinds of credentials files. Those of format 1 also hold the configuration key of that time, which opens only data
#: sealed then.
_KIND, _KIND_1 = "mailhold gateway credentials 2", "mailhold gateway credentials 1"
_MOST = 64 * 1024


class Credentials(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Content of a credentials file (JSON; keys are base64). It holds secrets: never print it."""

    kind: str
    gateway_id: int
    name: str
    store_id: bytes
    read_key: bytes
    authority_key: bytes
    signing_key: bytes
    delivery_key: bytes
    configuration_key: bytes = b""

    def __repr__(self) -> str:
        return f"Credentials of gateway {self.gateway_id}"

    def keys(self) -> StoreKeys:
        """Derive the keys of this gateway's vault. Raises ValueError for malformed keys."""
        signing = Ed25519PrivateKey.from_private_bytes(self.signing_key)
        return StoreKeys(
            store_id=self.store_id,
            read_public=self.read_key,
            authority_public=self.authority_key,
            configuration_key=self.configuration_key or None,
            gateway=GatewayKeys(
                gateway_id=self.gateway_id,
                name=self.name,
                signing=signing,
                delivery=hybrid_private(self.delivery_key),
                signing_public=signing.public_key().public_bytes_raw(),
                delivery_public=hybrid_public_bytes(self.delivery_key),
            ),
        )


def enroll(vault: Vault, name: str, path: Path, *, operator: str = "") -> int:
    """Enrol the gateway `name` and write its credentials to the new file `path`. Returns the gateway's id.

    Raises UsageError for a name that is no host name or is taken, KeyFileError where the file cannot be made,
    UnlockError where the vault is not an operator's.
    """
    keys = vault.keys
    if keys.authority is None:
        raise UnlockError("This key cannot enrol a gateway. Unlock the store with an operator key.")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:40]!r} is not a valid name for a gateway. Use lower-case letters, digits, dots and dashes, for "
            "example mx1.example.org."
        )
    signing, delivery = os.urandom(KEY_SIZE), os.urandom(HYBRID_SEED_SIZE)
    written = False
    try:
        with vault.write():
            if run(vault.db, "SELECT id FROM gateway WHERE name = ?", name).fetchone():
                raise UsageError(f"There is already a gateway {name}. Choose another name.")
            (newest,) = run(vault.db, "SELECT MAX(id) FROM gateway").fetchone()
            credentials = Credentials(
                kind=_KIND,
                gateway_id=newest + 1 if newest else 2,
                name=name,
                store_id=keys.store_id,
                read_key=keys.read_public,
                authority_key=keys.authority_public,
                signing_key=signing,
                delivery_key=delivery,
            )
            gateway = credentials.keys().gateway
            assert gateway is not None
            row = vault.models.Gateway(
                id=gateway.gateway_id,
                name=name,
                signing_key=gateway.signing_public,
                delivery_key=gateway.delivery_public,
                enrolled_at=now_ms(),
            )
            row.signature = keys.authority.sign(gateway_statement(vault.store_id, row))
            row.save(force_insert=True)
            vault.grants.grant()
            record_event(vault, "gateway enrolled", operator=operator, detail=name)
            vault.witness.sign_for(gateway.gateway_id)
            _write(path, msgspec.json.format(msgspec.json.encode(credentials)))
            written = True
    except BaseException:
        if written:
            path.unlink(missing_ok=True)
        raise
    return gateway.gateway_id


def open_with_credentials(location: str, path: Path, seen: Path | None = None) -> Vault:
    """Open a store as the gateway with the credentials file `path`. The file `seen` keeps what was seen of the store.

    Raises KeyFileError, StoreMissing, StoreFormat, StoreUnavailable, GatewayRevoked, and TamperedError where the
    store's row or the gateway's row does not verify.
    """
    credentials = read_credentials(path)
    try:
        keys = credentials.keys()
    except ValueError:
        raise KeyFileError(f"The credentials file {path} is damaged. Enrol the gateway again.") from None
    location = look_at(location)
    db = reach(location, Use.WRITE)
    try:
        models = Models(db)
        with translated(location), sound("the store's row"):
            row = store_row(db, models, location)
            if as_bytes(row.store_id) != keys.store_id:
                raise UnlockError(f"The credentials in {path} belong to another store.")
        vault = Vault(location, db, models, keys, Rotation)
        heed(vault)
        check_enrolment(vault)
        vault.witness = keeper = HeadKeeper(vault, Memory(seen, keys.store_id) if seen is not None else None)
        keeper.open()
        if keeper.older is not None:
            # Never use a copy id again that was used before the store was restored.
            with vault.write(quiet=True):
                raise_next(db, max((head.vector.next_copy for head in keeper.remembered), default=0))
        with vault.reading():
            if (differs := vault.tables.look()) is not None:
                raise differs.refusal()
    except BaseException:
        db.close_all()
        raise
    return vault


def check_enrolment(vault: Vault) -> None:
    """Verify the store's row and the row of the vault's gateway.

    Raises TamperedError, GatewayRevoked where the enrolment was revoked, and UnlockError where the keys at hand are no
    gateway's.
    """
    keys, models = vault.keys, vault.models
    gateway = keys.gateway
    if gateway is None:
        raise UnlockError("This key is not a gateway's: it takes a gateway's credentials.")
    with vault.reading(), sound("the store's row"):
        store: Any = models.Store.get_or_none()
        if store is None or as_bytes(store.read_key) != keys.read_public:
            raise TamperedError("the store's row", "its read key differs from the one at the gateway's enrolment")
        verify(keys.authority_verifier(), as_bytes(store.signature), store_statement(store), "the store's row")
    what = f"gateway {gateway.gateway_id}"
    with vault.reading(), sound(what):
        row: Any = models.Gateway.get_or_none(models.Gateway.id == gateway.gateway_id)
        if row is None:
            raise TamperedError(what, "it is not enrolled, or no longer")
        verified(vault, row)
        if is_revoked(row):
            raise GatewayRevoked(
                f"Gateway {gateway.name} was revoked, so what it writes is refused. Enrol it again under another name."
            )
        if (as_bytes(row.signing_key), as_bytes(row.delivery_key)) != (gateway.signing_public, gateway.delivery_public):
            raise TamperedError(what, "it is enrolled with other keys than those in its credentials")


def read_credentials(path: Path) -> Credentials:
    """Read a credentials file. Raises KeyFileError if it is missing, open to others, or malformed."""
    try:
        data, exposed = read_secret(path, 1, _MOST)
        credentials = json_decoder(Credentials).decode(data)
    except FileNotFoundError:
        raise KeyFileError(
            f"There are no credentials at {path}. Make them with `mailhold gateway enroll NAME --credentials {path}`."
        ) from None
    except OSError as error:
        raise KeyFileError(f"The credentials file {path} cannot be read: {error.strerror}.") from None
    except NotPlain:
        raise KeyFileError(f"The credentials file {path} is not a regular file.") from None
    except (msgspec.MsgspecError, WrongSize):
        raise KeyFileError(
            f"{path} is not a credentials file. Give the file that `mailhold gateway enroll` wrote."
        ) from None
    if credentials.kind not in (_KIND, _KIND_1):
        raise KeyFileError(f"{path} holds credentials of an unknown format. Enrol the gateway again.")
    if exposed:
        raise KeyFileError(f"The credentials file {path} {exposed}.")
    return credentials


def _write(path: Path, data: bytes) -> None:
    try:
        write_new(path, data + b"\n")
    except FileExistsError:
        raise KeyFileError(f"The credentials file {path} already exists. Give a new file.") from None
    except OSError as error:
        raise KeyFileError(f"The credentials file {path} cannot be created: {error.strerror}.") from None
