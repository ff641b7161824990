"""Key slots: each wraps the store's seed under a passphrase, a key file or a recovery key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.sealing.keys import (
    KEY_FILE,
    PASSPHRASE,
    RECOVERY,
    make_key_file,
    new_recovery_key,
    passphrase_secret,
    read_key_file,
    wrap_seed,
)
from store.sealing.signatures import Right
from store.sealing.statements import statement
from store.terms.errors import LastSlot, TamperedError, UnlockError, UsageError
from store.vault.operators import verify_operator
from store.vault.vault import Vault

LABEL_ROLE = "key slot label"


class SlotInfo(NamedTuple):
    """A key slot in a list. `created_at` is Unix ms."""

    id: int
    kind: str
    label: str
    created_at: int


def slot_statement(store_id: bytes, row: Any) -> bytes:
    """Build the statement that is signed for a key slot."""
    return statement(
        "key slot row",
        store_id,
        row.kind,
        as_bytes(row.salt),
        row.memory,
        row.iterations,
        row.lanes,
        as_bytes(row.commitment),
        as_bytes(row.sealed_seed),
        as_bytes(row.sealed_label),
        row.created_at,
    )


def insert_slot(vault: Vault, kind: str, secret: bytes, label: str) -> int:
    """Wrap the store's seed under a secret, in a new slot. Returns its id. Raises UnlockError."""
    keys = vault.keys
    if keys.seed is None or keys.authority is None:
        raise UnlockError("This key cannot change key slots. Unlock the store with an operator key.")
    slot = wrap_seed(kind, secret, keys.seed, vault.store_id)
    with vault.write():
        row = vault.models.KeySlot(
            kind=kind,
            salt=slot.salt,
            memory=slot.cost.memory,
            iterations=slot.cost.iterations,
            lanes=slot.cost.lanes,
            commitment=slot.commitment,
            sealed_seed=slot.sealed_seed,
            sealed_label=vault.seal(LABEL_ROLE, label.encode()),
            created_at=now_ms(),
        )
        row.signature = keys.authority.sign(slot_statement(vault.store_id, row))
        row.save(force_insert=True)
        return int(row.id)


def add_passphrase(vault: Vault, passphrase: str, label: str = "") -> int:
    """Add a passphrase slot. Returns the slot's id."""
    return insert_slot(vault, PASSPHRASE, passphrase_secret(passphrase), label)


def add_key_file(vault: Vault, path: Path, label: str = "") -> int:
    """Add a key-file slot, creating the file if it does not exist. Returns the slot's id. Raises KeyFileError."""
    present = path.is_symlink() or path.exists()
    return insert_slot(vault, KEY_FILE, read_key_file(path) if present else make_key_file(path), label)


def add_recovery(vault: Vault, label: str = "") -> tuple[int, str]:
    """Add a recovery slot. Returns the slot's id, and the key to show once."""
    text, secret = new_recovery_key()
    return insert_slot(vault, RECOVERY, secret, label), text


def list_slots(vault: Vault, *, on_error: Callable[[TamperedError], None] | None = None) -> list[SlotInfo]:
    """List the key slots in order of id, each verified.

    A slot that does not verify raises TamperedError or, if `on_error` is given, is left out and reported to it.
    """
    with vault.reading():
        rows = list(vault.models.KeySlot.select().order_by(vault.models.KeySlot.id))
    found = []
    for row in rows:
        try:
            found.append(slot_info(vault, row))
        except TamperedError as error:
            if on_error is None:
                raise
            on_error(error)
    return found


def opens_with_passphrase(vault: Vault) -> bool:
    """Whether the store has a passphrase slot."""
    with vault.reading():
        return run(vault.db, "SELECT id FROM key_slot WHERE kind = ? LIMIT 1", PASSPHRASE).fetchone() is not None


def slot_info(vault: Vault, row: Any) -> SlotInfo:
    """Verify a slot and return its description. Raises TamperedError naming it."""
    what = f"key slot {row.id}"
    with sound(what):
        data = slot_statement(vault.store_id, row)
        verify_operator(vault, data, as_bytes(row.signature), what, Right.KEYS, at=row.created_at)
        return SlotInfo(row.id, row.kind, vault.unseal(LABEL_ROLE, as_bytes(row.sealed_label)).decode(), row.created_at)


def slot_name(vault: Vault, slot_id: int) -> str:
    """Return the name of a slot's operator: its label, else kind and id (``key file 3``).

    Ignores a label that does not verify.
    """
    kind = ""
    try:
        with vault.reading(), sound(f"key slot {slot_id}"):
            row = vault.models.KeySlot.get_by_id(slot_id)
            kind = str(row.kind)
            label = slot_info(vault, row).label.strip()
    except TamperedError:
        label = ""
    called = {"": "key slot", KEY_FILE: "key file", RECOVERY: "recovery key"}.get(kind, kind)
    return label or f"{called} {slot_id}"


def check_removable(vault: Vault, slot_id: int) -> None:
    """Raise UsageError where there is no such slot, LastSlot where there is no other, or no other that verifies."""
    with vault.reading():
        present = [each for (each,) in run(vault.db, "SELECT id FROM key_slot").fetchall()]
    if slot_id not in present:
        raise UsageError(f"There is no key slot {slot_id}. `mailhold keys` lists them.")
    sound_ones = [each.id for each in list_slots(vault, on_error=lambda _: None)]
    if len(present) == 1 or sound_ones == [slot_id]:
        which = "last key slot" if len(present) == 1 else "last key slot that verifies"
        raise LastSlot(f"The {which} cannot be removed, or nobody could open the store. Add another one first.")


def remove_slot(vault: Vault, slot_id: int) -> None:
    """Remove a key slot. Raises LastSlot, UsageError where there is no such slot."""
    with vault.write():
        check_removable(vault, slot_id)
        run(vault.db, "DELETE FROM key_slot WHERE id = ?", slot_id)
