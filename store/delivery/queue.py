"""The delivery queue as operators use it: release copies. Sending again and cancelling are in `retrying`.

Everything is checked here, whoever asks: that a relay is set, that the copy's own authenticated record allows the
release, that there is somebody to send to, and that nobody gets a copy a second time whom the operator did not choose
for that. Each release is one row with a signed order and a recipient row each. Workers are in `store.delivery.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from store.authority.audit import record_event
from store.authority.settings import Settings, read_settings
from store.delivery.held import Again, LeftOut, held_of, why
from store.delivery.listing import (
    Delivery,
    RecipientState,
    deliveries,
    delivery_of,
    queue_length,
)
from store.delivery.outcomes import Unsealed
from store.delivery.placing import INFECTED, ORDER_LIFE, place
from store.delivery.recipients import ENVELOPE, Recipient, recipients_of
from store.delivery.retrying import NO_RELAY, RetryPlan, RetryRecipient, cancel, retry, retry_plan
from store.enrolment.enrolled import delivery_target
from store.helpers.clock import now_ms
from store.mail.addresses import address_problem, check_address, mailbox
from store.mail.local_domains import LocalDomains
from store.terms.errors import CopyMissing, NoRecipients, NoRelay
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

_BATCH = 25

_NO_CHOICE = "Nobody was chosen to deliver to. Choose the original recipients, give additional addresses, or both."
_NO_ONE = "no recipient of it is known, or all were left out: give an additional address"
#: Why a copy without an envelope is not released to its original recipients where header addresses are not asked for.
NO_ENVELOPE = "no recipient of its envelope is known, and the addresses of its header were not asked for"
#: The same where they were.
NOT_LOCAL = "no recipient of its envelope is known, and no address of its header that was chosen is in a local domain"

_HEADER = "stands in the header, whose addresses were not asked for"


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
    gateway that sends what was queued last, "" where a console or `mailhold queue send` does.
    """

    queued: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    not_reached: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    withheld: list[int] = field(default_factory=list)
    gateway: str = ""


def can_deliver(vault: Vault, settings: Settings, copies: Sequence[Copy]) -> Deliverable:
    """What `release` would say to `copies`, as far as it can be known before recipients are chosen."""
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
    operator: str = "",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ReleaseResult:
    """Place copies in the queue for delivery, durably, one delivery a copy.

    They go to their `original` recipients but for the addresses `left_out`, and to `additional` ones. The original ones
    are those of the envelope; where none is known and `from_header` is given, the header's addresses in local domains,
    and those of its `outsiders` that were chosen. Whoever has a copy, may have it or waits for it gets it a second time
    only where he is among `again` (True: all). Addresses that differ only in case are one. Raises NoRelay, NoRecipients
    (nobody was chosen at all) and AddressError; what keeps a single copy from it is in the result.
    """
    settings = read_settings(vault)
    if not settings.relay:
        raise NoRelay(NO_RELAY)
    if not original and not additional:
        raise NoRecipients(_NO_CHOICE)
    chosen = _Chosen(
        original,
        _once([check_address(address) for address in additional]),
        frozenset(map(mailbox, left_out)),
        from_header,
        frozenset(map(mailbox, outsiders)),
        LocalDomains(settings.local_domains),
    )
    result = ReleaseResult()
    twice = Again(again)
    wanted = list(dict.fromkeys(ids))
    for at in range(0, len(wanted), _BATCH):
        if cancelled and cancelled():
            result.not_reached = wanted[at:]
            break
        batch = wanted[at : at + _BATCH]
        plans = list(_plans(vault, settings, batch, chosen, result))
        _queue(vault, plans, twice, operator, result)
        if progress:
            progress(min(at + _BATCH, len(wanted)), len(wanted))
    return result


