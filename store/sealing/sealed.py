"""Seal with a long-lived key, from which a fresh salt derives a key per use, or to a public key (HPKE)."""

from __future__ import annotations

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.sealing.statements import KEY_SIZE, statement
from store.terms.errors import TamperedError

SALT_SIZE = 32
TAG_SIZE = 16
#: Constant, for keys that are used once.
NONCE = bytes(12)
#: First byte of sealed data: for a key without generations, and for one with generations.
_SEALED, _GENERATION = b"\x01", b"\x03"
_NUMBER = 8

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SHA256 = SHA256()


def seal_with(
    key: bytes | bytearray, role: str, store_id: bytes, plaintext: bytes, *, generation: int | None = None
) -> bytes:
    """Seal under a key derived from `key` and a fresh 32-byte salt. Returns version, salt, ciphertext and tag.

    The key's `generation`, if it has one, follows the version (8 bytes), and is authenticated.
    """
    head = _SEALED if generation is None else _GENERATION + generation.to_bytes(_NUMBER, "big")
    context = _context(role, store_id, generation)
    salt = os.urandom(SALT_SIZE)
    once = HKDF(_SHA256, KEY_SIZE, salt, context).derive(key)
    return head + salt + AESGCM(once).encrypt(NONCE, plaintext, context)


def unseal_with(key: bytes | bytearray, role: str, store_id: bytes, sealed: bytes, *, what: str | None = None) -> bytes:
    """Open data sealed by `seal_with` for the same key, role and store.

    Raises TamperedError, naming `what` or the role.
    """
    name = what or role
    generation = generation_of(sealed, name) or None
    head = 1 if generation is None else 1 + _NUMBER
    salt = sealed[head : head + SALT_SIZE]
    if len(sealed) < head + SALT_SIZE + TAG_SIZE:
        raise TamperedError(name)
    context = _context(role, store_id, generation)
    once = HKDF(_SHA256, KEY_SIZE, salt, context).derive(key)
    try:
        return AESGCM(once).decrypt(NONCE, sealed[head + SALT_SIZE :], context)
    except InvalidTag:
        raise TamperedError(name) from None


def generation_of(sealed: bytes, what: str) -> int:
    """Return the generation of the key that sealed the data, 0 for a key without generations. Raises TamperedError."""
    if sealed[:1] == _SEALED:
        return 0
    number = int.from_bytes(sealed[1 : 1 + _NUMBER], "big")
    if sealed[:1] != _GENERATION or not 0 < number < 1 << 63:
        raise TamperedError(what)
    return number


@lru_cache(256)
def _context(role: str, store_id: bytes, generation: int | None) -> bytes:
    return statement("sealed", role, store_id, *(() if generation is None else (generation,)))


def hpke_seal(public: MLKEM768X25519PublicKey, info: bytes, plaintext: bytes | bytearray) -> bytes:
    """Seal to a public key (HPKE base mode, MLKEM768-X25519, HKDF-SHA256, AES-256-GCM)."""
    return _SUITE.encrypt(plaintext, public, info=info)


def hpke_open(private: MLKEM768X25519PrivateKey, info: bytes, sealed: bytes, what: str) -> bytes:
    """Open data sealed by `hpke_seal` with the same `info`.

    Raises TamperedError, naming `what`, if it does not verify.
    """
    try:
        return _SUITE.decrypt(sealed, private, info=info)
    except (InvalidTag, ValueError):
        raise TamperedError(what) from None
