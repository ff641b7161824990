"""Upgrading a store to this release's format: a chain of steps, one a format, each a transaction that is whole or not.

Whoever is killed in the midst leaves the store in the one format or the other; run again, it goes on from there. While
a gateway runs that knows the former format alone, nothing is done: it would go on writing what this release does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from store.authority.audit import record_event
from store.authority.heads import first_heads
from store.database.connection import pragma, pragma_to_its_end, run, sound
from store.database.tables import FORMAT, TABLES, TABLES_OF
from store.enrolment.enrolled import ALIVE_MS, gateways
from store.helpers.clock import TOLERANCE_MS, now_ms
from store.opening.opening import sign_store
from store.terms.errors import StoreError, StoreUnavailable, TamperedError, UnlockError
from store.upgrading.format_2 import to_format_2
from store.vault.vault import Vault

UPGRADED = "store upgraded"
#: What takes a store of each format to the next one, in a transaction that is open.
STEPS: dict[int, Callable[[Vault], None]] = {1: to_format_2}


class RunningGateway(NamedTuple):
    """A gateway that said lately that it is running. `heard_at` is Unix ms. The name is NOT safe for a terminal."""

    name: str
    heard_at: int


class GatewaysRun(StoreError):
    """Gateways of the former format are running, so the store is not upgraded under them."""

    def __init__(self, running: list[RunningGateway]) -> None:
        self.running = running
        names = ", ".join(each.name for each in running)
        super().__init__(f"Running gateways keep the store from being upgraded: {names}. Stop them first.")


def format_of(vault: Vault) -> int:
    """Read the format in the store's row. Raises TamperedError if it has none."""
    with vault.reading(), sound("the store's row"):
        row = run(vault.db, "SELECT format FROM store").fetchone()
        if row is None or not isinstance(row[0], int):
            raise TamperedError("the store's row", "it names no format")
        return int(row[0])


def running_gateways(vault: Vault) -> list[RunningGateway]:
    """List the gateways that lately reported to be running. Those of format 1 hold no lock that would prove it."""
    found = gateways(vault, on_error=lambda _error: None)  # What does not verify is `check`'s to report.
    now = now_ms()
    alive = [each for each in found if not each.revoked and -TOLERANCE_MS <= now - each.alive_at < ALIVE_MS]
    return [RunningGateway(each.name, each.alive_at) for each in alive]


def upgrade(vault: Vault, *, operator: str = "") -> list[int]:
    """Bring an operator's open store to this release's format. Returns the formats that it went through, oldest first.

    Raises GatewaysRun, UnlockError where the vault is not an operator's, and StoreUnavailable.
    """
    if vault.keys.seed is None:
        raise UnlockError("The keys at hand cannot upgrade the store: unlock it as an operator.")
    done = []
    while (number := format_of(vault)) < FORMAT:
        vault.tables.tables = TABLES_OF[number]
        try:
            _step(vault, number, operator)
        except StoreUnavailable:
            if format_of(vault) == number:
                raise
            continue  # Somebody else was quicker.
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
            first_heads(vault)  # Last, since they say what there is.
