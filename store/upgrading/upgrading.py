"""Upgrade a store to this version's format: one step per format, each in one transaction.

If the upgrade is killed, the store is in one format or the other, and another run continues from there. It refuses
while a gateway of the former format runs, which would keep writing in that format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from store.authority.audit import record_event
from store.authority.heads import first_heads
from store.database.connection import pragma, pragma_to_its_end, run, sound
from store.database.tables import FORMAT, TABLES, TABLES_OF
from store.enrolment.enrolled import ALIVE_MS, gateways
from store.enrolment.presence import is_here
from store.helpers.clock import TOLERANCE_MS, now_ms
from store.opening.opening import sign_store
from store.terms.errors import StoreError, StoreUnavailable, TamperedError, UnlockError
from store.upgrading.format_2 import to_format_2
from store.vault.vault import Vault

UPGRADED = "store upgraded"
#: By format: the function that upgrades a store to the next format, in an open transaction.
STEPS: dict[int, Callable[[Vault], None]] = {1: to_format_2}


class RunningGateway(NamedTuple):
    """A gateway that recently reported to be running. `heard_at` is Unix ms. The name is NOT safe for a terminal."""

    name: str
    heard_at: int


class GatewaysRun(StoreError):
    """Gateways of the former format are running, so the store is not upgraded."""

    def __init__(self, running: list[RunningGateway]) -> None:
        self.running = running
        names = ", ".join(each.name for each in running)
        super().__init__(f"The store cannot be upgraded while gateways are running: {names}. Stop them first.")


def format_of(vault: Vault) -> int:
    """Read the format in the store's row. Raises TamperedError if it has none."""
    with vault.reading(), sound("the store's row"):
        row = run(vault.db, "SELECT format FROM store").fetchone()
        if row is None or not isinstance(row[0], int):
            raise TamperedError("the store's row", "it has no format number")
        return int(row[0])


def running_gateways(vault: Vault) -> list[RunningGateway]:
    """List the gateways that run on this machine or recently reported to be running. Format 1 has no lock for that."""
    found = gateways(vault, on_error=lambda _error: None)  # Rows that do not verify are reported by `check`.
    now = now_ms()
    return [
        RunningGateway(each.name, each.alive_at)
        for each in found
        if not each.revoked and (-TOLERANCE_MS <= now - each.alive_at < ALIVE_MS or is_here(vault, each.id))
    ]


def upgrade(vault: Vault, *, operator: str = "") -> list[int]:
    """Upgrade an operator's open store to this version's format. Returns the formats that it had before, oldest first.

    Raises GatewaysRun, UnlockError where the vault is not an operator's, and StoreUnavailable.
    """
    if vault.keys.seed is None:
        raise UnlockError("This key cannot upgrade the store. Unlock the store with an operator key.")
    done = []
    while (number := format_of(vault)) < FORMAT:
        vault.tables.tables = TABLES_OF[number]
        try:
            _step(vault, number, operator)
        except StoreUnavailable:
            if format_of(vault) == number:
                raise
            continue  # Another process has upgraded it.
        done.append(number)
    vault.tables.tables = TABLES
    if done:
        with vault.reading():
            pragma_to_its_end(vault.db, "wal_checkpoint(TRUNCATE)")
    return done


def _step(vault: Vault, number: int, operator: str) -> None:
    with vault.write():
        if running := running_gateways(vault):
            raise GatewaysRun(running)
        STEPS[number](vault)
        sign_store(vault, number + 1)
        pragma(vault.db, f"user_version = {number + 1}")
        record_event(vault, UPGRADED, operator=operator, detail=f"format {number} -> {number + 1}")
        if number + 1 == FORMAT:
            first_heads(vault)  # Last: the heads state what the store holds.
