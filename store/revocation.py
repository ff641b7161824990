"""Taking an enrolment back, so that stolen credentials are good for nothing new.

No time can say what a gateway sealed before it was revoked: whoever has its key writes any time he likes. So the
operator's keys seal off what is there: every epoch of the gateway is verified and signed anew under a signing key that
is made for this and forgotten at once, an epoch that is open is closed, and its tombstones become the authority's. The
gateway's row then names the new key, and everything that the stolen one signs fails to verify, whatever its date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from store.audit import record_event
from store.clock import now_ms
from store.database import as_bytes, sound
from store.errors import TamperedError, UnlockError, UsageError
from store.gateways import is_revoked, verified
from store.keys import LOCAL_ID
from store.sealing import Closing, verify
from store.vault.deleting import AUTHORITY, tombstone_statement, verified_runs
from store.vault.epochs import gateway_statement, opening_of

if TYPE_CHECKING:
    from store.vault import Vault

REVOKED = "gateway revoked"


class Revocation(NamedTuple):
    """What became of a gateway: its number, how many epochs stay readable, and the deliveries that wait for it.

    `refused` names what did not verify before, and so does not afterwards.
    """

    gateway_id: int
    epochs: int
    waiting: list[int]
    refused: list[tuple[str, str]]


def revoke(vault: Vault, name: str, *, operator: str = "") -> Revocation:
    """Revoke the gateway `name`. What it sealed stays readable; what its credentials seal from now on is refused.

    Raises UsageError where there is no such gateway or it is revoked already, TamperedError where its enrolment does
    not verify, UnlockError where the vault is not an operator's.
    """
    authority = vault.keys.authority
    if authority is None or vault.keys.read_private is None:
        raise UnlockError("The keys at hand cannot revoke a gateway: unlock the store as an operator.")
    table, deliveries = vault.models.Gateway, vault.models.Delivery
    seal = _Seal(vault, Ed25519PrivateKey.generate())
    with vault.write():
        row: Any = table.get_or_none((table.name == name) & (table.id != LOCAL_ID))
        if row is None:
            raise UsageError(f"There is no gateway {name[:80]!r}: `mailhold gateway list` names those there are.")
        verified(vault, row)
        if is_revoked(row):
            raise UsageError(f"Gateway {name} is revoked already.")
        former = as_bytes(row.signing_key)
        seal.epochs(row.id, Ed25519PublicKey.from_public_bytes(former))
        seal.tombstones(row.id)
        row.signing_key = seal.key.public_key().public_bytes_raw()
        row.delivery_key = former
        row.alive_at = 0
        row.signature = authority.sign(gateway_statement(vault.store_id, row))
        row.save()
        record_event(vault, REVOKED, operator=operator, detail=name)
        live = deliveries.finished_at.is_null() & (deliveries.gateway_id == row.id)
        waiting = [each for (each,) in deliveries.select(deliveries.id).where(live).order_by(deliveries.id).tuples()]
    return Revocation(row.id, seal.count, waiting, seal.refused)


class _Seal:
    """Signs anew what a gateway signed, as far as it verifies. Inside one write transaction."""

    def __init__(self, vault: Vault, key: Ed25519PrivateKey) -> None:
        self.key = key
        self.count = 0
        self.refused: list[tuple[str, str]] = []
        self._vault = vault

    def epochs(self, gateway_id: int, former: Ed25519PublicKey) -> None:
        table = self._vault.models.Epoch
        ids = table.select(table.id).where(table.gateway_id == gateway_id).order_by(table.id).tuples()
        for (epoch_id,) in list(ids):
            what = f"epoch {epoch_id}"
            try:
                with sound(what):
                    self._epoch(table.get_by_id(epoch_id), former, what)
                    self.count += 1
            except TamperedError as error:
                self.refused.append((what, error.why))

    def _epoch(self, row: Any, former: Ed25519PublicKey, what: str) -> None:
        opening = opening_of(self._vault.store_id, row)
        verify(former, as_bytes(row.opening_signature), opening.data(), what)
        if row.closing_signature is None:
            row.count = self._served(row.id)
            row.chain_head = self._vault.epoch_reader.read(row).head(row.count)
            row.closed_at = now_ms()
        closing = Closing(opening, row.count, as_bytes(row.chain_head), row.closed_at)
        if row.closing_signature is not None:
            verify(former, as_bytes(row.closing_signature), closing.data(), what)
        row.opening_signature = self.key.sign(opening.data())
        row.closing_signature = self.key.sign(closing.data())
        row.save()

    def _served(self, epoch_id: int) -> int:
        """The steps of an open epoch up to the last one that is a copy or was deleted."""
        messages, tombstones = self._vault.models.Message, self._vault.models.Tombstone
        newest = messages.select(messages.step).where(messages.epoch_id == epoch_id).order_by(messages.step.desc())
        steps = [step for (step,) in newest.limit(1).tuples()]
        for row in tombstones.select().order_by(tombstones.id):
            try:
                steps += [run.step + run.length - 1 for run in verified_runs(self._vault, row) if run[1] == epoch_id]
            except TamperedError:
                continue  # It buries nothing.
        return max(steps, default=-1) + 1

    def tombstones(self, gateway_id: int) -> None:
        """Make the gateway's tombstones the authority's: a later one cannot pass for one of them."""
        vault, table = self._vault, self._vault.models.Tombstone
        assert vault.keys.authority is not None
        for row in list(table.select().where(table.gateway_id == gateway_id).order_by(table.id)):
            try:
                verified_runs(vault, row)
            except TamperedError as error:
                self.refused.append((error.what, error.why))
                continue
            operator = None if row.sealed_operator is None else as_bytes(row.sealed_operator)
            data = tombstone_statement(vault.store_id, row.at, row.cause, AUTHORITY, as_bytes(row.entries), operator)
            row.gateway_id, row.signature = AUTHORITY, vault.keys.authority.sign(data)
            row.save()
