"""Start of a gateway that delivers: it marks itself as running on this machine, and ends its last process's leases."""

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
    """Lock the vault's own gateway on this machine, and end the leases of its last process. Blocking.

    For a store in PostgreSQL, the lock file is where the gateway with these credentials keeps what it has seen. If the
    store does not answer, the leases end by their time limit. Raises UnlockError if the keys are not a gateway's.
    """
    gateway = vault.keys.gateway
    if gateway is None:
        raise UnlockError("This key is not a gateway's: it takes a gateway's credentials.")
    presence = Presence(vault.location, gateway.gateway_id, seen_path(credentials).with_suffix(".running"))
    if presence.former:
        with suppress(MailholdError), vault.write():
            take_back(vault, gateway.gateway_id, presence.former)
    return presence


def say_alive(vault: Vault, presence: Presence) -> None:
    """Mark the gateway as running, on this machine and in the store. Raises StoreUnavailable."""
    presence.touch()
    beat(vault)
