"""Verify operators' signatures by their certificates (`store.sealing.certificates`). No command issues any yet.

A signature is valid if the authority made it, or an operator whose certificate was valid at that time and grants the
right. `signature` columns hold either 64 bytes, a plain signature of the authority, or a `sig`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.sealing.certificates import Certificate
from store.sealing.signatures import AUTHORITY, FIRST_OPERATOR, Right, signers_of, verify_signature
from store.sealing.statements import verify
from store.terms.errors import TamperedError
from store.vault.session import Session

_SELECT = "SELECT key, rights, since, until, signature FROM certificate WHERE signer = ?"
_PLAIN = 64


def operator_key(session: Session, signer: int, right: Right, at: int) -> Ed25519PublicKey:
    """Return the key of operator `signer`, who may sign acts that need `right` at the time `at` (Unix ms).

    Raises TamperedError if no certificate signed by the authority says so.
    """
    what = f"the certificate of operator {signer - FIRST_OPERATOR}"
    with session.reading(), sound(what):
        row = run(session.db, _SELECT, signer).fetchone()
        if row is None:
            raise TamperedError(what, "there is none")
        certificate = Certificate(signer, as_bytes(row[0]), *map(_number, row[1:4]))
        authority = session.keys.authority_verifier()
        return certificate.verified(session.store_id, as_bytes(row[4]), authority, right, at)


def verify_operator(
    session: Session,
    data: bytes,
    signature: bytes,
    what: str,
    right: Right,
    *,
    at: int | None = None,
    seconded: bool | None = None,
) -> tuple[int, ...]:
    """Verify the signature of the statement `data`: the authority's, or that of operators who have `right`.

    `at` (Unix ms) is when it was signed, by default now. With `seconded` (by default as the store's setting says) one
    operator's signature needs a second operator's. The authority's does not: it could issue two certificates anyway.
    Returns the signers' ids. Raises TamperedError naming `what`.
    """
    if len(signature) == _PLAIN:
        verify(session.keys.authority_verifier(), signature, data, what)
        return (AUTHORITY,)
    moment = now_ms() if at is None else at
    alone = len(ids := signers_of(signature, what)) < 2 and ids != (AUTHORITY,)
    if alone and (session.takes_two(right, moment) if seconded is None else seconded):
        raise TamperedError(what, "it needs the signatures of two operators")

    def key_of(signer: int) -> Ed25519PublicKey:
        if signer == AUTHORITY:
            return session.keys.authority_verifier()
        if signer < FIRST_OPERATOR:
            raise TamperedError(what, f"gateway {signer} may not sign it")
        return operator_key(session, signer, right, moment)

    return verify_signature(session.store_id, data, signature, key_of, what)


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("not a number")
    return value
