"""Create and open stores. Combines the vault with the rotation that makes room in it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.authority.heads import first_heads
from store.authority.keeper import OLDER, HeadKeeper
from store.authority.memory import user_memory
from store.authority.older import local
from store.authority.seconding import heed
from store.database.access import reach, reach_on_full_disk
from store.database.connection import (
    DiskFull,
    StoreDatabase,
    as_bytes,
    connect,
    is_url,
    pragma,
    pragma_to_its_end,
    real_location,
    run,
    shown_location,
    sound,
    translated,
)
from store.database.layout import application_id, lay_out
from store.database.modes import ReadOnly, Use
from store.database.orm import Database
from store.database.schema import APPLICATION_ID, Models
from store.database.tables import FORMAT, TABLES, TABLES_OF, make
from store.database.verifying import require_tables
from store.helpers.clock import now_ms
from store.helpers.secret_files import write_new
from store.opening.slots import insert_slot, slot_name
from store.sealing.keys import (
    KEY_FILE,
    PASSPHRASE,
    RECOVERY,
    Argon2Cost,
    Slot,
    StoreKeys,
    derive_keys,
    make_key_file,
    new_recovery_key,
    passphrase_secret,
    read_key_file,
    read_recovery_key,
    unwrap_seed,
)
from store.sealing.statements import statement, verify
from store.space.rotation import Rotation
from store.terms.errors import (
    StoreExists,
    StoreFormat,
    StoreMissing,
    StoreUnavailable,
    TamperedError,
    UnlockError,
    UsageError,
    WrongKey,
)
from store.vault.ballast import INDEX_BYTES, Ballast
from store.vault.counters import first_counters
from store.vault.gateway_rows import gateway_statement
from store.vault.vault import Vault


@dataclass(frozen=True)
class Unlock:
    """A passphrase, key file or recovery key given by a user. `repr` shows no secret."""

    kind: str
    value: str | Path = field(repr=False)

    @classmethod
    def passphrase(cls, passphrase: str) -> Unlock:
        return cls(PASSPHRASE, passphrase)

    @classmethod
    def key_file(cls, path: Path) -> Unlock:
        return cls(KEY_FILE, Path(path))

    @classmethod
    def recovery(cls, key: str) -> Unlock:
        return cls(RECOVERY, key)

    def secret(self) -> bytes:
        """Return the bytes that open a slot. Raises KeyFileError, WrongKey (a mistyped recovery key), UsageError."""
        if isinstance(self.value, Path):
            return read_key_file(self.value)
        return read_recovery_key(self.value) if self.kind == RECOVERY else passphrase_secret(self.value)


#: Advice for a store whose own row or counters are damaged.
REPAIR = "`mailhold check --repair` rebuilds it."


def create_store(
    location: str,
    *,
    passphrase: str | None = None,
    key_file: Path | None = None,
    operator: str = "",
    prepare: Callable[[Vault], None] | None = None,
) -> tuple[Vault, str]:
    """Create a store with a key slot for each given secret and a recovery slot. Returns it open, and the recovery key.

    Creates `key_file` if it does not exist. `prepare` writes the first configuration in the same transaction
    (`store.opening.first_configuration`). Raises StoreExists, StoreUnavailable, KeyFileError, UsageError.
    """
    secrets: list[tuple[str, bytes]] = []
    if passphrase is not None:
        secrets.append((PASSPHRASE, passphrase_secret(passphrase)))
    if passphrase is None and key_file is None:
        raise UsageError("A store needs a passphrase or a key file.")
    made = _claim(location)
    try:
        if key_file is not None:
            key_file = Path(key_file)
            present = key_file.is_symlink() or key_file.exists()
            secrets.append((KEY_FILE, read_key_file(key_file) if present else make_key_file(key_file)))
        recovery_key, recovery_secret = new_recovery_key()
        secrets.append((RECOVERY, recovery_secret))
        vault = _initialise(location, secrets, operator, prepare)
    except BaseException:
        if made is not None:
            for suffix in ("", "-wal", "-shm"):
                made.with_name(made.name + suffix).unlink(missing_ok=True)
        raise
    return vault, recovery_key


def _claim(location: str) -> Path | None:
    """Create the empty file of a new SQLite store, readable by its owner only."""
    if is_url(location):
        return None
    path = Path(location).absolute()
    try:
        write_new(path, b"")
    except FileExistsError:
        raise StoreExists(f"{location} already exists. Give a new file, or open that store.") from None
    except OSError as error:
        raise StoreUnavailable(
            f"The store {location} cannot be created: {error.strerror}. Choose another place, or create its folder "
            "first."
        ) from None
    return path


def _initialise(
    location: str, secrets: list[tuple[str, bytes]], operator: str, prepare: Callable[[Vault], None] | None
) -> Vault:
    keys = derive_keys(bytearray(os.urandom(32)), os.urandom(16))
    gateway, authority = keys.gateway, keys.authority
    assert gateway is not None and authority is not None
    with translated(location):
        lay_out(location)
    db = connect(location)
    models = Models(db)
    with translated(location):
        if db.get_tables():
            raise StoreExists(f"{shown_location(location)} already has tables. Give an empty database.")
        at = now_ms()
        with db.atomic():
            make(db)
            pragma(db, f"application_id = {APPLICATION_ID}")
            pragma(db, f"user_version = {FORMAT}")
            store = models.Store(
                id=1,
                format=FORMAT,
                store_id=keys.store_id,
                read_key=keys.read_public,
                authority_key=keys.authority_public,
                created_at=at,
            )
            store.signature = authority.sign(store_statement(store))
            store.save(force_insert=True)
            first_counters(db)
            enrolled = models.Gateway(
                id=gateway.gateway_id,
                name=gateway.name,
                signing_key=gateway.signing_public,
                delivery_key=gateway.delivery_public,
                enrolled_at=at,
            )
            enrolled.signature = authority.sign(gateway_statement(keys.store_id, enrolled))
            enrolled.save(force_insert=True)
            vault = Vault(location, db, models, keys, Rotation)
            heed(vault)
            for kind, secret in secrets:
                insert_slot(vault, kind, secret, operator if kind != RECOVERY else "")
            vault.opened_by = operator
            if prepare is not None:
                prepare(vault)
            first_heads(vault)  # Last: the heads state what the store holds.
            vault.witness = HeadKeeper(vault)
        pragma_to_its_end(db, "wal_checkpoint(TRUNCATE)")
    return vault


def open_store(
    location: str, unlock: Unlock, use: Use = Use.WRITE, *, former: bool = False, repair: bool = False
) -> Vault:
    """Open the store at `location`, for `use`. Its `read_only` says why it can only be read, or is None.

    `former` permits an earlier format, for upgrading only (`store.upgrading.upgrading`). `repair` permits a store whose
    own row does not verify (`store.opening.repairing`); without it such a store can only be read. Reading it is safe:
    all keys come from the seed, and open only what was sealed with them. Raises StoreMissing, StoreFormat, WrongKey,
    KeyFileError, StoreUnavailable.
    """
    location = look_at(location)
    secret = unlock.secret()
    try:
        return _open(reach(location, use), location, unlock.kind, secret, use, former=former, repair=repair)
    except DiskFull:
        if is_url(location):
            raise
        ballast = Ballast(Path(location).absolute())
        while ballast.cut(INDEX_BYTES):
            with suppress(DiskFull):
                vault = _open(reach(location, use), location, unlock.kind, secret, use, former=former, repair=repair)
                vault.room.tight = True
                return vault
        if use is Use.WRITE:
            raise
    return _open(reach_on_full_disk(location), location, unlock.kind, secret, use, former=former, repair=repair)


def _open(db: StoreDatabase, location: str, kind: str, secret: bytes, use: Use, *, former: bool, repair: bool) -> Vault:
    damage: ReadOnly | None = None
    try:
        with translated(location):
            models = Models(db)
            with sound("the store's row"):
                store = store_row(db, models, location, former=former)
                store_id = as_bytes(store.store_id)
            seed, slot_id = _unlock(db, models, kind, secret, store_id)
            keys = derive_keys(seed, store_id)
            try:
                with sound("the store's row"):
                    verify_store(store, keys)
            except TamperedError as error:
                damage = ReadOnly(location, f"its own row is damaged ({error.why})", REPAIR)
                if use is Use.WRITE and not repair:
                    error.args = (f"{error} {REPAIR}",)
                    raise
            vault = Vault(location, db, models, keys, Rotation)
            heed(vault)
            vault.opened_by, vault.opened_slot = slot_name(vault, slot_id), slot_id
            vault.tables.tables = TABLES_OF.get(store.format, TABLES)
            differs = vault.tables.look()
            if differs is not None and use is Use.WRITE:
                raise differs.refusal()
    except BaseException:
        db.close_all()
        raise
    vault.read_only = vault.read_only or differs or (None if repair else damage)
    if store.format == FORMAT and differs is None:
        _compare_with_seen(vault, use, repair=repair)
    return vault


def _compare_with_seen(vault: Vault, use: Use, *, repair: bool) -> None:
    """Make the vault read-only if the store holds less than was seen of it before; refuse `Use.WRITE`."""
    # A backup is older by nature, so compare it with nothing.
    keeper = HeadKeeper(vault, None if use is Use.STILL else user_memory(vault.store_id))
    vault.witness = keeper
    try:
        keeper.open()
        keeper.accepting = repair
        if keeper.older is not None and not repair:
            why = f"it is older than what was seen of it on this machine at {local(keeper.older.at)}: {keeper.older}"
            older = ReadOnly(vault.location, why, OLDER)
            if use is Use.WRITE:
                raise older.refusal()
            vault.read_only = vault.read_only or older
    except BaseException:
        vault.db.close_all()
        raise


def look_at(location: str) -> str:
    """Refuse a path without a store, before SQLite writes anything there. Return the file's own path.

    Raises StoreMissing, StoreFormat where something else is there, and StoreUnavailable where this user cannot read it.
    Does not check URLs.
    """
    if is_url(location):
        return location
    location = real_location(location)
    path = Path(location).absolute()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise StoreMissing(
            f"There is no store at {location}. Create it with `mailhold init`, or give another path."
        ) from None
    except OSError as error:
        raise StoreUnavailable(f"The store {location} cannot be read: {error.strerror}.") from None
    if stat.S_ISDIR(mode):
        raise StoreFormat(f"{location} is a folder, not a store. Give the store's file.")
    if stat.S_ISREG(mode) and not os.access(path, os.R_OK):
        raise StoreUnavailable(f"The store {location} cannot be read: {os.strerror(errno.EACCES)}.")
    if not stat.S_ISREG(mode) or application_id(path) != APPLICATION_ID:
        raise StoreFormat(f"{location} is not a Mailhold store. Give another file.")
    return location


def store_row(db: StoreDatabase, models: Models, location: str, *, former: bool = False) -> Any:
    """Fetch the store's own row, not verified. Raises StoreMissing, and StoreFormat for another format.

    `former` permits an earlier format.
    """
    require_tables(db, location)
    if not db.table_exists("store"):
        raise StoreMissing(f"There is no store in {shown_location(location)}. Create it with `mailhold init`.")
    row = models.Store.get_or_none()
    if row is None:
        raise StoreFormat(
            f"{shown_location(location)} is not a Mailhold store, or it is damaged: it has no row with a store's keys."
        )
    with sound("the store's row"):
        if row.format > FORMAT:
            raise StoreFormat(
                f"{shown_location(location)} was made by a newer Mailhold (format {row.format}; this version knows "
                f"format {FORMAT}). Install that version or a newer one."
            )
        if row.format < FORMAT and not former:
            raise StoreFormat(
                f"{shown_location(location)} has format {row.format}, and this version needs format {FORMAT}. Stop "
                "its gateways, then run `mailhold upgrade`."
            )
    return row


def _unlock(db: Database, models: Models, kind: str, secret: bytes, store_id: bytes) -> tuple[bytearray, int]:
    """Unlock a key slot. Returns the store's seed and the slot's id. Raises WrongKey, TamperedError."""
    damaged: TamperedError | None = None
    for (slot_id,) in run(db, "SELECT id FROM key_slot WHERE kind = ? ORDER BY id", kind).fetchall():
        what = f"key slot {slot_id}"
        try:
            with sound(what):
                row = models.KeySlot.get_by_id(slot_id)
                cost = Argon2Cost(row.memory, row.iterations, row.lanes)
                slot = Slot(kind, as_bytes(row.salt), cost, as_bytes(row.commitment), as_bytes(row.sealed_seed))
                seed = unwrap_seed(slot, secret, store_id, what)
        except TamperedError as error:
            damaged = damaged or error
            continue
        if seed is not None:
            return seed, int(slot_id)
    if damaged is not None:
        raise damaged
    raise WrongKey(f"No key slot opens with that {kind.replace('-', ' ')}. Check it, or unlock with another key.")


def store_statement(row: Any) -> bytes:
    """Build the statement that is signed for the store's own row."""
    return statement(
        "store", row.format, as_bytes(row.store_id), as_bytes(row.read_key), as_bytes(row.authority_key), row.created_at
    )


def sign_store(vault: Vault, number: int) -> None:
    """Write the format `number` into the store's row and sign it. In the caller's transaction. Raises UnlockError."""
    authority = vault.keys.authority
    if authority is None:
        raise UnlockError("This key cannot sign the store's row. Unlock the store with an operator key.")
    row: Any = vault.models.Store.get_or_none()
    row.format = number
    row.signature = authority.sign(store_statement(row))
    row.save()


def verify_store(row: Any, keys: StoreKeys) -> None:
    """Verify the store's own row against the keys derived from its seed. Raises TamperedError."""
    if as_bytes(row.read_key) != keys.read_public or as_bytes(row.authority_key) != keys.authority_public:
        raise TamperedError("the store's row", "its public keys do not belong to the store's key")
    verify(keys.authority_verifier(), as_bytes(row.signature), store_statement(row), "the store's row")
