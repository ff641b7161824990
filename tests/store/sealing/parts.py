"""One part of a copy sealed by itself, as vectors and forgeries need it."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.sealing.copies import Place
from store.sealing.sealed import NONCE


def seal_part(key: bytes | memoryview, place: Place, role: str, plaintext: bytes) -> bytes:
    """Seal a record or a body."""
    return AESGCM(key).encrypt(NONCE, plaintext, place.associated(role))
