"""A gateway that begins to deliver: it says on this machine that it runs, and takes back what its last process held."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from store.delivery.leases import take_back
from store.enrolment.enrolled import beat
from store.enrolment.presence import Presence
from store.gateway.seen import seen_path
from store.terms.errors import MailholdError, UnlockError

if TYPE_CHECKING:
    from store.vault.vault import Vault


def arrive(vault: Vault, credentials: Path) -> Presence:
    """Hold the lock of the vault's own gateway, and end the leases of its last process. Blocking.

    The lock of a store in PostgreSQL lies where the gateway with these credentials keeps what it has seen.

    Where the store does not answer, these leases end by their time. Raises UnlockError where the keys are no gateway's.
    """
    gateway = vault.keys.gateway
    if gateway is None:
        raise UnlockError("The keys at hand are no gateway's.")
    presence = Presence(vault.location, gateway.gateway_id, seen_path(credentials).with_suffix(".running"))
    if presence.former:
        with suppress(MailholdError), vault.write():
            take_back(vault, gateway.gateway_id, presence.former)
    return presence


def say_alive(vault: Vault, presence: Presence) -> None:
    """Say that the gateway runs, on this machine and in the store. Raises StoreUnavailable."""
    presence.touch()
    beat(vault)
