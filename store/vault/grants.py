"""Generations of the configuration key: their numbers, their keys, and which gateways hold them.

An operator derives each generation's keys from the seed. A gateway has only the generations granted to it: one row
each, sealed to its delivery key and signed by an operator. Revoking a gateway begins a new generation, so that its
stolen credentials cannot open what is sealed afterwards. Generation 0 is the key of format 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from store.database.connection import as_bytes, run, sound
from store.sealing.granting import GenerationKeys, generation_keys, open_grant, seal_grant
from store.sealing.keys import LOCAL_ID, hybrid_public
from store.sealing.sealed import generation_of, seal_with, unseal_with
from store.sealing.signatures import AUTHORITY, Right, Signer, sign
from store.sealing.statements import statement
from store.terms.errors import TamperedError, UnlockError
from store.vault.gateway_rows import Signers, is_revoked, verified
from store.vault.session import Session

_ROLE = "key grant"
_NEWEST = "SELECT generation, sealed, signature FROM key_grant WHERE holder = ? ORDER BY generation DESC LIMIT 100"
_ONE = "SELECT generation, sealed, signature FROM key_grant WHERE holder = ? AND generation = ?"
_INSERT = "INSERT INTO key_grant (generation, holder, sealed, signature) VALUES (?, ?, ?, ?)"


class NotGranted(TamperedError):
    """Data is sealed with a generation of the configuration key that was not granted to this gateway."""

    def __init__(self, generation: int) -> None:
        super().__init__(
            f"configuration key {generation}", f"configuration key {generation} was not granted to this gateway"
        )


class _Grant(NamedTuple):
    generation: int
    sealed: bytes
    signature: bytes


class Grants:
    """The generations that the keys at hand can use. Call its methods in a `Session.reading` or a transaction."""

    def __init__(self, session: Session, signers: Signers) -> None:
        self._session = session
        self._signers = signers
        self._newest = 1
        self._remembered: dict[int, tuple[int, bytes, bytes]] = {}

    def newest(self) -> int:
        """Return the generation to seal with: the newest granted to this holder, or a newer one already seen.

        Raises TamperedError where a gateway has none.
        """
        for row in run(self._session.db, _NEWEST, self._holder).fetchall():
            try:
                self._newest = max(self._newest, self._verified(row, self._holder).generation)
                return self._newest
            except TamperedError:
                continue  # `check` reports it.
        if self._session.keys.seed is None:
            raise TamperedError("the configuration key", "this gateway was given none")
        return self._newest

    def claimed(self) -> int:
        """Return the newest generation in any grant, unverified, 0 if there is none.

        Callers use it to notice new grants.
        """
        found = run(self._session.db, "SELECT MAX(generation) FROM key_grant").fetchone()[0]
        return found if isinstance(found, int) else 0

    def keys(self, generation: int | None = None) -> GenerationKeys:
        """Return the keys of a generation, by default the newest.

        Raises NotGranted where a gateway lacks it, TamperedError where its grant does not verify, UnlockError where the
        keys at hand are neither a gateway's nor an operator's.
        """
        number = self.newest() if generation is None else generation
        held = self._session.keys.generations
        found = held.get(number)
        if found is None:
            found = held[number] = self._found(number)
        return found

    def seal(self, role: str, plaintext: bytes) -> bytes:
        """Seal with the newest generation, bound to this store and `role`."""
        number = self.newest()
        return seal_with(self.keys(number).configuration, role, self._session.store_id, plaintext, generation=number)

    def unseal(self, role: str, sealed: bytes) -> bytes:
        """Open what `seal` made, of any generation. Raises TamperedError, NotGranted."""
        number, session = generation_of(sealed, role), self._session
        key = session.keys.sealing_key(role) if number == 0 else self.keys(number).configuration
        opened = unseal_with(key, role, session.store_id, sealed)
        # The sealer had that generation's key, so the generation exists even if its grant is missing here.
        self._newest = max(self._newest, number)
        return opened

    def grant(self, generation: int | None = None) -> None:
        """Grant a generation, by default the newest, to all gateways that lack it and are not revoked.

        In the caller's transaction. Raises UnlockError where the keys at hand are not an operator's.
        """
        session = self._session
        number = self.newest() if generation is None else generation
        if session.keys.seed is None:
            raise UnlockError("This key cannot grant a key. Unlock the store with an operator key.")
        made = self.keys(number)
        for row in session.models.Gateway.select().order_by(session.models.Gateway.id):
            try:
                verified(session, row)
                with sound(f"gateway {row.id}"):
                    if is_revoked(row) or self._has(number, row.id):
                        continue
                    self._put(number, row, made)
            except TamperedError:
                continue  # Never seal keys to an unverified row; `check` reports it.

    def renew(self) -> int:
        """Begin a new generation and grant it. In the caller's transaction. Returns its number. Raises UnlockError."""
        number = self.newest() + 1
        self.grant(number)
        self._newest = number
        return number

    def rows(self) -> list[Any]:
        """Return all grants, unverified: (generation, holder, sealed, signature)."""
        sql = "SELECT generation, holder, sealed, signature FROM key_grant ORDER BY generation, holder"
        return list(run(self._session.db, sql).fetchall())

    def held(self) -> list[Any]:
        """Return this holder's grants, unverified: (generation, sealed, signature)."""
        return list(run(self._session.db, _NEWEST, self._holder).fetchall())

    def remember(self, rows: Iterable[tuple[int, bytes, bytes]]) -> None:
        """Keep rows that `held` returned earlier, to be used if they are no longer in the table."""
        self._remembered = {generation: (generation, sealed, signature) for generation, sealed, signature in rows}

    def check(self, row: Any) -> None:
        """Verify a grant's row (generation, holder, sealed, signature). Raises TamperedError naming it."""
        generation, holder, sealed, signature = row
        self._verified((generation, sealed, signature), holder)

    @property
    def _holder(self) -> int:
        gateway = self._session.keys.gateway
        return LOCAL_ID if gateway is None else gateway.gateway_id

    def _found(self, generation: int) -> GenerationKeys:
        session = self._session
        keys = session.keys
        if keys.seed is not None:
            return generation_keys(keys.seed, session.store_id, generation)
        if keys.gateway is None:
            raise UnlockError("This key cannot open the settings. Unlock the store with an operator key.")
        row = run(session.db, _ONE, self._holder, generation).fetchone() or self._remembered.get(generation)
        if row is None:
            raise NotGranted(generation)
        grant = self._verified(row, self._holder)
        return open_grant(keys.gateway.delivery, session.store_id, generation, self._holder, grant.sealed)

    def _has(self, generation: int, holder: int) -> bool:
        row = run(self._session.db, _ONE, holder, generation).fetchone()
        try:
            return row is not None and bool(self._verified(row, holder))
        except TamperedError:
            return False

    def _put(self, generation: int, gateway: Any, keys: GenerationKeys) -> None:
        session = self._session
        authority = session.keys.authority
        assert authority is not None
        public = hybrid_public(as_bytes(gateway.delivery_key))
        sealed = seal_grant(keys, session.store_id, generation, gateway.id, public)
        data = statement(_ROLE, session.store_id, generation, gateway.id, sealed)
        signature = sign(session.store_id, data, Signer(AUTHORITY, authority))
        run(session.db, "DELETE FROM key_grant WHERE generation = ? AND holder = ?", generation, gateway.id)
        run(session.db, _INSERT, generation, gateway.id, sealed, signature)

    def _verified(self, row: Any, holder: int) -> _Grant:
        what = f"the grant of configuration key {row[0]} to gateway {holder}"
        with sound(what):
            grant = _Grant(row[0], as_bytes(row[1]), as_bytes(row[2]))
            if not isinstance(grant.generation, int) or grant.generation < 1:
                raise TamperedError(what, "this generation does not exist")
            fields = (grant.generation, holder, grant.sealed)
            self._signers.verify(grant.signature, what, _ROLE, *fields, right=Right.KEYS)
        return grant
