"""Data derived from copies later, sealed for operators only and bound to its copy.

There is one key per kind and version, with random nonces. It may seal 2^32 times (NIST SP 800-38D): a store of ten
million copies reaches that after deriving all of them four hundred times.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.sealing.sealed import TAG_SIZE
from store.sealing.statements import expand, statement
from store.terms.errors import TamperedError

_FORM = b"\x05"
_NONCE_SIZE = 12
_ROLE = "derived"


class DerivedKey:
    """Seals and opens derived data of one kind and version in one store."""

    def __init__(self, private_key: bytes | bytearray, store_id: bytes, kind: str, version: int) -> None:
        self._cipher = AESGCM(expand(private_key, statement("derived key", store_id, kind, version)))
        self._prefix = statement(_ROLE, store_id, kind, version)
        self._kind = kind

    def _associated(self, row_id: int, record: bytes) -> bytes:
        # Equals further fields of the same `statement`.
        digest = hashlib.sha256(record).digest()
        return self._prefix + b"i" + row_id.to_bytes(8, "big", signed=True) + b"b\0\0\0\x20" + digest

    def seal(self, row_id: int, record: bytes, plaintext: bytes) -> bytes:
        """Seal data derived from the copy `row_id`, whose sealed record is `record` (b"" for data that belongs to no
        copy).
        """
        nonce = os.urandom(_NONCE_SIZE)
        return _FORM + nonce + self._cipher.encrypt(nonce, plaintext, self._associated(row_id, record))

    def open(self, row_id: int, record: bytes, sealed: bytes) -> bytes:
        """Open data sealed by `seal` for the same copy. Raises TamperedError naming kind and copy."""
        if sealed[:1] == _FORM and len(sealed) >= 1 + _NONCE_SIZE + TAG_SIZE:
            nonce = sealed[1 : 1 + _NONCE_SIZE]
            try:
                return self._cipher.decrypt(nonce, sealed[1 + _NONCE_SIZE :], self._associated(row_id, record))
            except InvalidTag:
                pass
        raise TamperedError(f"the {self._kind} of copy {row_id}")
