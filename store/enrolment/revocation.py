"""Revoke a gateway's enrolment, so that stolen credentials can sign nothing new.

Timestamps cannot separate honest from forged epochs: a stolen key can sign any date. So the operator's keys freeze what
exists: every epoch of the gateway is verified and signed again with a new signing key, which is then forgotten; an open
epoch is closed; the gateway's tombstones are signed by the authority. The gateway's row then has the new key, so
everything that the stolen key signs fails to verify, whatever its date. The configuration is sealed with a new key,
which is granted to the other gateways.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from store.authority.audit import record_event
from store.authority.configuration import seal_anew
from store.database.connection import as_bytes, run, run_many, sound
from store.helpers.clock import now_ms
from store.sealing.epochs import Closing
from store.sealing.keys import LOCAL_ID
from store.sealing.signatures import AUTHORITY
from store.sealing.statements import verify
from store.terms.errors import TamperedError, UnlockError, UsageError
from store.vault import live_deliveries
from store.vault.deleting import tombstone_statement, verified_runs
from store.vault.epochs import opening_of
from store.vault.gateway_rows import gateway_statement, is_revoked, verified

if TYPE_CHECKING:
    from store.vault.vault import Vault

REVOKED = "gateway revoked"


class Revocation(NamedTuple):
    """Result of a revocation: the gateway's id, how many epochs stay readable, and the deliveries waiting for it.

    `refused` lists rows that did not verify before, and so are not signed again.
    """

    gateway_id: int
    epochs: int
    waiting: list[int]
    refused: list[tuple[str, str]]


def revoke(vault: Vault, name: str, *, operator: str = "") -> Revocation:
    """Revoke the gateway `name`. What it sealed stays readable; what its credentials seal from now on is refused.

    Raises UsageError where there is no such gateway or it is revoked already, TamperedError where its row does not
    verify, UnlockError where the vault is not an operator's.
    """
    authority = vault.keys.authority
    if authority is None or vault.keys.read_private is None:
        raise UnlockError("This key cannot revoke a gateway. Unlock the store with an operator key.")
    row = _enrolled(vault, name)
    seal = _Seal(vault, Ed25519PrivateKey.generate(), row)
    seal.prepare()
    with vault.write():
        if as_bytes(_enrolled(vault, name).signature) != as_bytes(row.signature):
            raise TamperedError(f"gateway {row.id}", "its enrolment was changed in the meantime")
        seal.write()
        row.signing_key = seal.key.public_key().public_bytes_raw()
        row.delivery_key = seal.former
        row.alive_at = 0
        row.signature = authority.sign(gateway_statement(vault.store_id, row))
        row.save()
        _take_away(vault, row.id)
        record_event(vault, REVOKED, operator=operator, detail=name)
        vault.witness.sign_for(row.id)
        waiting = live_deliveries.waiting_for(vault.db, row.id)
    return Revocation(row.id, seal.count, waiting, seal.refused)


def check_revocable(vault: Vault, name: str) -> None:
    """Raise what `revoke` raises for a gateway that does not exist, is revoked already, or does not verify."""
    _enrolled(vault, name)


def _take_away(vault: Vault, gateway_id: int) -> None:
    """Seal the configuration with a new key that the gateway does not get.

    Delete its grants, release rows and `hello` rows.
    """
    vault.grants.renew()
    seal_anew(vault)
    run(vault.db, "DELETE FROM key_grant WHERE holder = ?", gateway_id)
    run(vault.db, "DELETE FROM release WHERE gateway_id = ?", gateway_id)
    run(vault.db, "DELETE FROM hello WHERE gateway_id = ANY(?)", [gateway_id, -gateway_id])


def _enrolled(vault: Vault, name: str) -> Any:
    table = vault.models.Gateway
    with vault.reading():
        row: Any = table.get_or_none((table.name == name) & (table.id != LOCAL_ID))
    if row is None:
        raise UsageError(f"There is no gateway {name[:80]!r}. `mailhold gateway list` lists them.")
    verified(vault, row)
    if is_revoked(row):
        raise UsageError(f"Gateway {name} is already revoked.")
    return row


class _Seal:
    """Signs the verified rows of a gateway again, most of them before the transaction that writes the signatures."""

    def __init__(self, vault: Vault, key: Ed25519PrivateKey, gateway: Any) -> None:
        self.key = key
        self.former = as_bytes(gateway.signing_key)
        self.count = 0
        self.refused: list[tuple[str, str]] = []
        self._vault = vault
        self._gateway_id = gateway.id
        self._verifier = Ed25519PublicKey.from_public_bytes(self.former)
        #: New signatures by the old ones: of closed epochs (opening, closing), and of tombstones.
        self._epochs: dict[tuple[int, bytes, bytes], tuple[bytes, bytes]] = {}
        self._tombstones: dict[tuple[int, bytes], bytes] = {}

    def prepare(self) -> None:
        """Sign closed epochs and tombstones again. Rows that do not verify are left to `write`, which reports them."""
        vault = self._vault
        epochs, tombstones = vault.models.Epoch, vault.models.Tombstone
        for sql, table, make in (
            ("SELECT id FROM epoch WHERE gateway_id = ? ORDER BY id", epochs, self._prepare_epoch),
            ("SELECT id FROM tombstone WHERE gateway_id = ? ORDER BY id", tombstones, self._prepare_tombstone),
        ):
            with vault.reading():
                ids = [each for (each,) in run(vault.db, sql, self._gateway_id).fetchall()]
            for each in ids:
                with suppress(TamperedError), vault.reading(), sound(f"row {each}"):
                    if (row := table.get_or_none(table.id == each)) is not None:
                        make(row)

    def write(self) -> None:
        """Write the new signatures into the rows, and close open epochs. In the caller's transaction."""
        vault, gateway_id = self._vault, self._gateway_id
        sql = "SELECT id, opening_signature, closing_signature FROM epoch WHERE gateway_id = ? ORDER BY id"
        ready = []
        for epoch_id, opening, closing in run(vault.db, sql, gateway_id).fetchall():
            new = self._epochs.get((epoch_id, _raw(opening), _raw(closing)))
            if new is not None:
                ready.append((*new, epoch_id))
            else:
                self._naming(f"epoch {epoch_id}", partial(self._close, epoch_id))
        run_many(vault.db, "UPDATE epoch SET opening_signature = ?, closing_signature = ? WHERE id = ?", ready)
        self.count += len(ready)
        sql = "SELECT id, signature FROM tombstone WHERE gateway_id = ? ORDER BY id"
        buried = []
        for row_id, signature in run(vault.db, sql, gateway_id).fetchall():
            if (row_id, _raw(signature)) not in self._tombstones:
                row = vault.models.Tombstone.get_by_id(row_id)
                self._naming(f"tombstone {row_id}", partial(self._prepare_tombstone, row))
            if signed := self._tombstones.get((row_id, _raw(signature))):
                buried.append((AUTHORITY, signed, row_id))
        run_many(vault.db, "UPDATE tombstone SET gateway_id = ?, signature = ? WHERE id = ?", buried)

    def _naming(self, what: str, work: Callable[[], None]) -> None:
        try:
            with sound(what):
                work()
        except TamperedError as error:
            self.refused.append((what, error.why))

    def _prepare_epoch(self, row: Any) -> None:
        """Sign a closed epoch's row again; do nothing for an open one."""
        what = f"epoch {row.id}"
        opening = opening_of(self._vault.store_id, row)
        verify(self._verifier, as_bytes(row.opening_signature), opening.data(), what)
        if row.closing_signature is None:
            return
        closing = Closing(opening, row.count, as_bytes(row.chain_head), row.closed_at)
        verify(self._verifier, as_bytes(row.closing_signature), closing.data(), what)
        old = (row.id, as_bytes(row.opening_signature), as_bytes(row.closing_signature))
        self._epochs[old] = (self.key.sign(opening.data()), self.key.sign(closing.data()))

    def _close(self, epoch_id: int) -> None:
        """Close an open epoch after its last step that is a copy or was deleted."""
        row = self._vault.models.Epoch.get_by_id(epoch_id)
        if row.closing_signature is not None:
            self._prepare_epoch(row)  # Closed since `prepare`, or it does not verify.
        else:
            row.count = self._served(row.id)
            row.chain_head = self._vault.epoch_reader.read(row).head(row.count)
            row.closed_at = now_ms()
        opening = opening_of(self._vault.store_id, row)
        closing = Closing(opening, row.count, as_bytes(row.chain_head), row.closed_at)
        row.opening_signature = self.key.sign(opening.data())
        row.closing_signature = self.key.sign(closing.data())
        row.save()
        self.count += 1

    def _served(self, epoch_id: int) -> int:
        tombstones = self._vault.models.Tombstone
        steps = [self._vault.newest_step(epoch_id)]
        for row in tombstones.select().order_by(tombstones.id):
            with suppress(TamperedError):  # An unverified tombstone proves no deletion.
                steps += [
                    each.step + each.length - 1 for each in verified_runs(self._vault, row) if each[1] == epoch_id
                ]
        return max(steps) + 1

    def _prepare_tombstone(self, row: Any) -> None:
        """Sign a gateway's tombstone as the authority, so that none forged later with the gateway's key is accepted."""
        verified_runs(self._vault, row)
        authority = self._vault.keys.authority
        assert authority is not None
        operator = None if row.sealed_operator is None else as_bytes(row.sealed_operator)
        data = tombstone_statement(self._vault.store_id, row.at, row.cause, AUTHORITY, as_bytes(row.entries), operator)
        self._tombstones[row.id, as_bytes(row.signature)] = authority.sign(data)


def _raw(value: Any) -> bytes:
    """Return a signature as a lookup key; b"" if it is not bytes."""
    return bytes(value) if isinstance(value, bytes | memoryview) else b""
