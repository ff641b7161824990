"""The delivery queue as operators use it: release copies. Sending again and cancelling are in `retrying`.

Everything is checked here, whoever asks: that a relay is set, that the copy's own authenticated record allows the
release, that there is somebody to send to, and that nobody gets a copy a second time whom the operator did not choose
for that. Each release is one row with a signed order and a recipient row each. Workers are in `store.delivery.worker`.
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

#: What a release is called in the trail.
QUEUED = "delivery queued"
_BATCH = 25


class Deliverable(NamedTuple):
    """Whether copies can be delivered: `blocked` is why nothing can, or ""; `refused` are copies that cannot, and why.

    `dangerous` is the number of infected and probably infected copies among all that were asked about.
    """

    blocked: str
    refused: list[tuple[int, str]]
    dangerous: int


@dataclass
class ReleaseResult:
    """What `release` did: the ids of the deliveries queued, the copies refused and why, and those not reached.

    `left_out` are recipients who have a copy, may have it or wait for it, and were not chosen to get it again; a copy
    all of whose recipients were left out is in `withheld`, and in `refused` neither. `gateway` is the name of the
    gateway that sends what was queued last, "" where a console or `mailhold queue send` does. `held_until` (Unix ms, by
    the clock that decides) is when the first of them may be taken, `hold` how long that is (ms): 0 for at once.
    """

    queued: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    not_reached: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    withheld: list[int] = field(default_factory=list)
    gateway: str = ""
    held_until: int = 0
    hold: int = 0


def can_deliver(vault: Vault, settings: Settings, copies: Sequence[Copy]) -> Deliverable:
    """Check what `release` would refuse `copies` for, as far as it is known before recipients are chosen."""
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
    """Place copies in the queue for delivery, durably, one delivery a copy.

    They go to their `original` recipients but for the addresses `left_out`, and to `additional` ones. The original ones
    are those of the envelope; where none is known and `from_header` is given, the header's addresses in local domains,
    and those of its `outsiders` that were chosen. Whoever has a copy, may have it or waits for it gets it a second time
    only where he is among `again` (True: all). Copies of `spared` (by id, with the reason) are left out, unless
    `lookalikes` go as well: `store.delivery.lookalikes` finds them. Addresses that differ only in case are one. Nothing
    takes them before `hold` (ms, an hour at most; None: what the settings say) has passed: see `store.delivery.outbox`.
    What is more than one batch is told in the trail before it begins (`store.authority.acts`).

    Raises NoRelay, NoRecipients (nobody was chosen at all) and AddressError; what keeps a single copy from it is in the
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

    Who holds a copy already is looked up within the transaction, so that no two releases meet.
    """
    if not found:
        return
    asked = [plan.copy.id for plan in found]
    unsealed: Unsealed = {}
    if not again.everybody:
        held_of(vault, asked, unsealed)  # Before the transaction, which needs only what others queue meanwhile.
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
        result.gateway = target.name
        if result.hold and not result.held_until:
            result.held_until = now + result.hold