class _Chosen(NamedTuple):
    """To whom copies are to go. `extra` are addresses, `without` and `outsiders` mailboxes."""

    original: bool
    extra: list[str]
    without: frozenset[str]
    from_header: bool
    outsiders: frozenset[str]
    local: LocalDomains

    def meant(self, copy: Copy) -> tuple[list[str], str]:
        """The addresses that a copy is to go to, and where there is none, why."""
        original = recipients_of(copy) if self.original else []
        header = bool(original) and original[0].source != ENVELOPE
        if header:
            original = [each for each in original if self.from_header and self._takes(each.address)]
        kept = [each.address for each in original if mailbox(each.address) not in self.without]
        reason = _NO_ONE
        if header and not original:
            reason = NOT_LOCAL if self.from_header else NO_ENVELOPE
        return _once([*kept, *self.extra]), reason

    def passed_over(self, copy: Copy) -> list[str]:
        """The addresses of a copy's header that stand for its original recipients, where they were not asked for."""
        if not self.original or self.from_header or not (found := recipients_of(copy)) or found[0].source == ENVELOPE:
            return []
        beside = self.without | frozenset(map(mailbox, self.extra))
        return [each.address for each in found if mailbox(each.address) not in beside]

    def _takes(self, address: str) -> bool:
        return address in self.local or mailbox(address) in self.outsiders


class _Plan(NamedTuple):
    copy: Copy
    addresses: list[str]


def _once(addresses: list[str]) -> list[str]:
    """The addresses, each mailbox once, the first spelling of each kept, in order."""
    kept: dict[str, str] = {}
    for address in addresses:
        kept.setdefault(mailbox(address), address)
    return list(kept.values())


def _plans(
    vault: Vault, settings: Settings, batch: list[int], chosen: _Chosen, result: ReleaseResult
) -> Iterator[_Plan]:
    """The copies of a batch that can be queued, and to whom; the others go to `result.refused`."""
    damaged: dict[int, str] = {}
    copies = {
        copy.id: copy
        for copy in vault.get_many(batch, on_error=lambda copy_id, error: damaged.update({copy_id: str(error)}))
    }
    for copy_id in batch:
        copy = copies.get(copy_id)
        if copy is None:
            result.refused.append((copy_id, damaged.get(copy_id) or str(CopyMissing(copy_id))))
            continue
        if copy.record.dangerous and not settings.allow_infected:
            result.refused.append((copy_id, INFECTED))
            continue
        addresses, reason = chosen.meant(copy)
        problem = next((problem for address in addresses if (problem := address_problem(address))), "")
        if problem:
            result.refused.append((copy_id, f"an address of its envelope cannot be used ({problem}): leave it out"))
        elif not addresses:
            result.refused.append((copy_id, reason))
        else:
            result.left_out += [LeftOut(copy_id, each, _HEADER) for each in chosen.passed_over(copy)]
            yield _Plan(copy, addresses)


def _queue(vault: Vault, plans: list[_Plan], again: Again, operator: str, result: ReleaseResult) -> None:
    """Queue a batch. Who holds a copy already is looked up within the transaction, so that no two releases meet."""
    if not plans:
        return
    asked = [plan.copy.id for plan in plans]
    unsealed: Unsealed = {}
    if not again.everybody:
        held_of(vault, asked, unsealed)  # Before the transaction, which needs only what others queue meanwhile.
    queued: dict[int, int] = {}
    done = ReleaseResult()
    with vault.write():
        present = vault.present(asked)
        holders = {} if again.everybody else held_of(vault, asked, unsealed)
        now = now_ms()
        target = delivery_target(vault, now)
        for copy, addresses in plans:
            if copy.id not in present:
                done.refused.append((copy.id, str(CopyMissing(copy.id))))
                continue
            held = holders.get(copy.id, {})
            free = [address for address in addresses if mailbox(address) not in held or address in again]
            kept = frozenset(free)
            done.left_out += [
                LeftOut(copy.id, address, why(held[mailbox(address)])) for address in addresses if address not in kept
            ]
            if free:
                queued[copy.id] = place(vault, copy, free, target, operator, now)
            else:
                done.withheld.append(copy.id)
        if queued:
            record_event(vault, "delivery queued", operator=operator, copies=list(queued))
    result.queued += queued.values()
    result.refused += done.refused
    result.left_out += done.left_out
    result.withheld += done.withheld
    if queued:
        result.gateway = target.name
