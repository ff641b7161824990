"""Signatures that name their signer: the authority, a gateway or an operator; or two operators.

A signature covers a statement of one store. Its reader decides who may sign, and provides the keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import IntFlag
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from store.sealing.statements import statement, verify
from store.terms.errors import TamperedError

#: Signer id of the store's authority. A gateway signs with its own id.
AUTHORITY = 0
#: An operator signs with this number plus the id of their key slot.
FIRST_OPERATOR = 1 << 32
_FORM = b"\x02"
_ID, _SIGNATURE = 8, 64
_ONE = len(_FORM) + _ID + _SIGNATURE
_TWO = _ONE + _ID + _SIGNATURE


class Right(IntFlag):
    """The rights of an operator's certificate: what its holder may sign."""

    READ = 1
    DELETE = 2
    RELEASE = 4
    CONFIGURE = 8
    KEYS = 16
    ACCEPT = 32


class Signer(NamedTuple):
    """A signer's id and private key."""

    id: int
    key: Ed25519PrivateKey


def sign(store_id: bytes, data: bytes, *signers: Signer) -> bytes:
    """Sign the statement `data` with one or two signers (73 or 145 bytes), the smaller id first.

    Raises ValueError for no signers, more than two, or the same one twice.
    """
    ids = {signer.id for signer in signers}
    if not 1 <= len(ids) == len(signers) <= 2:
        raise ValueError("one signer or two different ones")
    parts = [_FORM]
    for signer in sorted(signers, key=lambda each: each.id):
        parts += [signer.id.to_bytes(_ID, "big"), signer.key.sign(_signed_by(store_id, signer.id, data))]
    return b"".join(parts)


def signers_of(signature: bytes, what: str) -> tuple[int, ...]:
    """Return the ids of the claimed signers, without verifying. Raises TamperedError, naming `what`, if malformed."""
    if signature[:1] != _FORM or len(signature) not in (_ONE, _TWO):
        raise TamperedError(what, "this version of Mailhold does not know the format of its signature")
    ids = tuple(signer for signer, _ in _parts(signature))
    if max(ids) >= 1 << 63 or (len(ids) == 2 and ids[0] >= ids[1]):
        raise TamperedError(what, "this version of Mailhold does not know the format of its signature")
    return ids


def verify_signature(
    store_id: bytes, data: bytes, signature: bytes, key_of: Callable[[int], Ed25519PublicKey], what: str
) -> tuple[int, ...]:
    """Verify a signature by `sign`; `key_of` returns a signer's key, or raises if it may not sign this.

    Returns the signers' ids. Raises TamperedError naming `what`, and any error of `key_of`.
    """
    ids = signers_of(signature, what)
    for signer, made in _parts(signature):
        verify(key_of(signer), made, _signed_by(store_id, signer, data), what)
    return ids


def _parts(signature: bytes) -> list[tuple[int, bytes]]:
    return [
        (int.from_bytes(signature[at : at + _ID], "big"), signature[at + _ID : at + _ID + _SIGNATURE])
        for at in range(len(_FORM), len(signature), _ID + _SIGNATURE)
    ]


def _signed_by(store_id: bytes, signer: int, data: bytes) -> bytes:
    return statement("signed by", store_id, signer, hashlib.sha256(data).digest())
