"""Signatures that say who signed: the authority, a gateway, or an operator; one of them, or two operators.

`sig` covers a statement of one store. Which signers a row takes, and where their keys come from, its reader says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import IntFlag
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from store.sealing.statements import statement, verify
from store.terms.errors import TamperedError

#: The signer that is the store's authority; a gateway signs as its id.
AUTHORITY = 0
#: Operators sign as this and the id of their key slot.
FIRST_OPERATOR = 1 << 32
_FORM = b"\x02"
_ID, _SIGNATURE = 8, 64
_ONE = len(_FORM) + _ID + _SIGNATURE
_TWO = _ONE + _ID + _SIGNATURE


class Right(IntFlag):
    """What an operator's certificate allows its holder to sign."""

    READ = 1
    DELETE = 2
    RELEASE = 4
    CONFIGURE = 8
    KEYS = 16
    ACCEPT = 32


class Signer(NamedTuple):
    """Who signs, and with what."""

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
    """Who a signature says made it, not verified. Raises TamperedError, naming `what`, where it has no such form."""
    if signature[:1] != _FORM or len(signature) not in (_ONE, _TWO):
        raise TamperedError(what, "its signature has no form that this release knows")
    ids = tuple(signer for signer, _ in _parts(signature))
    if max(ids) >= 1 << 63 or (len(ids) == 2 and ids[0] >= ids[1]):
        raise TamperedError(what, "its signature has no form that this release knows")
    return ids


def verify_signature(
    store_id: bytes, data: bytes, signature: bytes, key_of: Callable[[int], Ed25519PublicKey], what: str
) -> tuple[int, ...]:
    """Verify what `sign` made; `key_of` gives a signer's key, or raises for one who may not sign this.

    Returns the signers' ids. Raises TamperedError naming `what`, and whatever `key_of` raises.
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
