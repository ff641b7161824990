"""The problems that gateways reported in the audit trail and have not reported as solved."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from store.authority.audit import events
from store.enrolment.enrolled import gateways
from store.terms.gateway_events import (
    BACKUP_AVAILABLE,
    BACKUP_UNAVAILABLE,
    ENGINE_BACK,
    ENGINE_DOWN,
    METRICS_NOT_SERVED,
    METRICS_SERVED,
    STARTED,
    STOPPED,
    STORE_IN_USE,
    STORE_OLDER,
)

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: The event that ends each problem.
_ENDS = {
    ENGINE_DOWN: ENGINE_BACK,
    METRICS_NOT_SERVED: METRICS_SERVED,
    BACKUP_UNAVAILABLE: BACKUP_AVAILABLE,
    STORE_OLDER: STORE_IN_USE,
}
#: Max events searched.
_LOOKED_THROUGH = 300


class Trouble(NamedTuple):
    """A problem that a gateway reported at `at` (Unix ms). `what` is the event's action; text is NOT safe."""

    gateway: str
    at: int
    what: str
    detail: str


def troubles(vault: Vault) -> list[Trouble]:
    """List the standing troubles, newest first. Stopped and revoked gateways, and old troubles, are left out.

    Raises TamperedError if the trail does not verify, UnlockError if the keys at hand cannot read it.
    """
    found: list[Trouble] = []
    told: set[tuple[str, str]] = set()
    ended = {each.name for each in gateways(vault, on_error=lambda _: None) if each.revoked}
    for event in events(vault, _LOOKED_THROUGH):
        if event.operator:
            continue
        if event.action in (STARTED, STOPPED):
            ended.add(event.detail)
        gateway, _, detail = event.detail.partition(": ")
        if gateway in ended or event.action not in (*_ENDS, *_ENDS.values()):
            continue
        # An engine's event begins with the engine's name; metrics and Backup have one problem each.
        about = (gateway, (detail if event.action in (ENGINE_DOWN, ENGINE_BACK) else event.action).partition(" ")[0])
        if about in told:
            continue
        told.add(about)
        if event.action in _ENDS:
            found.append(Trouble(gateway, event.at, event.action, detail))
    return found
