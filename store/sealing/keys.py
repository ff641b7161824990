"""The store's keys, all derived from one 32-byte seed, and the slots that wrap that seed. Pure functions over bytes.

seed -HKDF-> read key (opens epochs), authority key (signs), configuration key (gateways hold it too), private key (for
data that only operators read), and the keys of the gateway `local`. `FORMAT.md` specifies each byte.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from store.helpers.decoding import msgpack_decoder
from store.helpers.secret_files import NotPlain, WrongSize, read_secret, write_new
from store.sealing.granting import GenerationKeys
from store.sealing.sealed import SALT_SIZE, TAG_SIZE
from store.sealing.statements import KEY_SIZE, statement
from store.terms.errors import KeyFileError, TamperedError, UnlockError, UsageError, WrongKey

HYBRID_SEED_SIZE = 96
LOCAL = "local"
#: Prefix of the roles that gateways may open too.
CONFIGURATION = "configuration"
LOCAL_ID = 1
PASSPHRASE, KEY_FILE, RECOVERY = "passphrase", "key-file", "recovery"
_MLKEM_PUBLIC_SIZE = 1184


class Argon2Cost(NamedTuple):
    """The cost of one guess of a passphrase. Memory in KiB."""

    memory: int
    iterations: int
    lanes: int


#: The cost of new passphrase slots (RFC 9106, second choice).
ARGON2_COST = Argon2Cost(64 * 1024, 3, 4)
#: Slots with higher costs are rejected: opening a store must not exhaust the machine.
ARGON2_LIMIT = Argon2Cost(4 * 1024 * 1024, 64, 64)


# --- Key pairs -------------------------------------------------------------------------------------------------------


def hybrid_private(seed: bytes | bytearray) -> MLKEM768X25519PrivateKey:
    """Derive the 96-byte HPKE private key: ML-KEM-768 seed (64), X25519 scalar (32)."""
    view = memoryview(seed)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(view[:64]), X25519PrivateKey.from_private_bytes(view[64:])
    )


def hybrid_public_bytes(seed: bytes | bytearray) -> bytes:
    """Derive the public key of `hybrid_private(seed)`: ML-KEM-768 (1184 bytes), X25519 (32)."""
    view = memoryview(seed)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(view[:64]).public_key().public_bytes_raw()
    return mlkem + X25519PrivateKey.from_private_bytes(view[64:]).public_key().public_bytes_raw()


def hybrid_public(data: bytes) -> MLKEM768X25519PublicKey:
    """Load an HPKE public key from `hybrid_public_bytes`. Raises ValueError for an invalid key."""
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(data[:_MLKEM_PUBLIC_SIZE]),
        X25519PublicKey.from_public_bytes(data[_MLKEM_PUBLIC_SIZE:]),
    )


@dataclass(frozen=True, repr=False)
class GatewayKeys:
    """The keys with which a gateway signs and delivers."""

    gateway_id: int
    name: str
    signing: Ed25519PrivateKey
    delivery: MLKEM768X25519PrivateKey
    signing_public: bytes
    delivery_public: bytes


class Target(NamedTuple):
    """The gateway that shall send a delivery, and the key to which the delivery is sealed.

    `name` is the gateway's, NOT safe for a terminal; "" if any process with the store open may send it.
    """

    gateway_id: int
    key: MLKEM768X25519PublicKey
    name: str = ""


@dataclass(frozen=True, repr=False)
class StoreKeys:
    """The keys of an open store. A key is None if its holder does not have it (a reader cannot sign).

    Keys derived from the seed are in buffers that `wipe` overwrites.
    """

    store_id: bytes
    read_public: bytes
    authority_public: bytes
    seed: bytes | bytearray | None = None
    read_private: MLKEM768X25519PrivateKey | None = None
    read_seed: bytes | bytearray | None = None
    authority: Ed25519PrivateKey | None = None
    configuration_key: bytes | bytearray | None = None
    private_key: bytes | bytearray | None = None
    gateway: GatewayKeys | None = None
    #: The generation keys needed so far, by generation.
    generations: dict[int, GenerationKeys] = field(default_factory=dict)
    #: The public signing key of the gateway `local`, if known from the seed or from another process; then no row is
    #: read.
    local_public: bytes = b""

    def wipe(self) -> None:
        """Overwrite the secret keys and drop them (OpenSSL overwrites its own copies when dropped).

        Public keys stay.
        """
        for name in ("seed", "read_seed", "configuration_key", "private_key"):
            buffer = getattr(self, name)
            if isinstance(buffer, bytearray):
                buffer[:] = bytes(len(buffer))
        for key in (key for generation in self.generations.values() for key in generation):
            key[:] = bytes(len(key))
        self.generations.clear()
        for name in ("seed", "read_private", "read_seed", "authority", "configuration_key", "private_key", "gateway"):
            object.__setattr__(self, name, None)

    def authority_verifier(self) -> Ed25519PublicKey:
        return _verifier(self.authority_public)

    def sealing_key(self, role: str) -> bytes | bytearray:
        """Return the key that seals `role`: the configuration key for the roles `configuration…`, else the private key.

        Raises UnlockError if the keys at hand lack it.
        """
        key = self.configuration_key if role.startswith(CONFIGURATION) else self.private_key
        if key is None:
            raise UnlockError(f"This key cannot open or seal the {role}. Unlock the store with an operator key.")
        return key


@lru_cache(8)
def _verifier(public: bytes) -> Ed25519PublicKey:
    """Read a public key; that takes a fifth as long as to verify with it."""
    return Ed25519PublicKey.from_public_bytes(public)


def derive_keys(seed: bytes | bytearray, store_id: bytes) -> StoreKeys:
    """Derive all keys of a store from its seed. A seed in a `bytearray` is wiped with the keys."""

    def derive(purpose: str, length: int = KEY_SIZE) -> bytearray:
        key = bytearray(length)
        HKDFExpand(SHA256(), length, statement("store key", purpose, store_id)).derive_into(seed, key)
        return key

    read_seed = derive("read", HYBRID_SEED_SIZE)
    authority = Ed25519PrivateKey.from_private_bytes(derive("authority"))
    signing = Ed25519PrivateKey.from_private_bytes(derive("local gateway signing"))
    delivery_seed = derive("local gateway delivery", HYBRID_SEED_SIZE)
    return StoreKeys(
        store_id=store_id,
        read_public=hybrid_public_bytes(read_seed),
        authority_public=authority.public_key().public_bytes_raw(),
        seed=seed,
        read_private=hybrid_private(read_seed),
        read_seed=read_seed,
        authority=authority,
        configuration_key=derive("configuration"),
        private_key=derive("private"),
        gateway=GatewayKeys(
            gateway_id=LOCAL_ID,
            name=LOCAL,
            signing=signing,
            delivery=hybrid_private(delivery_seed),
            signing_public=signing.public_key().public_bytes_raw(),
            delivery_public=hybrid_public_bytes(delivery_seed),
        ),
        local_public=signing.public_key().public_bytes_raw(),
    )


class _Reader(msgspec.Struct, frozen=True, array_like=True):
    store_id: bytes
    read_seed: bytes
    read_public: bytes
    authority_public: bytes
    configuration_key: bytes
    private_key: bytes
    local_public: bytes
    generations: dict[int, tuple[bytes, bytes]] = {}


def reader_material(keys: StoreKeys, generations: Iterable[int] = ()) -> bytes:
    """Pack the keys with which a child process can read the store, but neither sign nor store copies.

    With `generations` of the configuration key, it can read the settings too. Secret: pass it through a pipe only.
    Raises UnlockError if the keys at hand cannot read the store.
    """
    if keys.read_seed is None or keys.configuration_key is None or keys.private_key is None:
        raise UnlockError("This key cannot read the store. Unlock the store with an operator key.")
    return msgspec.msgpack.encode(
        _Reader(
            keys.store_id,
            bytes(keys.read_seed),
            keys.read_public,
            keys.authority_public,
            bytes(keys.configuration_key),
            bytes(keys.private_key),
            keys.local_public,
            {number: _plain(keys.generations[number]) for number in generations},
        )
    )


def _plain(keys: GenerationKeys) -> tuple[bytes, bytes]:
    return bytes(keys.configuration), bytes(keys.counter)


def reader_keys(material: bytes) -> StoreKeys:
    """Load keys from `reader_material`. Raises UnlockError if the bytes are not such material."""
    try:
        reader = msgpack_decoder(_Reader).decode(material)
        private = hybrid_private(reader.read_seed)
    except (msgspec.DecodeError, ValueError):
        raise UnlockError("The key material is not a reader's.") from None
    return StoreKeys(
        store_id=reader.store_id,
        read_public=reader.read_public,
        authority_public=reader.authority_public,
        read_private=private,
        read_seed=reader.read_seed,
        configuration_key=reader.configuration_key,
        private_key=reader.private_key,
        local_public=reader.local_public,
        generations={number: GenerationKeys(*map(bytearray, both)) for number, both in reader.generations.items()},
    )


# --- Slots -----------------------------------------------------------------------------------------------------------


class Slot(NamedTuple):
    """One wrapping of the seed. The commitment distinguishes a wrong key from a damaged slot."""

    kind: str
    salt: bytes
    cost: Argon2Cost
    commitment: bytes
    sealed_seed: bytes


def _slot_keys(kind: str, salt: bytes, cost: Argon2Cost, secret: bytes, store_id: bytes) -> tuple[bytes, bytes]:
    info = statement("key slot", kind, store_id, salt, *cost)
    if kind == PASSPHRASE:
        secret = Argon2id(
            salt=salt, length=KEY_SIZE, memory_cost=cost.memory, iterations=cost.iterations, lanes=cost.lanes
        ).derive(secret)
    both = HKDF(SHA256(), 2 * KEY_SIZE, salt, info).derive(secret)
    return both[:KEY_SIZE], both[KEY_SIZE:]


def wrap_seed(kind: str, secret: bytes, seed: bytes | bytearray, store_id: bytes) -> Slot:
    """Wrap `seed` under a passphrase, key file or recovery secret.

    The salt is fresh, so the derived key is used once.
    """
    salt = os.urandom(SALT_SIZE)
    cost = ARGON2_COST if kind == PASSPHRASE else Argon2Cost(0, 0, 0)
    key, commitment = _slot_keys(kind, salt, cost, secret, store_id)
    sealed = AESGCM(key).encrypt(bytes(12), seed, statement("wrapped seed", kind, store_id))
    return Slot(kind, salt, cost, commitment, sealed)


def unwrap_seed(slot: Slot, secret: bytes, store_id: bytes, what: str) -> bytearray | None:
    """Open a slot. Returns the seed in a buffer that can be wiped; None if `secret` does not fit this slot.

    Raises TamperedError, naming `what`, if the slot is damaged.
    """
    if len(slot.salt) != SALT_SIZE:
        raise TamperedError(what, "its salt has the wrong length")
    if slot.kind == PASSPHRASE:
        limits = zip(slot.cost, (8 * slot.cost.lanes, 1, 1), ARGON2_LIMIT, strict=True)
        if any(not low <= value <= high for value, low, high in limits):
            raise TamperedError(what, "its cost parameters are out of range")
    elif any(slot.cost):
        raise TamperedError(what, "it has cost parameters that its kind does not use")
    key, commitment = _slot_keys(slot.kind, slot.salt, slot.cost, secret, store_id)
    if not hmac.compare_digest(commitment, slot.commitment):
        return None
    seed = bytearray(max(0, len(slot.sealed_seed) - TAG_SIZE))
    try:
        AESGCM(key).decrypt_into(bytes(12), slot.sealed_seed, statement("wrapped seed", slot.kind, store_id), seed)
    except (InvalidTag, ValueError):
        raise TamperedError(what) from None
    return seed


def passphrase_secret(passphrase: str) -> bytes:
    """Encode a passphrase, independent of how the keyboard composes characters. Raises UsageError if it is empty."""
    if not passphrase:
        raise UsageError("The passphrase is empty. Choose one that is hard to guess.")
    return unicodedata.normalize("NFKC", passphrase).encode("utf-8", "surrogatepass")


# --- Key files and recovery keys -------------------------------------------------------------------------------------


def make_key_file(path: Path) -> bytes:
    """Create a key file (32 random bytes, mode 0600). Raises KeyFileError if it exists or cannot be created."""
    secret = os.urandom(KEY_SIZE)
    try:
        write_new(path, secret)
    except FileExistsError:
        raise KeyFileError(f"The key file {path} already exists. Give a new file.") from None
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be created: {error.strerror}. Choose another place.") from None
    return secret


def read_key_file(path: Path) -> bytes:
    """Read the secret in a key file. Raises KeyFileError if it is missing, malformed, or readable by others."""
    name_it = "give the file that `mailhold init` or `mailhold keys add` made"
    try:
        secret, exposed = read_secret(path, KEY_SIZE, KEY_SIZE)
    except NotPlain as error:
        raise KeyFileError(f"{path} is {error} and not a key file: {name_it}.") from None
    except WrongSize as error:
        raise KeyFileError(
            f"{path} is not a key file: it has {error.size:,} bytes, and a key file has exactly {KEY_SIZE}. Please "
            f"{name_it}."
        ) from None
    except FileNotFoundError:
        raise KeyFileError(
            f"There is no key file {path}. (A key file opens a store instead of a passphrase. `mailhold init "
            "--key-file F` makes one for a new store, `mailhold keys add --new-key-file F` one for an existing "
            "store.)"
        ) from None
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be read: {error.strerror}.") from None
    if exposed:
        raise KeyFileError(f"The key file {path} {exposed}.")
    return secret


RECOVERY_SIZE = 25
_CHECK_DIGITS = 4
_RECOVERY_LENGTH = RECOVERY_SIZE * 8 // 5 + _CHECK_DIGITS


def _check_digits(secret: bytes) -> str:
    digest = hashlib.sha256(statement("recovery check", secret)).digest()
    return base64.b32encode(digest).decode()[:_CHECK_DIGITS]


def new_recovery_key() -> tuple[str, bytes]:
    """Make a recovery key: its text to show once (groups of four, check digits last), and its secret (200 bits)."""
    secret = os.urandom(RECOVERY_SIZE)
    text = base64.b32encode(secret).decode() + _check_digits(secret)
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4)), secret


def read_recovery_key(text: str) -> bytes:
    """Parse a typed recovery key. Ignores case, spaces and dashes, and reads 0, 1, 8 as O, I, B.

    Raises WrongKey if its check digits do not match.
    """
    compact = "".join(text.split()).replace("-", "").upper().translate(str.maketrans("018", "OIB"))
    try:
        secret = base64.b32decode(compact[:-_CHECK_DIGITS])
    except ValueError:
        secret = b""
    if len(compact) != _RECOVERY_LENGTH or compact[-_CHECK_DIGITS:] != _check_digits(secret):
        raise WrongKey(
            "The recovery key has a typing mistake (its check digits do not match). Compare it with your note."
        )
    return secret
