"""Keys and key slots: the test vectors, key files, recovery keys, and opening a store with each of them."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.opening.opening import Unlock, create_store, open_store
from store.opening.slots import add_key_file, add_passphrase, add_recovery, list_slots, remove_slot
from store.sealing import keys
from store.sealing.keys import Argon2Cost, Slot
from store.terms.errors import (
    KeyFileError,
    LastSlot,
    StoreExists,
    StoreFormat,
    StoreMissing,
    StoreUnavailable,
    TamperedError,
    UnlockError,
    UsageError,
    WrongKey,
)
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.store.sealing.vectors import vectors


@pytest.mark.parametrize("case", vectors("derived"))
def test_derivation_vectors(case: dict[str, Any]) -> None:
    made = keys.derive_keys(bytes.fromhex(case["seed"]), bytes.fromhex(case["store_id"]))
    assert made.gateway and made.read_seed and made.configuration_key and made.private_key
    assert made.read_seed.hex() == case["read_seed"]
    assert hashlib.sha256(made.read_public).hexdigest() == case["read_public_sha256"]
    assert made.authority_public.hex() == case["authority_public"]
    assert made.configuration_key.hex() == case["configuration_key"]
    assert made.private_key.hex() == case["private_key"]
    assert made.gateway.signing_public.hex() == case["local_signing_public"]
    assert hashlib.sha256(made.gateway.delivery_public).hexdigest() == case["local_delivery_public_sha256"]


@pytest.mark.parametrize("case", vectors("slots"))
def test_slot_vectors(case: dict[str, Any]) -> None:
    salt, commitment, sealed, secret, store_id = (
        bytes.fromhex(case[name]) for name in ("salt", "commitment", "sealed_seed", "secret", "store_id")
    )
    slot = Slot(case["kind"], salt, Argon2Cost(*case["cost"]), commitment, sealed)
    if case["outcome"] == "tampered":
        with pytest.raises(TamperedError) as caught:
            keys.unwrap_seed(slot, secret, store_id, "key slot 3")
        assert caught.value.what == "key slot 3"
    else:
        seed = keys.unwrap_seed(slot, secret, store_id, "key slot 3")
        assert (seed.hex() if seed else None) == case["seed"]


@pytest.mark.parametrize("case", vectors("recovery-keys"))
def test_recovery_key_vectors(case: dict[str, Any]) -> None:
    if case["outcome"] == "opens":
        assert keys.read_recovery_key(case["typed"]).hex() == case["secret"]
    else:
        with pytest.raises(WrongKey, match="typing mistake"):
            keys.read_recovery_key(case["typed"])


def test_new_slots_cost_what_they_must() -> None:
    code = "from store.sealing.keys import ARGON2_COST as cost; print(cost.memory, cost.iterations)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    memory, iterations = map(int, said.split())
    assert memory >= 64 * 1024 and iterations >= 3


def test_a_passphrase_is_the_same_however_it_was_composed() -> None:
    assert keys.passphrase_secret("café") == keys.passphrase_secret("cafe\u0301")
    with pytest.raises(UsageError):
        keys.passphrase_secret("")


def test_wrapping_twice_gives_two_slots() -> None:
    slots = [keys.wrap_seed(keys.KEY_FILE, bytes(32), bytes(32), bytes(16)) for _ in range(3)]
    assert len({slot.salt for slot in slots}) == len({slot.sealed_seed for slot in slots}) == 3


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "key"
    secret = keys.make_key_file(path)
    assert keys.read_key_file(path) == secret and len(secret) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError, match="already exists"):
        keys.make_key_file(path)
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(KeyFileError, match="chmod 600"):
            keys.read_key_file(path)
    path.chmod(0o600)
    for content in (b"", b"short", bytes(33), bytes(10_000)):
        path.write_bytes(content)
        for mode in (0o600, 0o644):
            path.chmod(mode)
            with pytest.raises(KeyFileError, match="not a key file") as refused:
                keys.read_key_file(path)
            assert "chmod" not in str(refused.value), "nobody shall be told to change what is no key file"
    with pytest.raises(KeyFileError, match=r"no key file .*nothing.*init --key-file"):
        keys.read_key_file(tmp_path / "nothing")
    with pytest.raises(KeyFileError, match="is a folder"):
        keys.read_key_file(tmp_path)
    with pytest.raises(KeyFileError, match="not a regular file"):
        keys.read_key_file(Path("/dev/zero"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeyFileError, match="not a regular file"):
        keys.read_key_file(tmp_path / "pipe")
    with pytest.raises(KeyFileError, match="cannot be created"):
        keys.make_key_file(tmp_path / "no" / "key")


def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 32)
    with pytest.raises(KeyFileError, match="file/key cannot be read: Not a directory"):
        keys.read_key_file(tmp_path / "file" / "key")


def test_a_store_opens_with_each_of_its_keys(tmp_path: Path) -> None:
    location, key_file = str(tmp_path / "s"), tmp_path / "key"
    vault, recovery = create_store(location, passphrase="one", key_file=key_file, operator="anna")
    store_id = vault.store_id
    vault.close()
    for unlock in (Unlock.passphrase("one"), Unlock.key_file(key_file), Unlock.recovery(recovery.lower())):
        opened = open_store(location, unlock)
        assert opened.store_id == store_id
        opened.close()
        assert "one" not in repr(unlock) and recovery.lower() not in repr(unlock)
    key_file.write_bytes(bytes(32))
    other = keys.new_recovery_key()[0]
    for unlock in (Unlock.passphrase("two"), Unlock.key_file(key_file), Unlock.recovery(other)):
        with pytest.raises(WrongKey, match="No key slot opens"):
            open_store(location, unlock)


def test_slots_are_added_listed_and_removed(any_vault: Vault, tmp_path: Path) -> None:
    first = list_slots(any_vault)
    assert [slot.kind for slot in first] == ["passphrase", "recovery"]
    passphrase = add_passphrase(any_vault, "another", "bert")
    key_file = add_key_file(any_vault, tmp_path / "key", "cron")
    recovery, text = add_recovery(any_vault)
    assert [(slot.id, slot.label) for slot in list_slots(any_vault)[2:]] == [
        (passphrase, "bert"),
        (key_file, "cron"),
        (recovery, ""),
    ]
    for unlock in (Unlock.passphrase("another"), Unlock.key_file(tmp_path / "key"), Unlock.recovery(text)):
        open_store(any_vault.location, unlock).close()
    for slot in list_slots(any_vault)[:-1]:
        remove_slot(any_vault, slot.id)
    with pytest.raises(LastSlot):
        remove_slot(any_vault, recovery)
    with pytest.raises(UsageError, match="no key slot 999"):
        remove_slot(any_vault, 999)
    with pytest.raises(UsageError, match="no key slot"):
        remove_slot(any_vault, 1 << 70)  # no column contains it
    with pytest.raises(WrongKey):
        open_store(any_vault.location, Unlock.passphrase(PASSPHRASE))
    open_store(any_vault.location, Unlock.recovery(text)).close()


def test_what_is_no_store(tmp_path: Path, store: str) -> None:
    import sqlite3

    unlock = Unlock.passphrase(PASSPHRASE)
    with pytest.raises(StoreMissing, match="mailhold init"):
        open_store(str(tmp_path / "nothing"), unlock)
    with pytest.raises(StoreFormat, match="folder"):
        open_store(str(tmp_path), unlock)
    other = tmp_path / "other.db"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE store (id)")
    connection.close()
    before = other.read_bytes()
    for content in (before, b"", b"hello", b"SQLite format 3\0" + bytes(100)):
        other.write_bytes(content)
        with pytest.raises(StoreFormat, match="not a Mailhold store"):
            open_store(str(other), unlock)
        assert other.read_bytes() == content
    broken = bytearray(Path(store).read_bytes())
    broken[100:] = bytes(len(broken) - 100)
    other.write_bytes(broken)
    with pytest.raises((StoreFormat, StoreMissing, StoreUnavailable)):
        open_store(str(other), unlock)


#: Tries to lock the byte range that SQLite locks in a file; prints 0 if no process held any of it.
_TAKE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 512, 0x40000000)
    except BlockingIOError:
        sys.exit(3)
"""


