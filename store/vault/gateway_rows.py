"""Rows of enrolled gateways and their keys. A row counts only if an operator's signature verifies."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.database.connection import as_bytes, run, sound
from store.sealing.keys import LOCAL_ID
from store.sealing.signatures import AUTHORITY, Right, signers_of, verify_signature
from store.sealing.statements import KEY_SIZE, statement
from store.terms.errors import TamperedError
from store.vault.operators import verify_operator
from store.vault.session import Session

_SIGNATURE = "SELECT signature FROM gateway WHERE id = ?"


def gateway_statement(store_id: bytes, row: Any) -> bytes:
    """Build the statement that is signed when a gateway is enrolled."""
    return statement(
        "gateway", store_id, row.id, row.name, as_bytes(row.signing_key), as_bytes(row.delivery_key), row.enrolled_at
    )


def is_revoked(row: Any) -> bool:
    """Whether a gateway's verified row says that it is revoked: then `delivery_key` holds its former signing key.

    That key only serves to verify the gateway's earlier events; nothing can be sealed to it.
    """
    return len(as_bytes(row.delivery_key)) == KEY_SIZE


def former_key(session: Session, gateway_id: int) -> Ed25519PublicKey:
    """Return a revoked gateway's former signing key. Raises TamperedError if it is not revoked."""
    what = f"gateway {gateway_id}"
    with session.reading(), sound(what):
        row = session.models.Gateway.get_or_none(session.models.Gateway.id == gateway_id)
        if row is None or not is_revoked(row):
            raise TamperedError(what, "it is not revoked")
        verified(session, row)
        return Ed25519PublicKey.from_public_bytes(as_bytes(row.delivery_key))


def verified(session: Session, row: Any) -> None:
    """Verify the signature of a gateway's row. Raises TamperedError naming the gateway."""
    what = f"gateway {row.id}"
    with sound(what):
        data = gateway_statement(session.store_id, row)
        verify_operator(session, data, as_bytes(row.signature), what, Right.KEYS, at=row.enrolled_at)


class Signers:
    """Signing keys of a store's gateways. Each is verified at first use and then cached. Thread-safe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[int, tuple[bytes, Ed25519PublicKey]] = {}

    def key(self, gateway_id: int) -> Ed25519PublicKey:
        """Return a gateway's signing key from its signed row. Raises TamperedError naming the gateway."""
        known = self._known.get(gateway_id)
        if known is not None and gateway_id == LOCAL_ID:
            return known[1]
        if gateway_id == LOCAL_ID and (local := self._session.keys.local_public):
            key = Ed25519PublicKey.from_public_bytes(local)
            self._known[gateway_id] = (b"", key)
            return key
        what, table = f"gateway {gateway_id}", self._session.models.Gateway
        with sound(what), self._session.reading():
            if known is not None:
                same = run(self._session.db, _SIGNATURE, gateway_id).fetchone()
                if same is not None and as_bytes(same[0]) == known[0]:
                    return known[1]
            row = table.get_or_none(table.id == gateway_id)
            if row is None:
                raise TamperedError(what, "it is not enrolled")
            signature = as_bytes(row.signature)
            verified(self._session, row)
            key = Ed25519PublicKey.from_public_bytes(as_bytes(row.signing_key))
        # Cache by signature: revocation in another process replaces the key.
        self._known[gateway_id] = (signature, key)
        return key

    def verify(
        self,
        signature: bytes,
        what: str,
        role: str,
        *fields: int | bytes | str,
        right: Right | None = None,
        gateway: int | None = None,
        at: int | None = None,
        seconded: bool | None = None,
    ) -> tuple[int, ...]:
        """Verify `sig(role, field…)` by `gateway`, or by an operator who has `right` (see `verify_operator`).

        If both are given, either may have signed. `at` (Unix ms) is when an operator signed, by default now. Returns
        the signers' ids. Raises TamperedError naming `what`, also for a revoked gateway.
        """
        session = self._session
        data = statement(role, session.store_id, *fields)
        ids = signers_of(signature, what)
        if gateway != AUTHORITY and ids == (gateway,):
            return verify_signature(session.store_id, data, signature, self.key, what)
        if right is None:
            raise TamperedError(what, f"only gateway {gateway} may sign it")
        return verify_operator(session, data, signature, what, right, at=at, seconded=seconded)
