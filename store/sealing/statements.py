"""Statements: what signatures cover and keys are bound to. `FORMAT.md` beside this file is the specification.

The vectors in `tests/data/vectors/` hold it and its neighbours in place. Nothing in this room knows a database. Every
failure to open or verify is a `TamperedError` that names the thing and says nothing more.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from store.terms.errors import TamperedError

#: The version of the statements' grammar, which is not the store's format: that may change and every signature stay.
GRAMMAR = 1
KEY_SIZE = 32

_SHA256 = SHA256()


def statement(role: str, *fields: int | bytes | str) -> bytes:
    """One unambiguous byte string of `role` and `fields`: what signatures cover, and what keys are bound to.

    No two different calls give the same bytes: each field carries its type and length. Integers are signed 64-bit.
    """
    parts = [b"mailhold", bytes([GRAMMAR])]
    for field in (role, *fields):
        if isinstance(field, int):
            parts.append(b"i" + field.to_bytes(8, "big", signed=True))
        else:
            data = field.encode() if isinstance(field, str) else bytes(field)
            parts.append((b"s" if isinstance(field, str) else b"b") + len(data).to_bytes(4, "big") + data)
    return b"".join(parts)


def expand(key: bytes | bytearray | memoryview, info: bytes, length: int = KEY_SIZE) -> bytes:
    """HKDF-Expand (SHA-256) of a uniformly random `key`."""
    return HKDFExpand(_SHA256, length, info).derive(key)


def verify(key: Ed25519PublicKey, signature: bytes, data: bytes, what: str) -> None:
    """Check an Ed25519 signature or raise `TamperedError` naming `what`."""
    try:
        key.verify(signature, data)
    except (InvalidSignature, ValueError):
        raise TamperedError(what, "its signature does not verify") from None