def test_a_second_look_at_a_store_takes_no_locks_from_the_first(store: str) -> None:
    """If locks are lost, the next process to close the store removes the log, and the first overwrites the store."""

    def taken() -> int:
        return subprocess.run([sys.executable, "-c", _TAKE, store], timeout=60, check=False).returncode

    assert taken() == 0
    first = open_store(store, Unlock.passphrase(PASSPHRASE))
    try:
        assert taken() == 3
        open_store(store, Unlock.passphrase(PASSPHRASE)).close()
        with pytest.raises(WrongKey):
            open_store(store, Unlock.passphrase("another"))
        assert taken() == 3
    finally:
        first.close()


def test_init_never_touches_what_is_there(tmp_path: Path, store: str) -> None:
    before = Path(store).read_bytes()
    with pytest.raises(StoreExists):
        create_store(store, passphrase="x")
    assert Path(store).read_bytes() == before
    with pytest.raises(StoreUnavailable, match="create its folder"):
        create_store(str(tmp_path / "no" / "store"), passphrase="x")
    with pytest.raises(UsageError):
        create_store(str(tmp_path / "new"))
    too_open = tmp_path / "key"
    too_open.write_bytes(bytes(32))
    too_open.chmod(0o644)
    with pytest.raises(KeyFileError):
        create_store(str(tmp_path / "new"), key_file=too_open)
    assert not list(tmp_path.glob("new*"))


