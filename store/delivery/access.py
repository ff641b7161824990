"""The keys and settings that a delivery worker needs, apart from the database.

`StoreAccess` is for a program that has unlocked the store (console, command). A gateway gives its worker an `Access` of
its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from store.authority.acceptance import acceptances, forgone
from store.authority.settings import Settings, read_settings
from store.delivery.orders import Order, open_order
from store.sealing.signatures import Signer, sign
from store.sealing.statements import statement
from store.terms.errors import UnlockError

if TYPE_CHECKING:
    from store.vault.vault import Vault


class Access(Protocol):
    """Rights of one gateway: to open the orders addressed to it, and the copies that they release."""

    @property
    def gateway_id(self) -> int:
        """The gateway whose deliveries are sent."""

    def sign(self, role: str, *fields: int | bytes | str) -> bytes:
        """Sign `sig(role, field…)` with the gateway's key."""

    def settings(self) -> Settings:
        """Read the settings in force. Raises TamperedError, StoreUnavailable."""

    def order(self, row: Any) -> Order:
        """Open and verify the order of a delivery row. Raises TamperedError."""

    def forgone(self, order: Order) -> bool:
        """Whether the order predates a restored store's acceptance and was not kept in it."""

    def message(self, row: Any, order: Order) -> bytes:
        """Open and verify the message that the order releases. Raises TamperedError, CopyMissing."""


class StoreAccess:
    """Access of the gateway `local`, whose keys every unlocked store has.

    Raises UnlockError where the vault was opened with keys that cannot deliver.
    """

    def __init__(self, vault: Vault) -> None:
        keys = vault.keys
        if keys.gateway is None:
            raise UnlockError("This key cannot deliver. Unlock the store with an operator key.")
        self._vault = vault
        self._gateway = keys.gateway
        self.gateway_id = keys.gateway.gateway_id

    def sign(self, role: str, *fields: int | bytes | str) -> bytes:
        """Sign `sig(role, field…)` with the gateway's key."""
        signer = Signer(self.gateway_id, self._gateway.signing)
        return sign(self._vault.store_id, statement(role, self._vault.store_id, *fields), signer)

    def settings(self) -> Settings:
        return read_settings(self._vault)

    def order(self, row: Any) -> Order:
        return open_order(self._vault, row, self._gateway.delivery)

    def forgone(self, order: Order) -> bool:
        """Whether the order predates a restored store's acceptance and was not kept in it."""
        return forgone(acceptances(self._vault), order.delivery_id, order.ordered_at)

    def message(self, row: Any, order: Order) -> bytes:
        """Open the message that the order releases. Raises TamperedError if it is another one, CopyMissing."""
        return self._vault.released_raw(row, order.sha256)
