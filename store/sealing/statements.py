"""Statements: the bytes that signatures cover and keys are bound to. `FORMAT.md` in this folder is the specification.

Test vectors in `tests/data/vectors/` fix the bytes of this package. Nothing in it uses a database. Every failure to
open or verify raises a `TamperedError` that names the object and gives no details of the cryptography.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from store.terms.errors import TamperedError

#: Version of the statements' grammar. It is not the store's format, which may change while signatures stay valid.
GRAMMAR = 1
KEY_SIZE = 32

_SHA256 = SHA256()


def statement(role: str, *fields: int | bytes | str) -> bytes:
    """Build one unambiguous byte string from `role` and `fields`: signatures cover it, keys are bound to it.

    Different arguments never give the same bytes: each field carries its type and length. Integers are signed 64-bit.
    """
    parts = [_head(role)]
    for field in fields:
        if type(field) is bytes:  # Most are, and this runs several times a message.
            parts += (b"b", len(field).to_bytes(4, "big"), field)
        elif isinstance(field, int):
            parts += (b"i", field.to_bytes(8, "big", signed=True))
        else:
            data = field.encode() if isinstance(field, str) else bytes(field)
            parts += (b"s" if isinstance(field, str) else b"b", len(data).to_bytes(4, "big"), data)
    return b"".join(parts)


@lru_cache(256)
def _head(role: str) -> bytes:
    data = role.encode()
    return b"".join((b"mailhold", bytes([GRAMMAR]), b"s", len(data).to_bytes(4, "big"), data))


def expand(key: bytes | bytearray | memoryview, info: bytes, length: int = KEY_SIZE) -> bytes:
    """Compute HKDF-Expand (SHA-256) of a uniformly random `key`."""
    return HKDFExpand(_SHA256, length, info).derive(key)


def verify(key: Ed25519PublicKey, signature: bytes, data: bytes, what: str) -> None:
    """Verify an Ed25519 signature. Raises TamperedError, naming `what`, if it does not verify."""
    try:
        key.verify(signature, data)
    except (InvalidSignature, ValueError):
        raise TamperedError(what, "its signature does not verify") from None
