"""Operators' certificates: the authority's statement of what an operator may sign, and in which period."""

from __future__ import annotations

from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.sealing.signatures import AUTHORITY, FIRST_OPERATOR, Right, verify_signature
from store.sealing.statements import statement
from store.terms.errors import TamperedError


class Certificate(NamedTuple):
    """An operator's signer id, Ed25519 public key and rights (sum of `Right`), and the valid period (Unix ms,
    inclusive).
    """

    signer: int
    key: bytes
    rights: int
    since: int
    until: int

    @property
    def what(self) -> str:
        """Its name in errors."""
        return f"the certificate of operator {self.signer - FIRST_OPERATOR}"

    def data(self, store_id: bytes) -> bytes:
        """Return the bytes that the authority signs."""
        return statement("certificate", store_id, *self)

    def verified(
        self, store_id: bytes, signature: bytes, authority: Ed25519PublicKey, right: Right, at: int
    ) -> Ed25519PublicKey:
        """Verify the certificate; return the key with which the operator may sign acts that need `right` at `at` (Unix
        ms).

        Raises TamperedError if the certificate does not verify or does not allow it, and ValueError for an invalid key.
        """

        def key_of(signer: int) -> Ed25519PublicKey:
            if signer != AUTHORITY:
                raise TamperedError(self.what, "only the authority may sign it")
            return authority

        if self.signer < FIRST_OPERATOR:
            raise TamperedError(self.what, "it does not belong to an operator")
        verify_signature(store_id, self.data(store_id), signature, key_of, self.what)
        if not self.since <= at <= self.until:
            raise TamperedError(self.what, "it was not valid at that time")
        if self.rights & right != right:
            raise TamperedError(self.what, f"it does not give the right to {right.name}".lower())
        return Ed25519PublicKey.from_public_bytes(self.key)
