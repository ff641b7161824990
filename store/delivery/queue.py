"""The delivery queue as operators use it: release copies, send again, cancel. Workers are in `store.delivery.worker`.

Everything is checked here, whoever asks: that a relay is set, that the copy's own authenticated record allows the
release, that there is somebody to send to. Each release is one row with a signed order and a recipient row each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from store.audit import record_event
from store.clock import now_ms
from store.delivery.addresses import address_problem, check_address, same, unique
from store.delivery.damaged import withdraw
from store.delivery.leases import call_off
from store.delivery.listing import (
    Delivery,
    RecipientState,
    deliveries,
    delivery_of,
    queue_length,
    released_copies,
    row_of,
)
from store.delivery.orders import (
    Addressee,
    Order,
    SealedRecipient,
    new_nonce,
    seal_order,
    seal_recipient,
    unseal_recipient,
    verify_order,
)
from store.delivery.outcome import LIVE, RETRIABLE, State
from store.delivery.recipients import Recipient, recipients_of
from store.errors import CopyMissing, DeliveryError, InfectedRefused, NoRecipients, NoRelay, TamperedError
from store.gateways import Target, delivery_target, is_alive
from store.keys import LOCAL_ID
from store.records import Copy
from store.settings import Settings, read_settings

if TYPE_CHECKING:
    from store.vault import Vault

__all__ = [
    "Deliverable",
    "Delivery",
    "Recipient",
    "RecipientState",
    "ReleaseResult",
    "can_deliver",
    "cancel",
    "deliveries",
    "delivery_of",
    "queue_length",
    "recipients_of",
    "release",
    "released_copies",
    "retry",
]

#: How long an order is good (ms): what is not sent by then has failed.
ORDER_LIFE = 5 * 24 * 3600 * 1000
_BATCH = 25

_NO_RELAY = "No relay is set, so nothing can be delivered. Set the relay in Settings, as smtp://host:port."
_NO_CHOICE = "Nobody was chosen to deliver to. Choose the original recipients, give additional addresses, or both."
_NO_ONE = "no recipient of it is known, or all were left out: give an additional address"
_INFECTED = "it is infected or probably infected, and Backup settings do not allow the delivery of infected messages"


class Deliverable(NamedTuple):
    """Whether copies can be delivered: `blocked` is why nothing can, or ""; `refused` are copies that cannot, and why.

    `dangerous` is the number of infected and probably infected copies among all that were asked about.
    """

    blocked: str
    refused: list[tuple[int, str]]
    dangerous: int


@dataclass
class ReleaseResult:
    """What `release` did: the ids of the deliveries queued, the copies refused and why, and those not reached."""

    queued: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    not_reached: list[int] = field(default_factory=list)


def can_deliver(vault: Vault, settings: Settings, copies: Sequence[Copy]) -> Deliverable:
    """What `release` would say to `copies`, as far as it can be known before recipients are chosen."""
    dangerous = [copy.id for copy in copies if copy.record.dangerous]
    refused = [] if settings.allow_infected else [(copy_id, _INFECTED) for copy_id in dangerous]
    blocked = "" if settings.relay else _NO_RELAY
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
    operator: str = "",
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ReleaseResult:
    """Place copies in the queue for delivery, durably, one delivery a copy.

    They go to their `original` recipients but for the addresses `left_out`, and to `additional` ones. Raises NoRelay,
    NoRecipients (nobody was chosen at all) and AddressError; what keeps a single copy from it is in the result.
    """
    settings = read_settings(vault)
    if not settings.relay:
        raise NoRelay(_NO_RELAY)
    if not original and not additional:
        raise NoRecipients(_NO_CHOICE)
    extra = unique([check_address(address) for address in additional])
    without = {same(address) for address in left_out}
    result = ReleaseResult()
    wanted = list(dict.fromkeys(ids))
    for at in range(0, len(wanted), _BATCH):
        if cancelled and cancelled():
            result.not_reached = wanted[at:]
            break
        batch = wanted[at : at + _BATCH]
        plans = list(_plans(vault, settings, batch, original, extra, without, result))
        _queue(vault, plans, operator, result)
        if progress:
            progress(min(at + _BATCH, len(wanted)), len(wanted))
    return result


class _Plan(NamedTuple):
    copy: Copy
    addresses: list[str]


def _plans(
    vault: Vault,
    settings: Settings,
    batch: list[int],
    original: bool,
    extra: list[str],
    without: set[str],
    result: ReleaseResult,
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
            result.refused.append((copy_id, _INFECTED))
            continue
        meant = [each.address for each in recipients_of(copy)] if original else []
        addresses = unique([address for address in meant if same(address) not in without] + extra)
        problem = next((problem for address in addresses if (problem := address_problem(address))), "")
        if problem:
            result.refused.append((copy_id, f"an address of its envelope cannot be used ({problem}): leave it out"))
        elif not addresses:
            result.refused.append((copy_id, _NO_ONE))
        else:
            yield _Plan(copy, addresses)


def _queue(vault: Vault, plans: list[_Plan], operator: str, result: ReleaseResult) -> None:
    if not plans:
        return
    queued: list[int] = []
    refused: list[tuple[int, str]] = []
    with vault.write():
        table = vault.models.Message
        asked = [plan.copy.id for plan in plans]
        present = {copy_id for (copy_id,) in table.select(table.id).where(table.id.in_(asked)).tuples()}
        now = now_ms()
        target = delivery_target(vault, now)
        for plan in plans:
            if plan.copy.id in present:
                queued.append(_insert(vault, plan, target, operator, now))
            else:
                refused.append((plan.copy.id, str(CopyMissing(plan.copy.id))))
        if queued:
            copies = [plan.copy.id for plan in plans if plan.copy.id in present]
            record_event(vault, "delivery queued", operator=operator, copies=copies)
    result.queued += queued
    result.refused += refused


def _insert(vault: Vault, plan: _Plan, target: Target, operator: str, now: int) -> int:
    models = vault.models
    delivery_id = models.Delivery.insert(
        copy_id=plan.copy.id,
        created_at=now,
        gateway_id=target.gateway_id,
        state=State.QUEUED,
        next_attempt_at=now,
        order_blob=b"",
        order_signature=b"",
        expires_at=now + ORDER_LIFE,
    ).execute()
    models.DeliveryRecipient.insert_many(
        [
            {
                "delivery_id": delivery_id,
                "sealed_address": seal_recipient(vault, SealedRecipient(delivery_id, index, address, operator)),
                "state": State.QUEUED,
                "changed_at": now,
            }
            for index, address in enumerate(plan.addresses)
        ]
    ).execute()
    addressees = tuple(Addressee(index, address) for index, address in enumerate(plan.addresses))
    _order(vault, delivery_id, plan.copy, addressees, target, operator, now)
    return int(delivery_id)


def _order(
    vault: Vault,
    delivery_id: int,
    copy: Copy,
    addressees: tuple[Addressee, ...],
    target: Target,
    operator: str,
    now: int,
) -> None:
    """Write a fresh signed order into the row of a delivery, and what it needs to be sent from the beginning."""
    order = Order(
        delivery_id=delivery_id,
        copy_id=copy.id,
        sha256=copy.record.sha256,
        sender=copy.record.envelope_sender or "",
        addressees=addressees,
        dangerous=copy.record.dangerous,
        operator=operator,
        ordered_at=now,
        expires_at=now + ORDER_LIFE,
        nonce=new_nonce(),
    )
    blob, signature = seal_order(vault, order, target.gateway_id, target.key)
    table = vault.models.Delivery
    table.update(
        order_blob=blob,
        order_signature=signature,
        sealed_body_key=vault.release_body_key(copy.id, delivery_id, target),
        gateway_id=target.gateway_id,
        expires_at=order.expires_at,
    ).where(table.id == delivery_id).execute()


def retry(vault: Vault, delivery_id: int, operator: str = "") -> None:
    """Send again now: a deferred delivery at once, a finished one under a new order to whoever did not get it.

    That is how an operator, and nobody else, sends again what is `unknown`. Raises DeliveryError where there is nothing
    to send again, CopyMissing, NoRelay, InfectedRefused, TamperedError.
    """
    settings = read_settings(vault)
    if not settings.relay:
        raise NoRelay(_NO_RELAY)
    models = vault.models
    with vault.write():
        delivery = delivery_of(vault, delivery_id)
        if delivery.damage:
            raise DeliveryError(
                f"Delivery {delivery_id} was tampered with or is damaged ({delivery.damage}): it is not sent again. "
                f"{'Cancel it, and deliver' if delivery.live else 'Deliver'} its copy anew."
            )
        row = row_of(vault, delivery_id)
        verify_order(vault, row)  # Else another copy would go to these recipients.
        now = now_ms()
        table = models.Delivery
        if row.finished_at is None:
            if row.state == State.SENDING:
                raise DeliveryError(f"Delivery {delivery_id} is being sent already: wait for the result.")
            if row.gateway_id != LOCAL_ID and not is_alive(vault, row.gateway_id, now):
                _address_anew(vault, row, operator, now)
            table.update(next_attempt_at=now).where(table.id == delivery_id).execute()
        else:
            _reopen(vault, row.copy_id, delivery_id, settings, operator, now)
        record_event(vault, "delivery sent again", operator=operator, copies=[row.copy_id])


def _address_anew(vault: Vault, row: Any, operator: str, now: int) -> None:
    """Give what a gateway that is not running any more was to send to whoever can send it."""
    found = vault.get_many([row.copy_id])
    if not found:
        raise CopyMissing(row.copy_id)
    places = _recipients(vault, row.id)
    waiting = tuple(Addressee(place, each.address) for place, (state, each) in enumerate(places) if state in LIVE)
    _order(vault, row.id, found[0], waiting, delivery_target(vault, now), operator, now)
    table = vault.models.Delivery
    table.update(lease_token=table.lease_token + 1).where(table.id == row.id).execute()


def _recipients(vault: Vault, delivery_id: int) -> list[tuple[str, SealedRecipient]]:
    """The state and content of each recipient row, in order. Raises TamperedError where one was moved."""
    table = vault.models.DeliveryRecipient
    found = []
    for index, row in enumerate(table.select().where(table.delivery_id == delivery_id).order_by(table.id)):
        recipient = unseal_recipient(vault, row)
        if recipient.place != index:
            raise TamperedError(f"delivery {delivery_id}", "its recipients are not the ones it was made with")
        found.append((row.state, recipient))
    return found


def _reopen(vault: Vault, copy_id: int, delivery_id: int, settings: Settings, operator: str, now: int) -> None:
    found = vault.get_many([copy_id])
    if not found:
        raise CopyMissing(copy_id)
    if found[0].record.dangerous and not settings.allow_infected:
        raise InfectedRefused(f"Copy {copy_id} is not sent again: {_INFECTED}.")
    table = vault.models.DeliveryRecipient
    again: list[Addressee] = []
    rows = list(table.select().where(table.delivery_id == delivery_id).order_by(table.id))
    for index, row in enumerate(rows):
        if row.state in RETRIABLE:
            recipient = unseal_recipient(vault, row)
            if recipient.place != index:
                raise TamperedError(f"delivery {delivery_id}", "its recipients are not the ones it was made with")
            again.append(Addressee(index, recipient.address))
            table.update(state=State.QUEUED, changed_at=now).where(table.id == row.id).execute()
    if not again:
        raise DeliveryError(f"Delivery {delivery_id} reached all of its recipients: there is nothing to send again.")
    _order(vault, delivery_id, found[0], tuple(again), delivery_target(vault, now), operator, now)
    deliveries_ = vault.models.Delivery
    deliveries_.update(
        state=State.QUEUED,
        attempts=0,
        next_attempt_at=now,
        lease_token=deliveries_.lease_token + 1,
        data_started_at=None,
        finished_at=None,
    ).where(deliveries_.id == delivery_id).execute()


def cancel(vault: Vault, delivery_id: int, operator: str = "") -> None:
    """Call a delivery off. Recipients whose message may be out already become `unknown`, the others `cancelled`.

    A damaged one goes as well, whatever stands in its rows. Raises DeliveryError where it is finished, or is being sent
    at this very moment.
    """
    with vault.write():
        delivery = delivery_of(vault, delivery_id)
        if not delivery.live:
            raise DeliveryError(f"Delivery {delivery_id} is finished ({delivery.state}): there is nothing to cancel.")
        now = now_ms()
        if delivery.damage:
            done = withdraw(vault, delivery_id, now)
        else:
            done = call_off(vault, row_of(vault, delivery_id), now)
        if not done:
            raise DeliveryError(f"Delivery {delivery_id} is being sent at this moment: wait for the result.")
        copies = [delivery.copy_id] if delivery.copy_id else []
        damage = f"delivery {delivery_id}, damaged: {delivery.damage}" if delivery.damage else ""
        record_event(vault, "delivery cancelled", operator=operator, copies=copies, detail=damage)
