"""The gateways of a store: which are enrolled, which are running, and which one sends releases."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from store.database.connection import as_bytes, run, sound
from store.enrolment.presence import hold, is_gone
from store.helpers.clock import TOLERANCE_MS, now_ms
from store.sealing.keys import LOCAL_ID, Target, hybrid_public
from store.terms.errors import TamperedError, UnlockError
from store.vault.gateway_rows import is_revoked, verified

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Seconds between a gateway's heartbeats, and age (ms) up to which the last one counts.
BEAT_SECONDS = 10.0
ALIVE_MS = 30_000


class Running(StrEnum):
    """Whether a gateway runs. UNKNOWN: its last heartbeat is in the future, so its clock or this one is wrong."""

    YES = "running"
    NO = "not running"
    UNKNOWN = "unknown: its last sign of life is in the future, so a clock is wrong"


class GatewayState(NamedTuple):
    """An enrolled gateway. Times are Unix ms; `alive_at` 0: it stopped, or never ran. The name is NOT safe.

    A `revoked` gateway keeps its row, which is needed to read what it sealed before.
    """

    id: int
    name: str
    enrolled_at: int
    alive_at: int
    revoked: bool


def gateways(vault: Vault, *, on_error: Callable[[TamperedError], None] | None = None) -> list[GatewayState]:
    """List the enrolled gateways except `local`, whose keys every unlocked store has.

    A gateway that does not verify raises TamperedError or, if `on_error` is given, is left out and reported to it.
    """
    table = vault.models.Gateway
    with vault.reading():
        rows = list(table.select().where(table.id != LOCAL_ID).order_by(table.id))
    found = []
    for row in rows:
        try:
            verified(vault, row)
        except TamperedError as error:
            if on_error is None:
                raise
            on_error(error)
        else:
            found.append(GatewayState(row.id, row.name, row.enrolled_at, row.alive_at, is_revoked(row)))
    return found


def is_alive(vault: Vault, gateway_id: int, now: int | None = None) -> bool:
    """Whether a gateway is not revoked and running, at the time `now` (Unix ms; None: now)."""
    table = vault.models.Gateway
    with vault.reading():
        row = table.get_or_none(table.id == gateway_id)
    return row is not None and not is_revoked(row) and running(vault, gateway_id, row.alive_at, now) is Running.YES


def running(vault: Vault, gateway_id: int, alive_at: int, now: int | None = None) -> Running:
    """Return whether the gateway runs at the time `now`, by its last heartbeat (Unix ms) and its lock."""
    moment = now_ms() if now is None else now
    if alive_at > moment + TOLERANCE_MS:
        return Running.UNKNOWN
    if alive_at <= moment - ALIVE_MS or is_gone(vault, gateway_id, alive_at):
        return Running.NO
    return Running.YES


def delivery_target(vault: Vault, now: int | None = None) -> Target:
    """Return the gateway that sends releases: the running one with the newest heartbeat, else this vault's own.

    Skips a gateway that is revoked or does not verify: nothing may be sealed to it. `now` is in Unix milliseconds.
    Raises UnlockError where the keys at hand cannot release a copy.
    """
    moment = now_ms() if now is None else now
    own = vault.keys.gateway
    if own is None or vault.keys.authority is None:
        raise UnlockError("This key cannot release a copy. Unlock the store with an operator key.")
    table = vault.models.Gateway
    alive = (table.id != LOCAL_ID) & (table.alive_at > moment - ALIVE_MS)
    with vault.reading():
        rows = list(table.select().where(alive).order_by(table.alive_at.desc()))
    for row in rows:
        if running(vault, row.id, row.alive_at, moment) is not Running.YES:
            continue
        try:
            verified(vault, row)
            with sound(f"gateway {row.id}"):
                if is_revoked(row):
                    continue
                return Target(row.id, hybrid_public(as_bytes(row.delivery_key)), row.name)
        except TamperedError:
            continue  # `check` reports it.
    return Target(own.gateway_id, own.delivery.public_key())


def beat(vault: Vault, *, alive: bool = True) -> None:
    """Write a heartbeat of the vault's gateway, or that it stops. Raises UnlockError where the vault has none."""
    gateway = vault.keys.gateway
    if gateway is None:
        raise UnlockError("This key is not a gateway's: it takes a gateway's credentials.")
    with vault.write():
        if alive:
            hold(vault, gateway.gateway_id)
        run(vault.db, "UPDATE gateway SET alive_at = ? WHERE id = ?", now_ms() if alive else 0, gateway.gateway_id)
