"""The delivery queue for operators: release copies. Sending again and cancelling are in `retrying`.

All checks are made here, for every caller: a relay is set, the copy's authenticated record permits the release, there
is at least one recipient, and nobody gets a copy twice unless the operator chose that. Each release is one delivery row
with a signed order, and one row per recipient. Workers (`store.delivery.worker`) send them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from store.authority.acts import Act
from store.authority.settings import Settings, read_settings
from store.database.clock import decides_ms
from store.delivery.choosing import NO_ENVELOPE, NOT_LOCAL, Choice, Plan, chosen_of, plans, shared_out
from store.delivery.held import Again, LeftOut, held_of
from store.delivery.listing import (
    Delivery,
    RecipientState,
    deliveries,
    delivery_of,
    queue_length,
)
from store.delivery.outbox import hold_ms
from store.delivery.outcomes import Unsealed
from store.delivery.placing import INFECTED, ORDER_LIFE, place, placed_words
from store.delivery.recipients import Recipient, recipients_of
from store.delivery.retrying import NO_RELAY, RetryPlan, RetryRecipient, cancel, retry, retry_plan
from store.enrolment.enrolled import delivery_target
from store.terms.errors import NoRelay
from store.terms.records import Copy

if TYPE_CHECKING:
    from store.vault.vault import Vault

__all__ = [
    "NOT_LOCAL",
    "NO_ENVELOPE",
    "ORDER_LIFE",
    "Deliverable",
    "Delivery",
    "LeftOut",
    "Recipient",
    "RecipientState",
    "ReleaseResult",
    "RetryPlan",
    "RetryRecipient",
    "can_deliver",
    "cancel",
    "deliveries",
    "delivery_of",
    "queue_length",
    "recipients_of",
    "release",
    "retry",
    "retry_plan",
]

#: The name of a release in the trail.
QUEUED = "delivery queued"
_BATCH = 25


class Deliverable(NamedTuple):
    """Whether copies can be delivered. `blocked` is why none can, or ""; `refused` are copies that cannot, and why.

    `dangerous` is the number of infected and probably infected copies among all of them.
    """

    blocked: str
    refused: list[tuple[int, str]]
    dangerous: int


@dataclass
class ReleaseResult:
    """The deliveries queued by `release` (ids), the copies refused and why, and those not reached.

    `left_out` are recipients who have a copy, may have it or wait for it, and were not chosen to get it again. A copy
    whose recipients were all left out is in `withheld`, not in `refused`. `senders` are the names of the gateways that
    send, each once, "" for a console or `mailhold queue send`. The first delivery is held until `held_until` (Unix ms,
    by the deciding clock), for `hold` ms: 0 for at once.
    """

    queued: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    not_reached: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    withheld: list[int] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    held_until: int = 0
    hold: int = 0


def can_deliver(vault: Vault, settings: Settings, copies: Sequence[Copy]) -> Deliverable:
    """Check what `release` would refuse `copies` for, as far as known before recipients are chosen."""
    dangerous = [copy.id for copy in copies if copy.record.dangerous]
    refused = [] if settings.allow_infected else [(copy_id, INFECTED) for copy_id in dangerous]
    blocked = "" if settings.relay else NO_RELAY
    if not blocked and copies and len(refused) == len(copies):
        blocked = "The delivery of infected messages is not allowed in Backup settings."
    return Deliverable(blocked, refused, len(dangerous))


def release(
    vault: Vault,
    ids: Sequence[int],
    *,
    original: bool,
    additional: Sequence[str] = (),
    left_out: Collection[str] = (),
    from_header: bool = False,
    outsiders: Collection[str] = (),
    again: Collection[str] | bool = (),
    spared: Mapping[int, str] = MappingProxyType({}),
    lookalikes: bool = False,
    operator: str = "",
    hold: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ReleaseResult:
    """Queue copies for delivery, durably, one delivery per copy.

    Copies go to their `original` recipients, except the addresses `left_out`, and to the `additional` ones. Original
    recipients are those of the envelope. If none is known and `from_header` is set, they are the header's addresses in
    local domains, and those chosen in `outsiders`. A mailbox that has a copy, may have it or waits for it gets it again
    only if it is in `again` (True: all). Copies in `spared` (by id, with the reason; see `store.delivery.lookalikes`)
    are left out unless `lookalikes` is set. Addresses that differ only in case are one. Deliveries are held for `hold`
    (ms, an hour at most; None: as set in the settings): see `store.delivery.outbox`. A release of more than one batch
    is recorded in the trail before it begins (`store.authority.acts`).

    Raises NoRelay, NoRecipients (nobody was chosen at all) and AddressError; reasons against single copies are in the
    result.
    """
    settings = read_settings(vault)
    if not settings.relay:
        raise NoRelay(NO_RELAY)
    chosen = chosen_of(settings, Choice(original, additional, left_out, from_header, outsiders, (), spared, lookalikes))
    twice = Again(again)
    wanted = list(dict.fromkeys(ids))
    result = ReleaseResult(hold=hold_ms(settings, len(wanted)) if hold is None else hold)
    with Act(vault, QUEUED, operator=operator, copies=wanted, one_part=_BATCH) as act:
        for at in range(0, len(wanted), _BATCH):
            if cancelled and cancelled():
                result.not_reached, act.stopped = wanted[at:], "cancelled"
                break
            batch = wanted[at : at + _BATCH]
            found = list(plans(vault, settings, batch, chosen, result.refused, result.left_out))
            try:
                _queue(vault, found, twice, act, operator, result)
            finally:
                act.reached(len(result.queued))
            if progress:
                progress(min(at + _BATCH, len(wanted)), len(wanted))
    return result


def _queue(vault: Vault, found: list[Plan], again: Again, act: Act, operator: str, result: ReleaseResult) -> None:
    """Queue a batch, as a part of the act.

    Looks up who holds a copy already inside the transaction, so that concurrent releases cannot both send it.
    """
    if not found:
        return
    asked = [plan.copy.id for plan in found]
    unsealed: Unsealed = {}
    if not again.everybody:
        held_of(vault, asked, unsealed)  # Before the transaction, to keep it short.
    queued: dict[int, int] = {}
    done = ReleaseResult()
    with vault.write():
        present = vault.present(asked)
        holders = {} if again.everybody else held_of(vault, asked, unsealed)
        now = decides_ms(vault.db)
        target = delivery_target(vault)
        for plan in found:
            copy = plan.copy
            if copy.id not in present:
                done.refused.append((copy.id, str(vault.missing(copy.id))))
                continue
            free, kept_from = shared_out(plan, holders.get(copy.id, {}), again)
            done.left_out += kept_from
            if free:
                queued[copy.id] = place(vault, copy, free, target, operator, now, result.hold)
            else:
                done.withheld.append(copy.id)
        if queued:
            act.part(list(queued), placed_words(queued.values()))
    result.queued += queued.values()
    result.refused += done.refused
    result.left_out += done.left_out
    result.withheld += done.withheld
    if queued:
        if target.name not in result.senders:
            result.senders.append(target.name)
        if result.hold and not result.held_until:
            result.held_until = now + result.hold