@pytest.mark.integration
def test_init_and_opening_on_postgresql(empty_postgres: str) -> None:
    with pytest.raises(StoreMissing, match="mailhold init"):
        open_store(empty_postgres, Unlock.passphrase("x"))
    create_store(empty_postgres, passphrase="x")[0].close()
    with pytest.raises(StoreExists):
        create_store(empty_postgres, passphrase="x")
    with pytest.raises(StoreUnavailable) as caught:
        open_store("postgresql://anna:secret@127.0.0.1:1/mail", Unlock.passphrase("x"))
    assert "secret" not in str(caught.value) and "anna" in str(caught.value)


def test_a_later_format_is_refused(store: str, vault: Vault, sql: Callable[..., Any]) -> None:
    sql(vault, "UPDATE store SET format = 3")
    with pytest.raises(StoreFormat, match=r"made by a newer Mailhold \(format 3; this version knows format 2\)"):
        open_store(store, Unlock.passphrase(PASSPHRASE))


def test_an_earlier_format_says_how_to_upgrade(store: str, vault: Vault, sql: Callable[..., Any]) -> None:
    sql(vault, "UPDATE store SET format = 1")
    with pytest.raises(StoreFormat, match=r"has format 1.*run `mailhold upgrade`"):
        open_store(store, Unlock.passphrase(PASSPHRASE))


def test_files_of_a_store_are_the_owners_alone(vault: Vault, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        create_store(str(tmp_path / "other"), passphrase="x", key_file=tmp_path / "key")
    finally:
        os.umask(old)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_reader_material_is_checked(any_vault: Vault, tmp_path: Path) -> None:
    other, _recovery = create_store(str(tmp_path / "other"), passphrase="x")
    with pytest.raises(UnlockError, match="another store"):
        Vault.from_key_material(any_vault.location, other.worker_key_material())
    for junk in (b"", b"junk", any_vault.worker_key_material()[:-1]):
        with pytest.raises(UnlockError):
            Vault.from_key_material(any_vault.location, junk)
    seed = any_vault.keys.seed
    assert seed is not None and seed not in any_vault.worker_key_material()
    other.close()


def test_closing_a_vault_wipes_its_keys(store: str, vault: Vault) -> None:
    opened = open_store(store, Unlock.passphrase(PASSPHRASE))
    held = opened.keys
    buffers = [held.seed, held.read_seed, held.configuration_key, held.private_key]
    assert all(isinstance(buffer, bytearray) and any(buffer) for buffer in buffers)
    opened.close()
    assert not any(any(buffer) for buffer in buffers if buffer is not None)
    secrets = (held.seed, held.read_private, held.read_seed, held.authority, held.private_key, held.gateway)
    assert secrets == (None,) * 6
    assert vault.keys.seed is not None  # another vault has other keys


def test_a_key_file_that_was_not_written_to_its_end_does_not_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def write(handle: int, data: memoryview) -> int:
        if len(data) < 32:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[:5])

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        with pytest.raises(KeyFileError, match="No space"):
            keys.make_key_file(tmp_path / "key")
    assert not (tmp_path / "key").exists()
    assert len(keys.make_key_file(tmp_path / "key")) == 32


def test_the_last_slot_that_verifies_is_not_removed(any_vault: Vault) -> None:
    """A damaged slot beside it may not open the store."""
    working, damaged = (slot.id for slot in list_slots(any_vault))
    table = any_vault.models.KeySlot
    with any_vault.write():
        table.update(created_at=table.created_at + 1).where(table.id == damaged).execute()
    with pytest.raises(LastSlot, match="The last key slot that verifies cannot be removed"):
        remove_slot(any_vault, working)
    remove_slot(any_vault, damaged)
    assert [slot.id for slot in list_slots(any_vault)] == [working]
